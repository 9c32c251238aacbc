"""The integrity check of a dataset: what its tables and headers show to be wrong, before anything is trained on it.

From the shell: ``lumbargrade dataset check DIR``.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import IMAGES, RsnaDataset, open_dataset
from lumbargrade.data.validation.points import Point
from lumbargrade.data.validation.report import CheckReport, Finding, SeriesSummary, count_kinds, finding, ordered
from lumbargrade.data.validation.series import SeriesFacts
from lumbargrade.data.validation.study import StudyJob, StudyOutcome, check_study, not_checked
from lumbargrade.data.validation.tables import check_tables
from lumbargrade.machine import count_processes
from lumbargrade.processes import Progress, each_result

_FEW_SERIES = 200


def check_dataset(root: Path, task: GradingTask, workers: int = 0, progress: Progress | None = None) -> CheckReport:
    """Checks a dataset; the same dataset always gives the same report.

    Args:
        workers: Processes; 0 is one for each core that has memory, or none at all where there is little to read.
        progress: Called with the studies done and all studies.

    Raises:
        InputError: The folder is no dataset of this task (see :func:`lumbargrade.data.layout.open_dataset`).
    """
    dataset = open_dataset(root, task)
    jobs = _jobs(dataset)
    outcomes: list[StudyOutcome] = []
    for job, outcome in each_result(partial(check_study, root, task), jobs, workers or _workers(jobs)):
        if isinstance(outcome, Exception):
            outcome = not_checked(job, "the process that read its files was killed")
        outcomes.append(outcome)
        if progress is not None:
            progress(len(outcomes), len(jobs))
    found = [*check_tables(dataset), *_unlisted(dataset, jobs), *(f for outcome in outcomes for f in outcome.findings)]
    return _report(dataset, ordered(found), [facts for outcome in outcomes for facts in outcome.facts])


def _jobs(dataset: RsnaDataset) -> list[StudyJob]:
    series: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for row in dataset.series.sort_values(["study_id", "series_id"]).to_dict("records"):
        series[row["study_id"]].append((row["series_id"], row["series_description"]))
    points: dict[int, list[Point]] = defaultdict(list)
    for row in dataset.used_points().to_dict("records"):
        point = Point(*(row[name] for name in ("series_id", "instance_number", "condition", "level", "x", "y")))
        points[row["study_id"]].append(point)
    listed = set(dataset.labels["study_id"].tolist())
    return [
        StudyJob(study, study in listed, tuple(series[study]), tuple(points[study]))
        for study in sorted(listed | set(series))
    ]


def _workers(jobs: Sequence[StudyJob]) -> int:
    """Processes cost seconds to start, which a small dataset does not repay."""
    return 1 if sum(len(job.series) for job in jobs) < _FEW_SERIES else count_processes()


def _unlisted(dataset: RsnaDataset, jobs: Sequence[StudyJob]) -> Iterator[Finding]:
    known = {str(job.study_id) for job in jobs}
    for folder in sorted((dataset.root / IMAGES).iterdir()):
        if folder.is_dir() and folder.name not in known:
            study_id = folder.name if folder.name.isdecimal() else None
            yield finding("study_unlisted", f"folder {IMAGES}/{folder.name}", study_id)


def _report(dataset: RsnaDataset, findings: tuple[Finding, ...], facts: Sequence[SeriesFacts]) -> CheckReport:
    encodings = Counter[str]()
    for fact in facts:
        encodings.update(fact.transfer_syntaxes)
    return CheckReport(
        task=dataset.task.name,
        studies=len(dataset.labels),
        files=sum(fact.files for fact in facts),
        points=len(dataset.points),
        findings=findings,
        counts=count_kinds(findings),
        grades=_grades(dataset),
        series=tuple(_series(dataset, facts, str(d)) for d in sorted(dataset.series["series_description"].unique())),
        transfer_syntaxes=_sorted(encodings),
        manufacturers=_sorted(Counter(fact.manufacturer for fact in facts)),
    )


def _grades(dataset: RsnaDataset) -> dict[str, dict[str, int]]:
    counts = {}
    for condition in dataset.task.conditions:
        columns = [cell.column for cell in dataset.task.cells if cell.condition == condition]
        found = Counter(dataset.labels[columns].fillna("empty").to_numpy().ravel().tolist())
        counts[condition.name] = {grade: found[grade] for grade in (*dataset.task.grades, "empty")}
    return counts


def _series(dataset: RsnaDataset, facts: Sequence[SeriesFacts], description: str) -> SeriesSummary:
    rows = dataset.series[dataset.series["series_description"] == description]
    own = [fact for fact in facts if fact.description == description]
    slices = [fact.slices for fact in own] or [0]
    return SeriesSummary(
        description=description,
        used=description in dataset.task.series,
        series=len(rows),
        studies=rows["study_id"].nunique(),
        files=sum(fact.files for fact in own),
        slices=(min(slices), float(median(slices)), max(slices)),
        not_square=sum(fact.not_square for fact in own),
        orientations=_sorted(Counter(fact.orientation for fact in own)),
        directions=_sorted(Counter(fact.direction for fact in own)),
    )


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
