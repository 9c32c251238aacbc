"""Scores predictions against labels: metrics, calibration, comparisons, reports."""
