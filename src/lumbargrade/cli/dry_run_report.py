"""What ``lumbargrade run --dry-run`` prints: what would stop the run, and what it will take."""

from collections.abc import Iterator

from rich.text import Text

from lumbargrade.cli.tables import table_lines, wrap_text
from lumbargrade.data.validation.counts import DatasetCounts
from lumbargrade.pipeline.estimate.dry_run import DryRun, size_words
from lumbargrade.pipeline.estimate.resources import time_words


def dry_run_lines(run: DryRun, width: int) -> Iterator[Text]:
    """The result in lines of so many letters."""
    for problem in run.problems:
        yield from wrap_text(f"problem: {problem}", width, "  ", "red")
    for note in run.notes:
        yield from wrap_text(f"note: {note}", width, "  ", "dim")
    if run.dataset is not None:
        yield Text()
        yield from _dataset(run.dataset, width)
    yield Text()
    yield from _training(run, width)
    yield Text()
    yield from _disk(run, width)
    yield Text()
    yield Text("nothing stops the run" if not run.problems else f"{len(run.problems)} to mend first")


def _dataset(counts: DatasetCounts, width: int) -> Iterator[Text]:
    rows = {"studies": counts.studies, **{f"series {name}": number for name, number in counts.series.items()}}
    rows |= {"files": counts.files, "points": counts.points}
    counted = [[name, f"{number:,}"] for name, number in rows.items()]
    yield from table_lines(("dataset", "number"), [*counted, ["size", size_words(counts.bytes)]], width)


def _training(run: DryRun, width: int) -> Iterator[Text]:
    title = f"training on {', '.join(run.devices)}; pace from a few steps at the recipe's size"
    yield from wrap_text(title, width)
    hours = {row.network: row for row in run.hours}
    rows = []
    for cost in run.training:
        batch = f"{cost.batch_size} x {cost.image_pixels}²"
        pace = "does not fit" if cost.images_per_second is None else f"{cost.images_per_second:.1f}"
        row = hours.get(cost.network)
        times = ("", "", "") if row is None else (time_words(row.fold_hours), str(row.folds), time_words(row.hours))
        rows.append([cost.network, f"{cost.weights:,}", batch, size_words(cost.memory_bytes), pace, *times])
    if (student := hours.get("student")) is not None:
        rows.append(["student", *[""] * 4, time_words(student.hours), "1", time_words(student.hours)])
    heads = ("network", "weights", "batch", "memory", "images/s", "a fold", "folds", "all")
    yield from table_lines(heads, rows, width)
    caption = (
        "memory: 16 bytes a weight, and the tensors that batches of 2 and 4 keep for the backward pass, scaled; "
        "libraries' workspaces come on top"
    )
    yield from wrap_text(caption, width, style="dim")


def _disk(run: DryRun, width: int) -> Iterator[Text]:
    yield Text("disk, as if the run's own files were not there yet")
    rows = [[need.what, size_words(need.bytes), need.why] for need in run.disk]
    rows.append(["in all", size_words(run.disk_needed), f"free: {size_words(run.disk_free)}"])
    yield from table_lines(("on the disk", "size", "counted as"), rows, width)
