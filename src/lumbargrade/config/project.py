"""Where a project keeps its files."""

from pathlib import Path

PREPARED = Path("prepared")
"""What the DVC stages make of a dataset, a folder each: crops, views, split, located points."""
