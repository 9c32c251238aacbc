"""Grades many studies into one table."""
