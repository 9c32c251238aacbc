"""An answered study as numbers, in families that drift for different reasons."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from lumbargrade.config.task import GradingTask, series_kind
from lumbargrade.inference.drift_features import MAKERS, OTHER, Features, SeriesFacts
from lumbargrade.serving.records.prediction_log import Answered, AnsweredCell

FAMILIES: Mapping[str, str] = {
    "scanner": "maker, field strength and timings",
    "geometry": "which series there are, their spacing and slices",
    "intensity": "brightness, contrast and noise",
    "embedding": "what the graders see in the crops",
    "predictions": "how likely each grade is held",
    "locator": "how sure the locator is, and what cannot be graded",
}
"""What is watched, and what it stands for."""


def family_tables(answers: Sequence[Answered], task: GradingTask) -> dict[str, pd.DataFrame]:
    """A table for each family, a row a study; what a study does not have is NaN.

    Args:
        answers: With features.
    """
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in FAMILIES}
    for answered in answers:
        assert answered.features is not None
        for name, numbers in _numbers(answered.features, answered.cells, task).items():
            rows[name].append(numbers)
    return {name: pd.DataFrame(table, dtype=np.float64) for name, table in rows.items()}


def _numbers(features: Features, cells: Sequence[AnsweredCell], task: GradingTask) -> dict[str, dict[str, float]]:
    views = _views(features, task)
    return {
        "scanner": _scanner(features, views),
        "geometry": _geometry(features, views),
        "intensity": {key: value for view, facts in views.items() for key, value in _intensity(view, facts).items()},
        "embedding": {
            f"{group} {place}": value
            for group, values in features.embedding.items()
            for place, value in enumerate(values)
        },
        "predictions": _predictions(cells, task),
        "locator": {**_locator(cells, task), "remarks": float(features.notes)},
    }


def _views(features: Features, task: GradingTask) -> dict[str, SeriesFacts | None]:
    """The largest series of each kind that the task looks at."""
    views: dict[str, SeriesFacts | None] = {}
    for name in sorted({condition.series for condition in task.conditions}):
        kind = series_kind(name)
        fitting = [
            facts
            for facts in features.series
            if facts.orientation == kind.orientation and facts.contrast == kind.contrast
        ]
        views[name] = max(fitting, key=lambda facts: facts.slices, default=None)
    return views


def _scanner(features: Features, views: Mapping[str, SeriesFacts | None]) -> dict[str, float]:
    found = {f"maker is {maker or 'not told'}": float(features.maker == maker) for maker in (*MAKERS, OTHER, "")}
    found["field strength (T)"] = np.nan if features.field_strength is None else features.field_strength
    for view, facts in views.items():
        found[f"{view}: echo time (log ms)"] = _log(facts.echo_time if facts else None)
        found[f"{view}: repetition time (log ms)"] = _log(facts.repetition_time if facts else None)
    return found


def _geometry(features: Features, views: Mapping[str, SeriesFacts | None]) -> dict[str, float]:
    found = {"series": float(len(features.series))}
    for view, facts in views.items():
        found[f"{view}: there"] = float(facts is not None)
        found[f"{view}: slices"] = float(facts.slices) if facts else np.nan
        rows, columns = facts.spacing if facts and facts.spacing else (None, None)
        found[f"{view}: spacing of rows (log mm)"] = _log(rows)
        found[f"{view}: spacing of columns (log mm)"] = _log(columns)
        found[f"{view}: slice distance (log mm)"] = _log(facts.between if facts else None)
        found[f"{view}: slice thickness (log mm)"] = _log(facts.thickness if facts else None)
    return found


def _intensity(view: str, facts: SeriesFacts | None) -> dict[str, float]:
    seen = facts.intensities if facts else None
    found = {
        f"{view}: white (log)": _log(seen.white if seen else None),
        f"{view}: noise (log)": _log(seen.noise if seen else None),
        f"{view}: mean grey": seen.mean if seen else np.nan,
        f"{view}: deviation of grey": seen.deviation if seen else np.nan,
    }
    for number, place in enumerate(("10th", "50th", "90th")):
        found[f"{view}: {place} percentile of grey"] = seen.percentiles[number] if seen else np.nan
    return found


def _predictions(cells: Sequence[AnsweredCell], task: GradingTask) -> dict[str, float]:
    found: dict[str, float] = {}
    for condition in task.conditions:
        given = [cell.probabilities for cell in cells if cell.condition == condition.name and cell.probabilities]
        mean = np.mean(given, axis=0) if given else np.full(len(task.grades), np.nan)
        found |= {f"{condition.label}: {grade}": float(p) for grade, p in zip(task.grades, mean, strict=True)}
    found["probability of the likeliest grade"] = _mean(max(cell.probabilities) for cell in cells if cell.probabilities)
    return found


def _locator(cells: Sequence[AnsweredCell], task: GradingTask) -> dict[str, float]:
    group_of = {condition.name: condition.group for condition in task.conditions}
    found: dict[str, float] = {}
    for group in task.groups:
        ours = [cell for cell in cells if group_of[cell.condition] == group]
        found[f"{group}: confidence"] = _mean(cell.confidence for cell in ours if cell.confidence is not None)
        found[f"{group}: share graded"] = _mean(float(bool(cell.probabilities)) for cell in ours)
    return found


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.mean(found)) if found else np.nan


def _log(value: float | None) -> float:
    return float(np.log(value)) if value else np.nan
