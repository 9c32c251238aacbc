"""The student: one grader that was made of a trial's folds, with how well it agrees with them."""

from dataclasses import dataclass

from lumbargrade.config.params import SinglePackaging
from lumbargrade.training.jobs.spec import FoldResult


@dataclass(frozen=True)
class Student:
    """The grader that was made of the best trial's folds, to answer as they do together.

    Attributes:
        how: Whether it was distilled from them or has the mean of their weights.
        teachers: SHA-256 of the folds' networks, in their order.
        run_id: MLflow's id of its training.
    """

    how: SinglePackaging
    result: FoldResult
    teachers: tuple[str, ...]
    run_id: str

    @property
    def divergence(self) -> float:
        """Mean Kullback-Leibler divergence of its teachers' answers from its own, in nats; of cells that it trained on."""
        return self.result.validation_loss

    @property
    def same_grade(self) -> float:
        """Share of these cells to which it gives the same likeliest grade as its teachers."""
        return self.result.history()[-1].validation_accuracy
