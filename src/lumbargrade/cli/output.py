"""What the commands share: options of the same meaning, what they open, and how a result is printed."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from lumbargrade.cli.tables import Row, pair_lines, table_lines

if TYPE_CHECKING:
    from lumbargrade.audit.log import AuditLog
    from lumbargrade.config.task import GradingTask
    from lumbargrade.tracking.mlflow_tracker import Tracker


ParamsFile = Annotated[Path | None, typer.Option("--params", help="The parameter file; the project's if not given.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
TaskName = Annotated[str, typer.Option("--task", help="rsna2024, disc_degeneration, or a YAML file.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes; 0 is one for each core that has memory.")]

_WIDE = 200
"""Columns of a table that goes into a file."""


def open_project(task: str) -> "tuple[Tracker, GradingTask, AuditLog]":
    """Opens what a command about registered versions reads: the store, the task, and the audit log.

    Raises:
        InputError: There is no such task, or no version of its model.
    """
    from lumbargrade.audit.log import AuditLog
    from lumbargrade.config.task import load_task
    from lumbargrade.registry.versions import open_registry

    grading_task = load_task(task)
    return open_registry(grading_task), grading_task, AuditLog()


def print_result(result: Any, as_json: bool, lines: list[tuple[str, str]]) -> None:
    """Prints a result as JSON, or as lines of name and value."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    print_lines(pair_lines(lines, table_width() if _is_read() else None))


def print_table(heads: Sequence[str], rows: Sequence[Row]) -> None:
    """Prints a table as wide as the terminal; nothing is cut off."""
    print_lines(table_lines(heads, rows, table_width()))


def print_lines(lines: Iterable[Text]) -> None:
    """Prints lines as they are, in colours where there are any."""
    console = Console(highlight=False)
    for line in lines:
        console.print(line, soft_wrap=True)


def table_width() -> int:
    """Columns that there are: the terminal's, or what COLUMNS says; a file has room."""
    return Console().width if _is_read() else _WIDE


def _is_read() -> bool:
    return "COLUMNS" in os.environ or sys.stdout.isatty()


def short_time(time: str) -> str:
    """A time of the log without its fractions: 2026-03-31 12:00:00."""
    return time[:19].replace("T", " ")
