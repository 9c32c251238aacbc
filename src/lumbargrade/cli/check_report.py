"""What ``lumbargrade dataset check`` prints: the dataset in figures, then each fault with examples and what to do."""

from collections.abc import Iterator

from rich.text import Text

from lumbargrade.cli.tables import table_lines, wrap_text
from lumbargrade.data.validation.report import CheckReport, Finding, KindCount
from lumbargrade.data.validation.rules import Level

_STYLES: dict[Level, str] = {"error": "bold red", "warning": "yellow", "note": ""}
_EXAMPLES = 2


def check_lines(report: CheckReport, width: int) -> Iterator[Text]:
    """The report in lines of so many letters."""
    found = {level: len(report.of_level(level)) for level in _STYLES}
    numbers = [f"{number:,} {level}{'' if number == 1 else 's'}" for level, number in found.items()]
    files = f"{report.studies:,} studies, {report.files:,} files, {report.points:,} points"
    yield from wrap_text(f"Task {report.task}: {files}; {', '.join(numbers)}", width, "  ")
    yield Text()
    yield from _series(report, width)
    yield Text()
    yield from _grades(report, width)
    for count in report.counts:
        yield Text()
        yield from _fault(count, [one for one in report.findings if one.kind == count.kind], width)


def _fault(count: KindCount, findings: list[Finding], width: int) -> Iterator[Text]:
    times = f"{count.findings:,} time{'' if count.findings == 1 else 's'}"
    studies = f"{count.studies:,} {'study' if count.studies == 1 else 'studies'}"
    head = f"{count.level.upper()}: {count.title} ({times}, {studies})"
    yield from wrap_text(head, width, "  ", _STYLES[count.level])
    for example in findings[:_EXAMPLES]:
        yield from wrap_text(f"  {_place(example)}: {example.message}", width, "    ")
    yield from wrap_text(f"  What to do: {count.remedy}", width, "    ")


def _place(found: Finding) -> str:
    study = "no study" if found.study_id is None else f"study {found.study_id}"
    return study if found.series_id is None else f"{study} series {found.series_id}"


def _series(report: CheckReport, width: int) -> Iterator[Text]:
    heads = ("series", "number", "studies", "files", "slices", "orientation", "numbers run to")
    rows = []
    for series in report.series:
        name = series.description if series.used else f"{series.description} (not used)"
        least, middle, most = series.slices
        ways = [
            ", ".join(f"{key} {n:,}" for key, n in part.items()) for part in (series.orientations, series.directions)
        ]
        numbers = [f"{number:,}" for number in (series.series, series.studies, series.files)]
        rows.append([name, *numbers, f"{least} to {most}, median {middle:g}", *ways])
    yield from table_lines(heads, rows, width)


def _grades(report: CheckReport, width: int) -> Iterator[Text]:
    grades = next(iter(report.grades.values()))
    rows = [[condition, *(f"{number:,}" for number in counts.values())] for condition, counts in report.grades.items()]
    yield from table_lines(("cells", *grades), rows, width)
