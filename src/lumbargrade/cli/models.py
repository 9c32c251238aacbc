"""``lumbargrade models``: which versions there are, which is champion and was, and what people decide about it."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from lumbargrade.cli.output import Json, ParamsFile, TaskName, open_project, print_result, print_table, short_time

if TYPE_CHECKING:
    from lumbargrade.registry.champion import Champion, Move

models_app = typer.Typer(no_args_is_help=True, help="Registered versions: list, judge, approve, roll back.")

Version = Annotated[str, typer.Argument(help="Number of a registered version.")]


@models_app.command("list")
def list_command(task: TaskName = "rsna2024", as_json: Json = False) -> None:
    """List the registered versions and what the gate decided about them."""
    from lumbargrade.registry.versions import list_versions

    champion = _open(task)
    versions = list_versions(champion.tracker, champion.task)
    if as_json:
        print(json.dumps([version.model_dump(mode="json") for version in versions], indent=2))
        return
    rows = []
    for version in versions:
        numbers = ["" if value is None else f"{value:.4f}" for value in (version.cv_score, version.holdout_score)]
        is_champion = "champion" if version.is_champion else ""
        decision, by = version.decision or "cut off", version.approved_by or ""
        rows.append([version.version, short_time(version.time), is_champion, *numbers, decision, by])
    print_table(("version", "registered", "champion", "score", "holdout", "gate", "approved by"), rows)


@models_app.command("gate")
def gate_command(
    version: Version,
    dry: Annotated[bool, typer.Option("--dry-run", help="Do not write the decision on the version.")] = False,
    params_file: ParamsFile = None,
    task: TaskName = "rsna2024",
    as_json: Json = False,
) -> None:
    """Judge a version against the champion again. Moves nothing, but counts as a look at the holdout."""
    from lumbargrade.config.loading import load_params
    from lumbargrade.config.project import current_project
    from lumbargrade.pipeline.summary import approve_command
    from lumbargrade.registry.promotion.decision import KEEP
    from lumbargrade.registry.promotion.gate import judge_again
    from lumbargrade.registry.promotion.report import gate_table

    rules = load_params(params_file).gate
    champion = _open(task)
    decision = judge_again(champion, version, rules, current_project(), dry)
    if as_json:
        print(decision.model_dump_json(indent=2))
        return
    if rows := gate_table(decision):
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    lines = [("decision", decision.decision), *[("because", reason) for reason in decision.reasons]]
    if decision.decision != KEEP:
        lines.append(("to make it champion", approve_command(version, task)))
    print_result(None, False, lines)


@models_app.command("approve")
def approve_version(
    version: Version,
    by: Annotated[str, typer.Option(help="Who approves.")],
    why: Annotated[str, typer.Option(help="For what reason.")],
    task: TaskName = "rsna2024",
    as_json: Json = False,
) -> None:
    """Make a version champion, whatever the gate decided; name and reason are kept."""
    from lumbargrade.registry.approval import approve

    _print_move(approve(_open(task), version, by, why), as_json)


@models_app.command("rollback")
def rollback_champion(
    by: Annotated[str, typer.Option(help="Who rolls back.")] = "",
    why: Annotated[str, typer.Option(help="For what reason.")] = "",
    task: TaskName = "rsna2024",
    as_json: Json = False,
) -> None:
    """Make the previous champion champion again."""
    from lumbargrade.registry.approval import rollback

    _print_move(rollback(_open(task), by, why), as_json)


@models_app.command("serve")
def serve_command(
    version: Annotated[
        str | None, typer.Argument(help="Number of a version; the champion, as it moves, if not given.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at. There is no access control: keep others out.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = 5001,
    seconds: Annotated[float, typer.Option(min=0.1, help="Between two looks at who is champion.")] = 10.0,
    task: TaskName = "rsna2024",
) -> None:
    """Serve the champion over HTTP, once its signatures are verified; a new champion takes over without a request lost."""
    from lumbargrade.config.task import load_task
    from lumbargrade.console import say
    from lumbargrade.serving.kept_server import kept_server
    from lumbargrade.serving.proxy import Front, serve_front
    from lumbargrade.serving.verified_server import champion_to_serve, served_version

    grading_task = load_task(task)
    say(f"http://{host}:{port}/invocations answers as soon as the model is verified and loaded")

    def begin() -> Front:
        return Front(
            wanted=(lambda: version) if version else (lambda: champion_to_serve(grading_task)),
            serve=lambda wanted: kept_server(
                lambda: served_version(grading_task, wanted, as_champion=version is None), f"version {wanted}", say
            ),
            tell=say,
            seconds=seconds,
        )

    serve_front(begin, host, port)


@models_app.command("history")
def history_command(
    at: Annotated[
        str | None,
        typer.Option("--at", help="Only the move that made the champion of this day or time (ISO 8601, UTC)."),
    ] = None,
    task: TaskName = "rsna2024",
    as_json: Json = False,
) -> None:
    """Print every move of the champion alias: when, from where, to where, why, and by whom."""
    from lumbargrade.registry.champion import moves_at

    moves = _open(task).moves()
    if at is not None:
        moves = moves_at(moves, at)
    if as_json:
        print(json.dumps([move.model_dump(mode="json") for move in moves], indent=2))
        return
    rows = [[short_time(m.time), m.kind, m.from_version, m.to_version, m.by, m.why] for m in moves]
    print_table(("when", "what", "from", "to", "by", "why"), rows)


def _open(task: str) -> "Champion":
    from lumbargrade.registry.champion import Champion

    return Champion(*open_project(task))


def _print_move(move: "Move", as_json: bool) -> None:
    words = f"version {move.to_version} (before: {move.from_version or 'none'})"
    print_result(move.model_dump(mode="json"), as_json, [("champion", words), ("why", move.why or "no reason given")])
