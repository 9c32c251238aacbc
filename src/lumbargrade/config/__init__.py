"""What a run is configured by: parameters, tasks, the project's paths, the environment, and the digest of the code."""
