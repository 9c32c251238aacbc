"""The mark that synthetic images carry in their headers, so that they are known for what they are wherever they go."""

from pydicom import Dataset
from pydicom.multival import MultiValue

SYNTHETIC = "Synthetic: no patient"
"""Value of DeidentificationMethod in every image that the phantom generator writes; de-identifying keeps it."""


def is_synthetic(header: Dataset) -> bool:
    """Whether a header with DeidentificationMethod carries the mark."""
    value = header.get("DeidentificationMethod")
    values = value if isinstance(value, MultiValue | list) else [value]
    return SYNTHETIC in [str(each) for each in values]
