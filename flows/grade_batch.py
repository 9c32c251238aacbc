"""Grades a folder of studies as a Prefect flow, so that it can be scheduled."""

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from lumbargrade.console import bar
from lumbargrade.serving.batch.run import BatchSummary, run_batch


@flow(name="grade-batch")
def grade_batch(directory: Path, out: Path, model: str, processes: int = 0) -> BatchSummary:
    """Grades what of a folder's studies is not graded yet; see ``lumbargrade grade DIR --out``.

    Args:
        directory: With a folder or a zip for each study, or in RSNA's layout.
        out: A ``.parquet`` table, or RSNA's submission as ``.csv``.
        processes: 0 is one for each core, or two for each GPU.
    """
    with bar("grading") as on_progress:
        summary = run_batch(directory, out, model, processes, on_progress)
    rows = "\n".join(f"| {name} | {value} |" for name, value in summary.lines())
    create_markdown_artifact(key="grade-batch", markdown=f"| | |\n|---|---|\n{rows}")
    return summary
