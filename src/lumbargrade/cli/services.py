"""``lumbargrade server``, ``deploy`` and ``status``: the project as a service on one machine."""

from typing import Annotated

import typer

from lumbargrade.cli.output import Json, TaskName, print_result, print_table

Port = Annotated[int, typer.Option(min=1, max=65535)]


def server(
    prefect_port: Port = 4200,
    mlflow_port: Port = 5000,
    model_port: Port = 5001,
    reading_room_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Also start the reading room there; 0 leaves it out.")
    ] = 0,
    task: TaskName = "rsna2024",
) -> None:
    """Keep Prefect's server and worker, MLflow's server and the model server running, until Ctrl-C."""
    from lumbargrade.config.task import load_task
    from lumbargrade.console import say
    from lumbargrade.operations.services import ServerSettings, run_server
    from lumbargrade.viewer.http.server import until_stopped

    load_task(task)
    with until_stopped():
        run_server(ServerSettings(task, prefect_port, mlflow_port, model_port, reading_room_port), say)


def deploy(
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Leave deployments as they are if there are any.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the deployments, schedules and automations of prefect.yaml on the project's Prefect server."""
    from lumbargrade.operations.addresses import prefect_api
    from lumbargrade.operations.deployments import deploy

    names = deploy(prefect_api(), if_missing)
    print_result(names, as_json, [("deployed", name) for name in names])


def status(task: TaskName = "rsna2024", as_json: Json = False) -> None:
    """Show the server's parts, last runs, next schedules, champion and watch; exit with 1 if a part is down."""
    from lumbargrade.config.task import load_task
    from lumbargrade.operations.status import read_status

    found = read_status(load_task(task))
    if as_json:
        print_result(found.model_dump(mode="json"), True, [])
    else:
        print_result(None, False, found.lines())
        rows = [
            [
                each.name,
                f"{each.last} {each.last_time:%Y-%m-%d %H:%M:%S}" if each.last and each.last_time else each.last or "",
                f"{each.next_time:%Y-%m-%d %H:%M:%S}" if each.next_time else "",
            ]
            for each in found.deployments
        ]
        print_table(("deployment", "last run (UTC)", "next (UTC)"), rows)
    raise typer.Exit(0 if found.is_up else 1)
