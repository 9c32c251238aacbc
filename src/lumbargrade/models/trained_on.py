"""What a model was trained on and how well it did, carried as data with the model, and the sentences made from it.

Whatever shows a grade shows these sentences too, and makes none of its own.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

TRAINED_ON = "trained_on"
"""Column of an answer, the same in each record: :class:`lumbargrade.models.trained_on.TrainedOnStatement` as JSON."""

Pretraining = Literal["none", "imagenet", "synthetic", "unknown"]
"""What the first weights were trained on: nothing, photographs, phantoms, or it is not recorded."""

NOT_RECORDED = "It is not recorded what this model was trained on."


class TrainedOn(BaseModel):
    """The images that a model was trained on.

    Attributes:
        datasets: Their names.
        task: Name of the grading task.
        studies: That were trained on: those outside the holdout.
        synthetic_studies: Those of them whose images carry the mark of the phantom generator.
        unknown_studies: Those of them of which no image could be read.
        patients: Of the studies; None if it is not known of each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    datasets: tuple[str, ...]
    task: str
    studies: int
    synthetic_studies: int
    unknown_studies: int = 0
    patients: int | None = None
    pretraining: Pretraining = "none"

    @property
    def synthetic(self) -> bool | None:
        """Whether they were synthetic only; None if that is not known."""
        if self.synthetic_studies == self.studies and self.pretraining != "unknown":
            return True
        known_real = self.synthetic_studies + self.unknown_studies < self.studies
        return False if known_real else None

    def sentence(self) -> str:
        """Says it to a reader of the grades."""
        if self.synthetic:
            return (
                f"This model was trained on synthetic spines only ({_count(self.studies, 'study')}). "
                "Its grades of real images have not been shown to mean anything."
            )
        return f"This model was trained on {self._studies()}{self._source()}{self._pretrained()}."

    def _studies(self) -> str:
        real = self.studies - self.synthetic_studies - self.unknown_studies
        counts = {"real": real, "synthetic": self.synthetic_studies, "unidentified": self.unknown_studies}
        kinds = [(name, number) for name, number in counts.items() if number]
        if kinds == [("unidentified", self.studies)]:
            return f"{_count(self.studies, 'study')} of which it is not recorded whether they are real"
        *others, (name, number) = kinds
        before = "".join(f"{count} {kind} and " for kind, count in others)
        return f"{before}{number} {name} {'study' if self.studies == 1 else 'studies'}"

    def _source(self) -> str:
        patients = f" of {_count(self.patients, 'patient')}" if self.patients is not None else ""
        return f"{patients} (dataset {', '.join(self.datasets)})"

    def _pretrained(self) -> str:
        match self.pretraining:
            case "synthetic":
                return ", after pretraining on synthetic spines"
            case "unknown":
                return ", after pretraining on images that are not recorded"
        return ""


class Performance(BaseModel):
    """How well a model graded studies that it had not seen, the likeliest grade of each cell against the readers'.

    Attributes:
        accuracy_majority: Accuracy of always answering ``majority``, the commonest grade.
        worst: Name of the worst grade; so many of ``worst_cells`` were ``worst_found``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    studies: int
    cells: int
    accuracy: float
    accuracy_majority: float
    majority: str
    worst: str
    worst_found: int
    worst_cells: int

    @property
    def beats_baseline(self) -> bool:
        """Whether it is right more often than the commonest grade alone, by what is shown of both."""
        return round(self.accuracy, 3) > round(self.accuracy_majority, 3)

    def recall(self) -> str:
        """``found 3 of 24 Severe cells (recall 12 %)``."""
        if not self.worst_cells:
            return f"recall of {self.worst} could not be measured, as no cell was {self.worst}"
        share = self.worst_found / self.worst_cells
        return f"it found {self.worst_found} of {self.worst_cells} {self.worst} cells (recall {100 * share:.0f} %)"

    def sentence(self, where: str) -> str:
        """Says it: recall of the worst grade first, accuracy only beside its baseline.

        Args:
            where: Begins the sentence, as ``In cross-validation``.
        """
        accuracy, baseline = f"{100 * self.accuracy:.1f} %", f"{100 * self.accuracy_majority:.1f} %"
        always = f"always answering {self.majority}"
        told = f"{always} {baseline}" if self.beats_baseline else f"no better than {always} ({baseline})"
        on = f"{where} ({_count(self.studies, 'study')}, {_count(self.cells, 'cell')})"
        return f"{on} {self.recall()}; accuracy {accuracy}, {told}."


class ModelFacts(BaseModel):
    """What is kept with a model for whoever reads its grades.

    Attributes:
        cross_validation: Where the model itself looked for the places; of its folds, each on studies that it had not seen.
        holdout: Only known after a version is packaged, so it stands in the version's evidence and not in its package.
        coverage: How often the possible grades of a cell shall hold the true one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trained_on: TrainedOn
    cross_validation: Performance
    holdout: Performance | None = None
    coverage: float


class TrainedOnStatement(BaseModel):
    """What of :class:`ModelFacts` stands beside every grade: sentences for people, and what programs ask for.

    Attributes:
        sentence: What the model was trained on; it says so if nothing is recorded.
        performance: Recall of the worst grade, and accuracy beside its baseline; None if they are not recorded.
        synthetic: Whether it was trained on synthetic images only; None if that is not recorded.
        dataset: Names of the datasets; None if they are not recorded.
        studies: That it was trained on; None if that is not recorded.
        possible_grades: What the sets of possible grades mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sentence: str
    performance: str | None
    synthetic: bool | None
    dataset: str | None
    studies: int | None
    possible_grades: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The sentences that stand above the grades."""
        return (self.sentence, self.performance) if self.performance else (self.sentence,)


def state(facts: ModelFacts | None) -> TrainedOnStatement:
    """Makes the sentences; of a model without facts, which was registered before they were kept, that nothing is recorded."""
    if facts is None:
        return TrainedOnStatement(
            sentence=NOT_RECORDED,
            performance=None,
            synthetic=None,
            dataset=None,
            studies=None,
            possible_grades=_possible_grades("most cells", "studies like those that the model was trained on"),
        )
    trained_on = facts.trained_on
    performance = facts.cross_validation.sentence("In cross-validation")
    if facts.holdout is not None:
        performance += f" {facts.holdout.sentence('On the holdout')}"
    like = "synthetic studies like those" if trained_on.synthetic else "studies like those"
    return TrainedOnStatement(
        sentence=trained_on.sentence(),
        performance=performance,
        synthetic=trained_on.synthetic,
        dataset=", ".join(trained_on.datasets),
        studies=trained_on.studies,
        possible_grades=_possible_grades(
            f"{100 * facts.coverage:.0f} % of cells", f"{like} that the model was trained on"
        ),
    )


def facts_of_story(story: Mapping[str, Any]) -> ModelFacts | None:
    """The facts in the lineage record of a version; None if it was registered before they were kept."""
    return ModelFacts.model_validate(story["facts"]) if "facts" in story else None


def statement_of(record: Mapping[str, Any]) -> TrainedOnStatement:
    """The statement that a record of an answer carries; models that were registered before do not carry any."""
    try:
        return TrainedOnStatement.model_validate_json(str(record.get(TRAINED_ON) or ""))
    except ValidationError:
        return state(None)


def _possible_grades(share: str, like: str) -> str:
    return (
        f"The possible grades of a cell were calibrated to hold the true one in {share} of {like}, "
        "and of such studies only; of other images that has not been shown."
    )


def _count(number: int, what: str) -> str:
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number:,} {what if number == 1 else plural}"
