"""MLflow's runs: search, trials, folds."""
