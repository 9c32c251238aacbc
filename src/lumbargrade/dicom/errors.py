"""What can be wrong with a file. The sentences name the file, never what its tags say of a person."""

from lumbargrade.errors import InputError


class UnreadableFile(InputError):  # noqa: N818 - named for what it tells the user
    """A file is damaged, is no DICOM, or is of a kind that is not read."""


class NotAnImage(UnreadableFile):
    """A DICOM object without an image: a report, a segmentation, a directory."""
