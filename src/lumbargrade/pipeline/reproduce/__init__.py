"""Trains a registered version again and compares."""
