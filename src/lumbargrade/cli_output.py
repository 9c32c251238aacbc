"""What the commands share: options of the same meaning, and how a result is printed."""

import json
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
TaskName = Annotated[str, typer.Option("--task", help="rsna2024, disc_degeneration, or a YAML file.")]


def print_result(result: Any, as_json: bool, lines: list[tuple[str, str]]) -> None:
    """Prints a result as JSON, or as lines of name and value."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name:<{width}}  {value}")
