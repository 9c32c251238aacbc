"""What can be wrong with a file. The sentences name the file, never what its tags say of a person."""

from lumbargrade.errors import QuotingError


class UnreadableFile(QuotingError):  # noqa: N818 - named for what it tells the user
    """A file is damaged, is no DICOM, or is of a kind that is not read.

    Args:
        file_name: As the sentence has it; :func:`lumbargrade.dicom.parse.parsing` adds it where it is not given.
    """

    def __init__(self, what: str, remedy: str, code: str, file_name: str = "") -> None:
        super().__init__(what, remedy, code, file_name, "an image file")


class NotAnImage(UnreadableFile):
    """A DICOM object without an image: a report, a segmentation, a directory."""
