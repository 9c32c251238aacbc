"""The phantom: synthetic lumbar spines in 3-D, scanned into a dataset in RSNA layout."""

from lumbargrade.phantom.generate import Fault, PhantomSummary, generate

__all__ = ["Fault", "PhantomSummary", "generate"]
