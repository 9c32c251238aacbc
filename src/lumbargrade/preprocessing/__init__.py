"""From slices and points to packed crops, folds and the frozen holdout."""
