"""What goes wrong, in words for a clinician: what it is, and what to do. Never a file name, a tag, or an upstream body."""

from lumbargrade.errors import LumbargradeError
from lumbargrade.frozen import Frozen

_ANOTHER = "Export the study again and send it once more."


class Problem(Frozen):
    """Two plain sentences.

    Attributes:
        what: What is wrong.
        do: What to do about it.
        code: A stable name of it in kebab case. Programs compare this one, never the words.
    """

    what: str
    do: str
    code: str = ""


class Refusal(Exception):  # noqa: N818 - it is what the server answers, and no fault of it
    """A request that is not carried out.

    Args:
        status: HTTP status.
        code: A stable name of it, as errors have.
    """

    def __init__(self, status: int, what: str, do: str, code: str) -> None:
        super().__init__(what)
        self.status = status
        self.problem = Problem(what=what, do=do, code=code)


def problem_of(error: LumbargradeError) -> Problem:
    """An error of the package in two sentences."""
    do = sentence(error.remedy) if error.remedy else _ANOTHER
    return Problem(what=sentence(error.what), do=do, code=error.code)


def sentence(words: str) -> str:
    """The words with a capital letter and a full stop."""
    words = words.strip()
    end = "" if words.endswith((".", "!", "?")) else "."
    return f"{words[:1].upper()}{words[1:]}{end}"
