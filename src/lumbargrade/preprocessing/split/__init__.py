"""Assigns studies to folds and holdout."""
