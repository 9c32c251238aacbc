"""What is kept of each trial of a search, with the model that the best one gave."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict

from lumbargrade.errors import DivergedError, OutOfMemoryError, TooSlowError, TrialError

_FAILURES: dict[type[TrialError], str] = {
    DivergedError: "diverged",
    OutOfMemoryError: "out-of-memory",
    TooSlowError: "too-slow",
}
FAILED = frozenset(_FAILURES.values())
"""States of trials whose parameters did not work."""

_ENDED = {"complete", "pruned", *FAILED}


class TrialRecord(BaseModel):
    """A trial of a search, kept or lost.

    Attributes:
        number: Counted from 0; a trial that was cut off has the number of the one that tries it again.
        state: ``complete``, ``pruned`` (stopped between its folds), ``diverged`` (given up, its loss was no number any
            more), ``out-of-memory`` or ``too-slow`` (given up, the machine cannot train it) or ``fail`` (cut off, and tried
            again).
        score: Nothing if it did not end.
        training: Its parameters, as far as they were searched.
        run_id: MLflow's; empty if it did not end.
        reason: Why it was pruned or given up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    state: str
    score: float | None
    training: dict[str, Any]
    run_id: str
    reason: str = ""


def failure_state(error: TrialError) -> str:
    """The state of a trial that an error has ended."""
    return next(state for kind, state in _FAILURES.items() if isinstance(error, kind))


def count_ended(trials: Iterable[TrialRecord]) -> int:
    """Counts the trials that need not be run again."""
    return sum(trial.state in _ENDED for trial in trials)
