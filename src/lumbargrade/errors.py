"""The errors that a user of Lumbargrade meets: one sentence that names the thing, says what is wrong and what to do."""


class LumbargradeError(Exception):
    """A failure that is nobody's mistake in the call: a full disk, a process that died. The command exits with 1."""

    exit_code = 1


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

    def __init__(self, sentence: str, quote: str = "", instead: str = "") -> None:
        super().__init__(sentence)
        self.quote = quote
        self.instead = instead

    @property
    def unquoted(self) -> str:
        """The sentence without the quote."""
        return str(self).replace(self.quote, self.instead, 1) if self.quote else str(self)


class DivergedError(LumbargradeError):
    """A training's loss is no number any more: its parameters do not work, others may. The process exits with 3."""

    exit_code = 3


class StoppedError(LumbargradeError):
    """Somebody who had asked for work does not want it any more."""


def told_by_system(error: OSError) -> str:
    """The sentence for what the system refused, such as to write onto a full disk."""
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}; mend this and run again: it goes on"
