"""Versions a dataset with DVC."""
