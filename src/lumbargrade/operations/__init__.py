"""Lumbargrade as a service on one machine: its servers, what they run on a schedule, and how they are."""
