"""A study's bytes in, gradings out."""
