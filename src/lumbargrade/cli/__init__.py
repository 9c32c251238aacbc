"""The ``lumbargrade`` command; :func:`main` is where it begins."""

from lumbargrade.cli.app import main

__all__ = ["main"]
