"""Zips and tars as anybody may send them: opened without harm, and unpacked under names of our own."""
