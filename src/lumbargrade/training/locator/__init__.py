"""Fits a locator."""
