"""Trials whose parameters did not work: they are not trained twice, and a search of which too many fail ends."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from optuna.trial import FrozenTrial

from lumbargrade.config.params import TrainingParams
from lumbargrade.errors import LumbargradeError
from lumbargrade.search.trials import place, training_of
from lumbargrade.training.trial_record import FAILED

_MOST_IN_A_ROW = 5
"""Trials that fail for the same reason, one after another, are no matter of their parameters any more."""

_REMEDIES = {
    "diverged": "lower training.learning_rate and its range in search.space",
    "out-of-memory": "lower training.batch_size or training.image_pixels and their ranges in search.space, set "
    "folds_per_device to 1, or train where there is more memory",
    "too-slow": "raise training.time_limit_minutes, lower training.epochs, or train on a faster device",
}


@dataclass(frozen=True)
class Failure:
    """How a trial failed: its state, why, and its number."""

    state: str
    reason: str
    trial: int


@dataclass
class FailedTrials:
    """The trials of a search that have failed, those of earlier processes too.

    Attributes:
        row: States of those that have failed one after another in this process.
    """

    _known: dict[str, Failure] = field(default_factory=dict)
    row: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, trials: Iterable[FrozenTrial]) -> "FailedTrials":
        """Reads the trials that have ended."""
        failed = cls()
        for trial in trials:
            if (state := trial.user_attrs.get("state")) in FAILED:
                failure = Failure(state, trial.user_attrs["reason"], place(trial))
                failed._known.setdefault(_key(training_of(trial)), failure)
        return failed

    def find(self, training: TrainingParams) -> Failure | None:
        """The trial of the same parameters that has failed, if there is one."""
        return self._known.get(_key(training))

    def add(self, training: TrainingParams, failure: Failure) -> None:
        """Counts a trial that has failed.

        Raises:
            LumbargradeError: As many before it have failed in the same way.
        """
        self._known.setdefault(_key(training), failure)
        self.row.append(failure.state)
        if len(self.row) >= _MOST_IN_A_ROW and len(set(self.row[-_MOST_IN_A_ROW:])) == 1:
            raise LumbargradeError(
                f"{_MOST_IN_A_ROW} trials, one after another, could not be trained; of the last: {failure.reason}",
                _REMEDIES[failure.state],
                "trials-fail-in-a-row",
            )

    def end_row(self) -> None:
        """Notes that a trial was trained."""
        self.row.clear()


def no_trial_error(search: str, trials: Iterable[FrozenTrial]) -> LumbargradeError:
    """The error of a search none of whose trials could be trained."""
    ended = list(trials)
    last = ended[-1].user_attrs if ended else {}
    state = last.get("state", "diverged")
    why = "" if state == "diverged" else f", the last as {last['reason']}"
    return LumbargradeError(
        f"none of the {len(ended)} trials of {search} could be trained{why}", _REMEDIES[state], "no-trial-trained"
    )


def _key(training: TrainingParams) -> str:
    return training.model_dump_json()
