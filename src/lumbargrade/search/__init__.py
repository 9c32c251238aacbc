"""The search for parameters: trials, folds, pruning, and what comes of them."""
