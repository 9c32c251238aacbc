"""Fits a grader."""
