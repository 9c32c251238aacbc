"""``lumbargrade doctor``: what of the machine and the project would stop a run or a server."""

import typer

from lumbargrade.cli.output import Json


def doctor(as_json: Json = False) -> None:
    """Examine machine and project within ten seconds, and say what to do; exit with 1 if there is a problem."""
    from lumbargrade.operations.doctor.examine import examine

    found = examine()
    if as_json:
        print(found.model_dump_json(indent=2))
    else:
        print("\n".join(found.lines()))
    raise typer.Exit(0 if found.is_healthy else 1)
