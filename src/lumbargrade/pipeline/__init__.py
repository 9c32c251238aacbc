"""The steps of a retraining, as plain functions."""
