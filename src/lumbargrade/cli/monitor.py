"""``lumbargrade watch``: whether what a version is asked still is what it was made for."""

from pathlib import Path
from typing import Annotated

import typer

from lumbargrade.cli.output import Json, ParamsFile, TaskName, print_result


def watch(
    version: Annotated[str | None, typer.Option(help="Number of a version; the champion if not given.")] = None,
    log: Annotated[Path | None, typer.Option(help="The model server's log; the project's if not given.")] = None,
    report: Annotated[Path | None, typer.Option(help="File for the report, HTML.")] = None,
    params_file: ParamsFile = None,
    task: TaskName = "rsna2024",
    as_json: Json = False,
) -> None:
    """Say what drifted since when in what a version answered; exit with 1 if something has, with 3 if it is too early."""
    from lumbargrade.config.loading import load_params
    from lumbargrade.config.task import load_task
    from lumbargrade.files import write_text
    from lumbargrade.monitoring.monitor import watch_version
    from lumbargrade.monitoring.report import watch_html, watch_lines

    watched = watch_version(load_task(task), load_params(params_file).watch, log, version)
    lines = watch_lines(watched.report)
    if report is not None:
        write_text(report, watch_html(watched))
        lines.append(("report", str(report)))
    print_result(watched.report.model_dump(mode="json"), as_json, lines)
    raise typer.Exit({"no drift": 0, "drift": 1, "waits": 3}[watched.report.state])
