"""The ``lumbargrade serve`` command: the reading room."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from lumbargrade.cli.output import TaskName
from lumbargrade.errors import InputError


def serve(
    model: Annotated[
        str | None,
        typer.Option(help="models:/<name>@champion or models:/<name>/<version>. Default: the task's champion."),
    ] = None,
    task: TaskName = "rsna2024",
    with_model_url: Annotated[
        str | None, typer.Option(help="Address of a model server that runs elsewhere; none is started.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to bind. Beyond this machine a token or a proxy is needed.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")] = 8080,
    model_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the model server; any.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File (mode 0600) with the secret that clients send.")] = None,
    proxy_user_header: Annotated[
        str | None, typer.Option(help="Header in which a reverse proxy names its user, such as X-Remote-User.")
    ] = None,
    proxy_address: Annotated[str | None, typer.Option(help="The proxy's own address; only it is believed.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder for corrections and the salt; it outlives uploads. The project's if not given."),
    ] = None,
    spool: Annotated[Path | None, typer.Option(help="Folder for uploads; a temporary one if not given.")] = None,
    keep_minutes: Annotated[float, typer.Option(min=0.1, help="How long an upload is kept.")] = 60,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Of one upload.")] = 1000,
    max_studies: Annotated[int, typer.Option(min=1, help="Kept at a time.")] = 64,
    show_identifiers: Annotated[
        bool, typer.Option("--show-identifiers", help="Show patient name, id and dates as long as a study is kept.")
    ] = False,
    without_research_strip: Annotated[
        bool,
        typer.Option(
            "--without-research-strip",
            help="Leave out 'Not for clinical use': only for an organisation that answers for that.",
        ),
    ] = False,
    dicom_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Also take studies by C-STORE at this port; off if not given.")
    ] = None,
    report_to: Annotated[
        str | None, typer.Option(help="TITLE@host:port of the DICOM node that reports are sent to.")
    ] = None,
    dicom_peer: Annotated[
        list[str] | None, typer.Option(help="AE title that may send; may be repeated. Needed beyond this machine.")
    ] = None,
    dicom_title: Annotated[str, typer.Option(help="AE title of the reading room.")] = "LUMBARGRADE",
    dicom_quiet_seconds: Annotated[
        float, typer.Option(min=1, help="A study is complete when nothing of it has come for so long.")
    ] = 10,
) -> None:
    """Serve the reading room: model server and page, together, until Ctrl-C."""
    from lumbargrade.config.project import current_project
    from lumbargrade.viewer.settings import RESEARCH_STRIP, Access, WebSettings, read_token

    access = Access(
        host=host,
        token=read_token(token_file) if token_file else None,
        proxy_user_header=proxy_user_header,
        proxy_address=proxy_address,
    )
    if with_model_url is not None and not with_model_url.startswith(("http://", "https://")):
        raise InputError(
            f"--with-model-url {with_model_url} is no address", "give http://host:port", "model-url-invalid"
        )

    if (dicom_port is None) != (report_to is None):
        raise InputError(
            "--dicom-port and --report-to belong together", "give both or neither", "dicom-options-incomplete"
        )

    from lumbargrade.config.task import load_task
    from lumbargrade.console import say
    from lumbargrade.registry.names import champion_uri
    from lumbargrade.scratch import keep_sweeping, scratch_folder
    from lumbargrade.serving.kept_server import kept_server
    from lumbargrade.serving.mlflow_server import running_champion
    from lumbargrade.serving.ports import free_port, listening
    from lumbargrade.viewer.dicom_node import DimseSettings, dicom_node, read_node
    from lumbargrade.viewer.http.app import create_app
    from lumbargrade.viewer.http.server import running, until_stopped, wait_until_ready
    from lumbargrade.viewer.model_info import RegisteredModel, find_model
    from lumbargrade.viewer.schemas import ModelPage

    with until_stopped(), ExitStack() as stack:
        listener = stack.enter_context(listening(host, port))
        grading_task = load_task(task)
        if model is None and with_model_url is not None:
            found = RegisteredModel("", ModelPage(name="model server", version="unknown"))
        else:
            found = find_model(model or champion_uri(grading_task))
            if found.read_task() != grading_task:
                raise InputError(
                    f"{found.uri} was not trained for task {task}", "give its own with --task", "model-of-another-task"
                )
            say(f"starting {found.uri}")
        number = None if model is None or found.page.alias else found.page.version
        served_at = model_port or free_port()  # the same whenever it is started again, as the page asks there
        settings = WebSettings(
            task=grading_task,
            model_url=(
                stack.enter_context(
                    kept_server(lambda: running_champion(task, number, served_at), "the model server", say, echo=True)
                ).address
                if with_model_url is None
                else with_model_url.rstrip("/")
            ),
            data=data or current_project().served,
            spool=spool or stack.enter_context(scratch_folder("page")),
            keep_seconds=keep_minutes * 60,
            max_bytes=max_megabytes * 1_000_000,
            max_studies=max_studies,
            show_identifiers=show_identifiers,
            research_strip=None if without_research_strip else RESEARCH_STRIP,
            access=access,
        )
        keep_sweeping()
        app = create_app(settings, found.page, found.pages)
        address = stack.enter_context(running(app, access, listener))
        if dicom_port is not None and report_to is not None:
            dimse = DimseSettings(
                host=host,
                port=dicom_port,
                title=dicom_title,
                report_to=read_node(report_to),
                peers=tuple(dicom_peer or ()),
                quiet_seconds=dicom_quiet_seconds,
            )
            stack.enter_context(dicom_node(app.extensions["reading_room"], dimse))
        wait_until_ready(app)
        print(address, flush=True)
        say("ready; Ctrl-C ends it")
        while True:
            time.sleep(3600)
