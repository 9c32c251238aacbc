"""The errors that a user of Lumbargrade meets: what is wrong, what to do about it, and a name that programs decide by."""


class LumbargradeError(Exception):
    """A failure that is nobody's mistake in the call: a full disk, a process that died. The command exits with 1.

    Args:
        what: What is wrong, with the name of the thing.
        remedy: What to do about it; empty if nothing can be done.
        code: A stable name of the mistake in kebab case. Programs compare this one, never the words.
    """

    exit_code = 1

    def __init__(self, what: str, remedy: str, code: str) -> None:
        super().__init__(what, remedy, code)
        self.what = what
        self.remedy = remedy
        self.code = code

    def __str__(self) -> str:
        """The sentence for people: ``what; remedy``."""
        return f"{self.what}; {self.remedy}" if self.remedy else self.what

    @property
    def parts(self) -> dict[str, str]:
        """What the error is made of, for another process: ``LumbargradeError(**parts)`` is the same one."""
        return {"what": self.what, "remedy": self.remedy, "code": self.code}


class InputError(LumbargradeError):
    """The user's data, parameters or environment are wrong. The command exits with 2."""

    exit_code = 2


class StoreError(InputError):
    """The store of runs and models cannot be reached or opened. That is not the same as a store without models."""


class CannotVerifyError(LumbargradeError):
    """Something could not be checked, as a disk, a store or a permission was in the way. That is no alteration."""


class QuotingError(InputError):
    """An error that quotes what may be a patient's: the name of a file, or a cell of a table.

    Args:
        quote: The words of the sentence that do.
        instead: What stands for them where the sentence is answered or logged.
    """

    def __init__(self, what: str, remedy: str, code: str, quote: str = "", instead: str = "") -> None:
        super().__init__(what, remedy, code)
        self.quote = quote
        self.instead = instead

    @property
    def unquoted(self) -> str:
        """The sentence without the quote."""
        return str(self).replace(self.quote, self.instead, 1) if self.quote else str(self)


class TrialError(LumbargradeError):
    """A training whose parameters do not work here; others may."""


class DivergedError(TrialError):
    """A training's loss is no number any more. The process exits with 3."""

    exit_code = 3


class OutOfMemoryError(TrialError):
    """A training that does not fit into the memory, or was killed as it did not. The process exits with 4."""

    exit_code = 4


class TooSlowError(TrialError):
    """A training that has not ended within its time limit. The process exits with 5."""

    exit_code = 5


class StoppedError(LumbargradeError):
    """Somebody who had asked for work does not want it any more."""


def system_error(error: OSError, of: str = "") -> LumbargradeError:
    """What the system refused, such as to write onto a full disk.

    Args:
        of: Whose work it was, if the sentence is to begin with it.
    """
    where = f" ({error.filename})" if error.filename else ""
    what = f"{of}{': ' if of else ''}{error.strerror or error}{where}"
    return LumbargradeError(what, "mend this and run again: it goes on", "system-refused")
