"""The JSON of the HTTP API. The OpenAPI document is made from these models."""

from typing import Literal

from pydantic import Field

from lumbargrade.config.task import GradingTask
from lumbargrade.inference.series_table import SeriesRow
from lumbargrade.models.trained_on import TrainedOnStatement, state
from lumbargrade.serving.records.corrections import Correction, HttpModel, ServedVersion
from lumbargrade.viewer.errors import Problem
from lumbargrade.viewer.image_index import Identifiers, Plane, Vector3, Weighting

Stage = Literal["received", "checking", "reading", "grading", "choose", "done", "failed"]


class ErrorAnswer(HttpModel):
    """Any refusal."""

    error: Problem


class ConditionInfo(HttpModel):
    """A condition of the task; ``short`` is for the head of a column."""

    name: str
    title: str
    short: str
    side: Literal["left", "right"] | None


class TaskInfo(HttpModel):
    """What is graded; grades from the best to the worst."""

    name: str
    title: str
    conditions: tuple[ConditionInfo, ...]
    levels: tuple[str, ...]
    grades: tuple[str, ...]


class UploadLimits(HttpModel):
    """Of one upload."""

    max_bytes: int
    max_files: int


class Session(HttpModel):
    """What the page needs first. ``csrf_token`` goes into the header X-CSRF-Token of what changes something."""

    csrf_token: str
    model: ServedVersion
    task: TaskInfo
    research_strip: str | None
    limits: UploadLimits
    ready: bool


class Accepted(HttpModel):
    """An upload that will be graded."""

    id: str


class StudyChoice(HttpModel):
    """One of the studies of an upload that holds several.

    Attributes:
        number: From 1, in the order of their days.
        date: Day of the study, YYYY-MM-DD.
        series, images: How many of MR it has.
        shows: What its series show, in words such as ``sagittal T2``.
    """

    number: int
    date: str | None
    series: int
    images: int
    shows: tuple[str, ...]


class Event(HttpModel):
    """How far a study has come.

    Attributes:
        studies: At stage ``choose``: the upload's studies, one of which is to be chosen.
    """

    stage: Stage
    percent: int = Field(ge=0, le=100)
    words: str
    error: Problem | None = None
    studies: tuple[StudyChoice, ...] = ()


class Choices(HttpModel):
    """The answer for an upload of several studies: post to ``/api/studies/{id}/choices/{number}`` which one to grade."""

    error: Problem
    studies: tuple[StudyChoice, ...]


class Sentence(HttpModel):
    """What is found at a level, in plain words."""

    level: str
    text: str


class NotGraded(HttpModel):
    """Why cells are not graded, one of these a cause.

    Attributes:
        code: Of the cells' reasons; None if older models answered.
        sites: The cells in words.
        cells: How many.
        text: Why, a sentence without a capital letter and a full stop.
    """

    code: str | None
    sites: str
    cells: int
    text: str

    @property
    def words(self) -> str:
        """The sentence that reports have."""
        return f"Not graded: {self.sites}{'' if self.cells == 1 else f' ({self.cells} sites)'}: {self.text}."


class Place(HttpModel):
    """Where the model looked.

    Attributes:
        slice: Index among the series' slices.
        x: Column, pixels; y the row.
        mm: The same in the patient, DICOM's coordinates.
        confidence: Of the place, 0 to 1; None if the place came with the study.
        series_number, series_name, instance_number, sop_instance_uid: Of the slice, as its file has them; the name is
            made of words of a fixed list. None of answers that were given before they were kept.
    """

    series_id: str
    slice: int
    x: float
    y: float
    mm: Vector3
    confidence: float | None
    series_number: int | None = None
    series_name: str | None = None
    instance_number: int | None = None
    sop_instance_uid: str | None = None


class CorrectionRequest(HttpModel):
    """A correction that is sent."""

    condition: str
    level: str
    grade: str | None
    comment: str | None = Field(default=None, max_length=500)


class Cell(HttpModel):
    """A condition at a level.

    Attributes:
        possible_grades: The true one should be among them; ``trained_on`` says how often.
        reason: Why there is no grade.
        place_uncertain: Whether the model is too unsure where to look for its grade to be called sure.
    """

    condition: str
    level: str
    grade: str | None
    probabilities: dict[str, float] | None
    possible_grades: tuple[str, ...]
    reason: str | None
    correction: Correction | None
    place: Place | None
    place_uncertain: bool = False


class Window(HttpModel):
    """Grey scale, in the values of the slices as sent."""

    center: float
    width: float


class SliceGeometry(HttpModel):
    """Where a slice lies: column x, row y is origin + x * column spacing * row_dir + y * row spacing * column_dir."""

    origin_mm: Vector3
    row_dir: Vector3
    column_dir: Vector3


class Series(HttpModel):
    """Slices that are scrolled through together; blocks angled to the discs are not parallel.

    Attributes:
        pixel_mm: Row spacing, column spacing.
    """

    id: str
    title: str
    plane: Plane
    weighting: Weighting
    rows: int
    columns: int
    slices: int
    window: Window
    pixel_mm: tuple[float, float]
    geometry_known: bool
    geometry: tuple[SliceGeometry, ...]


class ReportLinks(HttpModel):
    """Where the report is."""

    pdf: str
    sr: str
    json_: str = Field(alias="json")
    csv: str


class StudyAnswer(HttpModel):
    """A graded study. It leads with ``trained_on``, ``flags``, ``not_graded`` and ``sentences``.

    Attributes:
        series_table: All series of the study, those that are used and those that are not, with why.
    """

    id: str
    request_id: str
    model: ServedVersion
    trained_on: TrainedOnStatement
    graded_at: str
    study_hash: str
    flags: tuple[str, ...]
    not_graded: tuple[NotGraded, ...] = ()
    sentences: tuple[Sentence, ...]
    cells: tuple[Cell, ...]
    series: tuple[Series, ...]
    series_table: tuple[SeriesRow, ...] = ()
    identifiers: Identifiers | None
    report: ReportLinks


class StudyReport(HttpModel):
    """What can be kept of an answer: no images, no address in this server."""

    research_strip: str | None
    trained_on: TrainedOnStatement
    request_id: str
    model: ServedVersion
    task: str
    graded_at: str
    study_hash: str
    flags: tuple[str, ...]
    not_graded: tuple[NotGraded, ...] = ()
    sentences: tuple[Sentence, ...]
    cells: tuple[Cell, ...]
    series_table: tuple[SeriesRow, ...] = ()
    identifiers: Identifiers | None


class Heat(HttpModel):
    """What spoke for a grade; ``png`` is base64, grey, turned as the slice is; its centre lies at x, y."""

    series_id: str
    slice: int
    x: float
    y: float
    side_mm: float
    png: str
    words: str


class ModelPage(HttpModel):
    """The model that serves, and how good it was found.

    Attributes:
        score: The official score, lower is better, on what ``score_on`` says.
        score_interval: 95 %.
        accuracy_majority: Of always answering the commonest grade.
        holdout_score: On the frozen holdout, where only the gate looks.
        card_html: Address of the model's card.
        lineage_html: Address of its lineage.
    """

    name: str
    version: str
    alias: str | None = None
    run_id: str | None = None
    registered_at: str | None = None
    trained_on: TrainedOnStatement = Field(default_factory=lambda: state(None))
    score_on: Literal["cross-validation"] | None = None
    score: float | None = None
    score_interval: tuple[float, float] | None = None
    accuracy: float | None = None
    accuracy_majority: float | None = None
    severe_auc: float | None = None
    calibration_error: float | None = None
    studies: int | None = None
    cells: int | None = None
    holdout_score: float | None = None
    holdout_accuracy: float | None = None
    card_html: str | None = None
    lineage_html: str | None = None


def task_info(task: GradingTask) -> TaskInfo:
    """The task as the page needs it."""
    conditions = tuple(
        ConditionInfo(
            name=condition.name,
            title=condition.label,
            short=f"{condition.side or ''} {condition.group}".strip().capitalize(),
            side=condition.side,
        )
        for condition in task.conditions
    )
    return TaskInfo(name=task.name, title=task.title, conditions=conditions, levels=task.levels, grades=task.grades)
