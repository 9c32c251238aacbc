"""What a run is configured by: parameters, tasks, paths."""
