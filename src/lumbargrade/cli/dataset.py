"""``lumbargrade dataset``: check a dataset, add studies to it, version it."""

from pathlib import Path
from typing import Annotated

import typer

from lumbargrade.cli.output import Json, TaskName, Workers, print_lines, print_result, table_width

VERSION_FLOW = "flows/version_dataset.py:version_dataset_flow"

dataset_app = typer.Typer(no_args_is_help=True, help="Check datasets, add studies to them, version them.")


@dataset_app.command("check")
def check_command(
    directory: Annotated[Path, typer.Argument(help="Dataset in RSNA layout.")],
    task: TaskName = "rsna2024",
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Report what is wrong with a dataset; exit with 1 if there are errors. Reads headers only."""
    from lumbargrade.cli.check_report import check_lines
    from lumbargrade.config.task import load_task
    from lumbargrade.console import bar
    from lumbargrade.data.validation.validate import check_dataset

    with bar("studies checked") as progress:
        report = check_dataset(directory, load_task(task), workers, progress)
    if as_json:
        print(report.model_dump_json(indent=2))
    else:
        print_lines(check_lines(report, table_width()))
    raise typer.Exit(1 if report.errors else 0)


@dataset_app.command("version")
def version_command(
    directory: Annotated[Path, typer.Argument(help="Dataset in RSNA layout.")],
    commit: Annotated[bool, typer.Option("--commit", help="Commit the pointers to git.")] = False,
    as_json: Json = False,
) -> None:
    """Put a dataset under DVC and push it to the default remote."""
    from lumbargrade.operations.local_flow import load_flow

    summary = load_flow(VERSION_FLOW)(directory, commit)
    print_result(summary.model_dump(mode="json"), as_json, summary.lines())


@dataset_app.command("add")
def add_command(
    source: Annotated[
        Path,
        typer.Argument(help="Dataset in RSNA layout, folder or archives of DICOM files, or a CSV table of grades."),
    ],
    to: Annotated[Path, typer.Option(help="Dataset of the project, data/NAME; made if it is not there.")],
    labels: Annotated[
        Path | None,
        typer.Option(help="Grades: train.csv's columns, with study_id, StudyInstanceUID or AccessionNumber."),
    ] = None,
    points: Annotated[
        Path | None, typer.Option(help="Points on DICOM files: SOPInstanceUID, condition, level, x, y.")
    ] = None,
    salt: Annotated[
        Path | None, typer.Option(help="The reading room's salt file, if the grades are its corrections.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", help="CSV of what became of each study; audit/added/… if not given.")
    ] = None,
    commit: Annotated[bool, typer.Option("--commit", help="Commit the pointers to git.")] = False,
    task: TaskName = "rsna2024",
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Bring new studies into a dataset, de-identified and checked, as a new version; the old one stays in DVC."""
    from lumbargrade.data.intake.add_studies import Given
    from lumbargrade.operations.local_flow import load_flow
    from lumbargrade.pipeline.add_studies import add_and_version

    summary = add_and_version(
        source, to, load_flow(VERSION_FLOW), task, Given(labels, points, salt), table, commit, workers
    )
    print_result(summary.model_dump(mode="json"), as_json, summary.lines())
