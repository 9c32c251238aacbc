"""New studies for a dataset: read from where they come, de-identified, checked, and brought in all at once."""
