"""Examines the machine and the project: what would stop a run or a server, and what to do about it. It changes nothing."""
