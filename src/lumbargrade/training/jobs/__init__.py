"""Runs trainings as processes, here or on a cluster."""
