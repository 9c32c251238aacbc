"""What is graded: conditions, levels, grades, which series shows what, and how cells and rows are spelled.

A task is data (``tasks/<name>.yaml``, or a YAML file of the user's); no other module knows a condition by name.
"""

from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lumbargrade.errors import InputError
from lumbargrade.files import write_text

CellKey = tuple[str, str]
"""Name of a cell's condition, and its level."""


class SeriesKind(NamedTuple):
    """What a series description says: how its slices lie and how they are weighted."""

    orientation: Literal["sagittal", "coronal", "axial"]
    contrast: Literal["T1", "T2"]


_ORIENTATIONS: tuple[Literal["sagittal", "coronal", "axial"], ...] = ("sagittal", "coronal", "axial")
_CONTRASTS: tuple[Literal["T1", "T2"], ...] = ("T1", "T2")


def series_kind(description: str) -> SeriesKind:
    """Reads a series description such as ``Sagittal T2/STIR``.

    Raises:
        ValueError: It names no orientation or no weighting.
    """
    words = description.lower().replace("/", " ").split()
    orientation = next((name for name in _ORIENTATIONS if name in words), None)
    contrast = next((name for name in _CONTRASTS if name.lower() in words), None)
    if orientation is None or contrast is None:
        raise ValueError(f"series {description!r} must name sagittal, coronal or axial, and T1 or T2")
    return SeriesKind(orientation, contrast)


class Condition(BaseModel):
    """One condition that is graded at every level.

    Attributes:
        name: Spelling in column names and row ids, ``left_subarticular_stenosis``.
        label: Spelling in the coordinates table, ``Left Subarticular Stenosis``.
        group: Conditions of one group share a network head and are pooled in the score.
        series: The series description that shows the condition.
        side: The patient's side; the right side is mirrored onto the left before it is graded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    label: str
    group: str
    series: str
    side: Literal["left", "right"] | None = None

    @field_validator("series")
    @classmethod
    def _known_kind(cls, series: str) -> str:
        series_kind(series)
        return series

    @property
    def orientation(self) -> str:
        """How the slices lie that show it."""
        return series_kind(self.series).orientation

    @property
    def mirrored(self) -> bool:
        """Whether the image is reflected in the patient's left-right axis before it is graded."""
        return self.side == "right"


class Cell(NamedTuple):
    """One thing to grade in a study: a condition at a level."""

    condition: Condition
    level: str

    @property
    def column(self) -> str:
        """Column of ``train.csv``: ``spinal_canal_stenosis_l1_l2``."""
        return f"{self.condition.name}_{self.level.lower().replace('/', '_')}"


class GradingTask(BaseModel):
    """Conditions x levels x grades, frozen.

    Attributes:
        grades: From best to worst; the last one is called severe.
        grade_weights: Weight of each grade in the official score.
        any_severe_group: The group whose worst level makes the score's any-severe term, if there is one.
        midline: Where the points of the first condition without a side lie, which name the levels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    levels: tuple[str, ...] = Field(min_length=1)
    grades: tuple[str, ...] = Field(min_length=2)
    grade_weights: tuple[float, ...]
    any_severe_group: str | None = None
    midline: Literal["canal", "discs"] = "canal"
    conditions: tuple[Condition, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.grade_weights) != len(self.grades):
            raise ValueError(f"grade_weights has {len(self.grade_weights)} values for {len(self.grades)} grades")
        if self.any_severe_group is not None and self.any_severe_group not in self.groups:
            raise ValueError(f"any_severe_group {self.any_severe_group!r} is none of the groups {list(self.groups)}")
        for attribute in ("name", "label"):
            values = [getattr(condition, attribute) for condition in self.conditions]
            if len(set(values)) != len(values):
                raise ValueError(f"two conditions have the same {attribute}")
        return self

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Groups in the order in which the conditions name them."""
        return tuple(dict.fromkeys(condition.group for condition in self.conditions))

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, condition by condition, levels from the top down."""
        return tuple(Cell(condition, level) for condition in self.conditions for level in self.levels)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The grade columns of ``train.csv``."""
        return tuple(cell.column for cell in self.cells)

    @cached_property
    def series(self) -> tuple[str, ...]:
        """Series descriptions that show at least one condition."""
        return tuple(dict.fromkeys(condition.series for condition in self.conditions))

    @cached_property
    def grade_columns(self) -> tuple[str, ...]:
        """Probability columns of a submission: ``normal_mild``, ``moderate``, ``severe``."""
        return tuple(grade.lower().replace("/", "_") for grade in self.grades)

    def condition(self, name_or_label: str) -> Condition:
        """Returns the condition with this name or label.

        Raises:
            InputError: The task has no such condition.
        """
        for condition in self.conditions:
            if name_or_label in (condition.name, condition.label):
                return condition
        raise InputError(
            f"condition {name_or_label!r} is not in task {self.name}",
            f"it has: {', '.join(c.label for c in self.conditions)}",
            "condition-unknown",
        )


def task_names() -> list[str]:
    """Names of the tasks that come with the package."""
    files = resources.files("lumbargrade.config.tasks").iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml"))


def load_task(name: str) -> GradingTask:
    """Reads a task by its name, or from a YAML file of the user's.

    Args:
        name: A name of :func:`task_names`, or a path ending in ``.yaml``.

    Raises:
        InputError: No such task, or the file does not describe one.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise InputError(
                f"task file {name} does not exist",
                f"give a path to a YAML file or one of: {', '.join(task_names())}",
                "task-file-missing",
            )
        text = path.read_text(encoding="utf-8")
    elif name in task_names():
        text = (resources.files("lumbargrade.config.tasks") / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        raise InputError(
            f"task {name!r} is unknown",
            f"choose one of: {', '.join(task_names())}, or give a .yaml file",
            "task-unknown",
        )
    try:
        return GradingTask.model_validate(yaml.safe_load(text))
    except (ValidationError, yaml.YAMLError) as error:
        raise InputError(
            f"task {name} is not a valid task description: {_first_problem(error)}", "", "task-invalid"
        ) from error


def save_task(task: GradingTask, path: Path) -> None:
    """Writes a task as a YAML file that :func:`load_task` reads; an unchanged file is not touched."""
    text = yaml.safe_dump(task.model_dump(mode="json"), sort_keys=False)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        return f"{where}: {problem['msg']}"
    return str(error).replace("\n", " ")
