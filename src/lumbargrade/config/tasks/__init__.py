"""Grading tasks as data: one YAML file a task, read by :mod:`lumbargrade.config.task`."""
