"""The watch: reads what a version answered and says what drifted, since when, and how sure that is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from lumbargrade.config.params import WatchParams
from lumbargrade.config.task import GradingTask
from lumbargrade.frozen import Frozen
from lumbargrade.json_lines import JsonLines
from lumbargrade.monitoring.calibration import CalibrationDrift, Corrected, calibration_drift
from lumbargrade.monitoring.feature_groups import FAMILIES, family_tables
from lumbargrade.monitoring.mmd import Course, Family, follow, measure_null
from lumbargrade.serving.records.corrections import CORRECTIONS, KeptCorrection
from lumbargrade.serving.records.prediction_log import Answered

_NAMED = 3
"""Numbers of a family that are named, those that moved most."""


class Moved(Frozen):
    """A number that is other than it was.

    Attributes:
        before: Median of the reference.
        now: Median of the window in which drift was raised.
        chance: Of a Kolmogorov-Smirnov test of the two, not corrected for being the largest of many.
    """

    what: str
    before: float
    now: float
    chance: float


class FamilyDrift(Frozen):
    """A family that drifted.

    Attributes:
        height: In deviations from what chance makes of it, at its highest.
        chance: Share of undrifted stretches of ``horizon`` studies in which any family goes as high.
    """

    family: str
    means: str
    height: float
    chance: float
    moved: tuple[Moved, ...]


class Drift(Frozen):
    """A time in which what is served was not like the reference. Studies are counted from 1, after the reference.

    Attributes:
        since: The first study that is unlike the reference, as far as can be said.
        raised: The study after which the watch was sure.
        ended: The study after which it was like the reference again for a whole window; None if it is not.
    """

    since: int
    since_time: str
    raised: int
    raised_time: str
    raised_by: str
    ended: int | None
    families: tuple[FamilyDrift, ...]


class WatchReport(Frozen):
    """What the watch says.

    Attributes:
        state: ``waits`` while there are too few studies to look.
        reference: What the version is compared with, in words.
        studies: Answered after the reference, each once.
        needed: Studies that are missing before the first look.
        refused: Answers to what could not be opened, among all of the version.
        threshold: Height above which drift is raised.
        heights: Of each family at the last look.
    """

    model: str
    state: Literal["waits", "no drift", "drift"]
    reference: str
    reference_studies: int
    studies: int
    needed: int
    refused: int
    threshold: float | None
    heights: dict[str, float]
    drifts: tuple[Drift, ...]
    calibration: CalibrationDrift

    @property
    def now(self) -> Drift | None:
        """The drift that has not ended."""
        return next((drift for drift in self.drifts if drift.ended is None), None)


@dataclass(frozen=True, eq=False)
class Watched:
    """A report and the course behind it.

    Attributes:
        course: None while the watch waits.
        first_look: The study of the stream after which the first look was.
    """

    report: WatchReport
    course: Course | None
    first_look: int


def watch(
    answers: Iterable[Answered],
    model: str,
    task: GradingTask,
    params: WatchParams,
    reference: Sequence[Answered] = (),
    corrected: Corrected | None = None,
) -> Watched:
    """Watches what a version answered.

    Args:
        answers: The serving log, in its order; those of other versions are passed over.
        model: Registered name and version.
        reference: Studies that the version was registered with; if they are fewer than ``params.reference``, the first so
            many that it answered take their place.
        corrected: Readers' grades.
    """
    ours = [answered for answered in answers if answered.model == model]
    studies = _once(ours)
    signed = len(reference) >= params.reference
    known = list(reference) if signed else studies[: params.reference]
    stream = studies if signed else studies[params.reference :]
    name = "held-out studies that were signed with the version" if signed else "studies that the version answered first"
    missing = (0 if signed else params.reference - len(known)) + max(params.window - len(stream), 0)
    course: Course | None = None
    drifts: tuple[Drift, ...] = ()
    if not missing:
        course, families, tables = _follow(known, stream, task, params)
        drifts = tuple(_drifts(course, families, tables, stream, params.window))
    calibration = calibration_drift(studies, corrected or {}, task, params.false_alarms)
    is_drift = calibration.drift or any(drift.ended is None for drift in drifts)
    report = WatchReport(
        model=model,
        state="drift" if is_drift else "waits" if course is None else "no drift",
        reference=f"{len(known)} {name}",
        reference_studies=len(known),
        studies=len(stream),
        needed=missing,
        refused=sum(answered.study == "" for answered in ours),
        threshold=None if course is None else course.threshold,
        heights={} if course is None else dict(zip(course.names, course.heights[:, -1].tolist(), strict=True)),
        drifts=drifts,
        calibration=calibration,
    )
    return Watched(report, course, params.window)


def read_corrected(folder: Path, task: GradingTask) -> Corrected:
    """Readers' last grades from the corrections of a data folder."""
    found: dict[str, dict[tuple[str, str], str | None]] = {}
    for kept in JsonLines(folder / CORRECTIONS).read(KeptCorrection):
        if kept.task == task.name:
            cells = found.setdefault(kept.study_hash, {})
            cells[kept.correction.condition, kept.correction.level] = kept.correction.grade
    return found


def _once(answers: Iterable[Answered]) -> list[Answered]:
    """The first answer for each study: a study that is asked for again says nothing new."""
    first: dict[str, Answered] = {}
    for answered in answers:
        if answered.features is not None:
            first.setdefault(answered.study, answered)
    return list(first.values())


_Tables = Mapping[str, pd.DataFrame]


def _follow(
    known: Sequence[Answered], stream: Sequence[Answered], task: GradingTask, params: WatchParams
) -> tuple[Course, dict[str, Family], _Tables]:
    tables = family_tables([*known, *stream], task)
    usual = len(known)
    families = {name: Family.of(table.iloc[:usual], table.iloc[usual:]) for name, table in tables.items()}
    return follow(families, measure_null(families, params), params.window), families, tables


def _drifts(
    course: Course, families: Mapping[str, Family], tables: _Tables, stream: Sequence[Answered], window: int
) -> Iterable[Drift]:
    """The times above the threshold; one ends when it has been below for a whole window."""
    above = np.asarray((course.heights > course.threshold).any(axis=0))
    looks = np.flatnonzero(above)
    if not looks.size:
        return
    for part in np.split(looks, np.flatnonzero(np.diff(looks) > window) + 1):
        first, last = int(part[0]), int(part[-1])
        raised = first + window - 1
        highest = course.heights[:, first : last + 1]
        drifted = [number for number in range(len(course.names)) if highest[number].max() > course.threshold]
        leader = course.names[int(course.heights[:, first].argmax())]
        since = families[leader].since(raised, window)
        over = len(above) - 1 - last >= window
        yield Drift(
            since=since + 1,
            since_time=stream[since].time,
            raised=raised + 1,
            raised_time=stream[raised].time,
            raised_by=stream[raised].request_id,
            ended=last + window + 1 if over else None,
            families=tuple(
                _family(course, number, first, last, tables, families[course.names[number]].reference, window)
                for number in sorted(drifted, key=lambda number: -float(highest[number].max()))
            ),
        )


def _family(
    course: Course, number: int, first: int, last: int, tables: _Tables, usual: int, window: int
) -> FamilyDrift:
    name = course.names[number]
    look = first + int(course.heights[number, first : last + 1].argmax())
    table = tables[name]
    moved = _moved(table.iloc[:usual], table.iloc[usual + look : usual + look + window])
    return FamilyDrift(
        family=name,
        means=FAMILIES[name],
        height=float(course.heights[number, look]),
        chance=float(course.chances[number, look]),
        moved=tuple(moved),
    )


def _moved(before: pd.DataFrame, now: pd.DataFrame) -> list[Moved]:
    found = []
    for name in before.columns:
        one, other = before[name].dropna(), now[name].dropna()
        if len(one) and len(other):
            chance = float(ks_2samp(one, other).pvalue)
            found.append(Moved(what=str(name), before=_middle(one), now=_middle(other), chance=chance))
    return sorted(found, key=lambda each: each.chance)[:_NAMED]


def _middle(values: "pd.Series[float]") -> float:
    """The median, or of shares and yes-or-no the mean, whose median would tell nothing."""
    return float(values.mean() if values.isin([0.0, 1.0]).all() else values.median())
