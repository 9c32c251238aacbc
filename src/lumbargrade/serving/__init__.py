"""Models over HTTP and in batches: MLflow's scoring server, verified and kept running, and what it answered."""
