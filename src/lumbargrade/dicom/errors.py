"""What can be wrong with a file. The sentences name the file, never what its tags say of a person."""

from lumbargrade.errors import InputError


class UnreadableFile(InputError):  # noqa: N818 - named for what it tells the user
    """A file is damaged, is no DICOM, or is of a kind that is not read.

    Args:
        name: The file's name, as the sentence has it.

    Attributes:
        unnamed: The sentence without that name: files are named after patients too, and reasons are logged.
    """

    def __init__(self, sentence: str, name: str = "") -> None:
        super().__init__(sentence)
        self.unnamed = sentence.replace(name, "an image file", 1) if name else sentence


class NotAnImage(UnreadableFile):
    """A DICOM object without an image: a report, a segmentation, a directory."""
