"""The export that is full of secrets, for what happens around an addition."""

from ..data.intake.conftest import lax, make_export

__all__ = ["lax", "make_export"]
