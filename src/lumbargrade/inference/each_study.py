"""Works on each study of an export by itself: what goes wrong with one stops no other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.inference.study import Study, UnopenedStudy
from lumbargrade.scratch import ScratchError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What came of a study.

    Attributes:
        error: Why there is no result.
    """

    study: UnopenedStudy
    result: Result | None
    error: LumbargradeError | None


def each_study(studies: Sequence[UnopenedStudy], work: Callable[[Study], Result]) -> Iterator[Outcome[Result]]:
    """Opens studies one after the other and works on each.

    Raises:
        LumbargradeError: Nothing came of any study; it is the error of the first one.
        ScratchError: The place for temporary files is full, or cannot be used.
    """
    errors: list[LumbargradeError] = []
    for study in studies:
        try:
            with study.open() as opened:
                outcome = Outcome(study, work(opened), None)
        except ScratchError:
            raise
        except LumbargradeError as error:
            outcome = Outcome(study, None, error)
        except Exception as error:  # a study's file may hold anything; its words may be a patient's
            if len(studies) == 1:
                raise
            words = f"the study could not be graded ({type(error).__name__})"
            outcome = Outcome(study, None, InputError(words, "", "unexpected-fault"))
        if outcome.error is not None:
            errors.append(outcome.error)
        if len(errors) == len(studies):
            raise errors[0]
        yield outcome


def name_study(study: UnopenedStudy, number: int, total: int) -> str:
    """Names one of several studies for people, by what says nothing of the patient."""
    date = f", {study.contents.date}" if study.contents.date else ""
    return f"Study {number} of {total}{date}"
