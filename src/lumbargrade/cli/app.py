"""The ``lumbargrade`` command: thin. Results on standard output (``--json``), the story on standard error."""

import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lumbargrade.cli.audit import audit_app
from lumbargrade.cli.dataset import dataset_app
from lumbargrade.cli.devices import devices_app
from lumbargrade.cli.doctor import doctor
from lumbargrade.cli.models import models_app
from lumbargrade.cli.monitor import watch
from lumbargrade.cli.output import Json, ParamsFile, Workers, print_lines, print_result, print_table, table_width
from lumbargrade.cli.services import deploy, server, status
from lumbargrade.cli.viewer import serve
from lumbargrade.errors import InputError, LumbargradeError, system_error
from lumbargrade.last_error import leave_error
from lumbargrade.machine import limit_threads
from lumbargrade.proxies import exempt_loopback

if TYPE_CHECKING:
    from lumbargrade.config.params import Params
    from lumbargrade.data.layout import RsnaDataset

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
stage_app = typer.Typer(no_args_is_help=True, help="The stages of dvc.yaml; `dvc repro` calls them.", hidden=True)
app.add_typer(devices_app)
app.add_typer(dataset_app, name="dataset")
app.add_typer(models_app, name="models")
app.add_typer(audit_app, name="audit")
app.add_typer(stage_app, name="stage", hidden=True)
app.command("serve")(serve)
app.command("watch")(watch)
app.command("server")(server)
app.command("deploy")(deploy)
app.command("status")(status)
app.command("doctor")(doctor)


def main() -> None:
    """Runs the command; a user's mistake ends in one sentence, not in a traceback."""
    exempt_loopback(os.environ)
    limit_threads(os.environ)
    _quiet_libraries()
    signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except LumbargradeError as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        leave_error(error)
        sys.exit(error.exit_code)
    except OSError as error:
        refused = system_error(error)
        print(f"error: {refused}", file=sys.stderr)
        leave_error(refused)
        sys.exit(1)


def _stop(number: int, frame: FrameType | None) -> None:
    """Ends as any program ends, so that what was begun beside it, such as Prefect's server, ends as well."""
    sys.exit(128 + number)


@app.command()
def run(
    data: Annotated[
        Path | None, typer.Option(help="Dataset in RSNA layout; the embedded phantom if not given.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="rsna2024, disc_degeneration, or a YAML file.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="YAML laid over params.yaml, such as recipes/rsna2024.yaml.")
    ] = None,
    params_file: ParamsFile = None,
    commit: Annotated[
        bool, typer.Option("--commit", help="Commit the data's pointers (.dvc, dvc.lock) to git.")
    ] = False,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Run with changes that git does not have; they are kept as a patch.")
    ] = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would stop the run, and what it will take.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the main job: check, version, prepare, search, register, ask. Only what is stale is done."""
    from lumbargrade.config.loading import load_params
    from lumbargrade.config.settings import Settings

    if data is not None and Settings().project is not None:
        data = data.resolve()  # it is meant from where the command is run, which is not the project's folder
    given = {"dataset.path": None if data is None else str(data), "task": task}
    params = load_params(params_file, recipe, overrides or [], {name: value for name, value in given.items() if value})

    if dry:
        from lumbargrade.pipeline.estimate.dry_run import dry_run

        report = dry_run(params, allow_dirty)
        if as_json:
            print(report.model_dump_json(indent=2))
        else:
            from lumbargrade.cli.dry_run_report import dry_run_lines

            print_lines(dry_run_lines(report, table_width()))
        raise typer.Exit(1 if report.problems else 0)
    from lumbargrade.operations.local_flow import load_flow

    summary = load_flow("flows/retrain.py:retrain")(params, commit, allow_dirty)
    print_result(summary.model_dump(mode="json"), as_json, summary.lines())


@app.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="Dataset in RSNA layout.")],
    model: Annotated[str, typer.Option(help="models:/<name>@champion, models:/<name>/<version>, or a folder.")],
    labelled_points: Annotated[
        bool, typer.Option("--labelled-points", help="Look at the labelled points, not where the locator looks.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.html, evaluation.json, predictions, submission.csv (RSNA's), suspects.csv (labels)."
        ),
    ] = None,
    against: Annotated[str | None, typer.Option(help="Another model to compare with, on the same cells.")] = None,
    as_json: Json = False,
) -> None:
    """Score a registered model on the labelled studies of a dataset."""
    from lumbargrade.console import bar
    from lumbargrade.data.layout import open_dataset
    from lumbargrade.data.subgroups import study_subgroups
    from lumbargrade.evaluation.evaluate import cut_for, grade_packed
    from lumbargrade.evaluation.export import compare_model, write_report
    from lumbargrade.serving.verified_model import open_model

    loaded = open_model(model).loaded
    other = open_model(against).loaded if against else None
    dataset = open_dataset(data, loaded.config.task)
    with (
        bar("studies read") as progress,
        cut_for(loaded, dataset, progress=progress, labelled_points=labelled_points) as (crops, truth),
    ):
        graded = grade_packed(loaded, crops, truth, study_subgroups(dataset, truth["study_id"].unique()))
        compared = compare_model(graded, other, dataset, labelled_points) if other else None
        if report is not None:
            write_report(report, f"{model} on {data}", loaded, graded, crops, compared, against or "")
    lines = [(name, f"{value:.4f}".rstrip("0").rstrip(".")) for name, value in graded.evaluation.flat().items()]
    for name, difference in (compared or {}).items():
        words = f"{difference.first - difference.second:+.4f}"
        if difference.interval is not None:
            words += " ({:+.4f} to {:+.4f})".format(*difference.interval)
        lines.append((f"{name} against", words))
    result = graded.evaluation.model_dump(mode="json")
    result["against"] = {name: difference.model_dump() for name, difference in (compared or {}).items()}
    if report is not None:
        lines.append(("report", str(report / "report.html")))
    print_result(result, as_json, lines)


@app.command()
def grade(
    study: Annotated[
        Path,
        typer.Argument(
            help="Folder, zip or tar of DICOM files, each study graded by itself; with --out a folder of such."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="models:/<name>@champion, models:/<name>/<version>, or a folder. Default: the task's champion."
        ),
    ] = None,
    task: Annotated[str, typer.Option(help="rsna2024, disc_degeneration, or a YAML file.")] = "rsna2024",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Grade many studies into this table: .parquet, or RSNA's submission as .csv. Goes on where it was."
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=0, help="That grade a study each, with --out; 0 is one a core, or two a GPU.")
    ] = 0,
    explain: Annotated[
        Path | None, typer.Option(help="Folder for a picture a graded cell: what spoke for its grade. Takes longer.")
    ] = None,
    long: Annotated[bool, typer.Option("--long", help="Print a line a cell with full names, not the grid.")] = False,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all that is answered as a table, a row a cell.")] = False,
) -> None:
    """Grade a study, or many, without a server."""
    from lumbargrade.cli.grade import choose_form, grade_export

    form = choose_form(as_json, as_csv, long)
    if model is None:
        from lumbargrade.config.task import load_task
        from lumbargrade.registry.names import champion_uri

        model = champion_uri(load_task(task))
    if out is not None:
        if explain is not None:
            raise InputError("--explain is for one study", "leave out --out", "explain-with-out")
        from lumbargrade.console import bar
        from lumbargrade.serving.batch.run import run_batch

        with bar("grading") as on_progress:
            summary = run_batch(study, out, model, processes, on_progress)
        print_result(summary.model_dump(), as_json, summary.lines())
        return
    grade_export(study, model, explain, form)


@app.command()
def phantom(
    directory: Annotated[Path, typer.Argument(help="Folder to make.")],
    studies: Annotated[int, typer.Option(min=1, help="Number of studies.")] = 48,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 7,
    faults: Annotated[bool, typer.Option("--faults", help="Add the real dataset's faults.")] = False,
    task: Annotated[str, typer.Option(help="What they are graded for: rsna2024 or disc_degeneration.")] = "rsna2024",
    headers: Annotated[
        str,
        typer.Option(
            help="Headers of the files: plain, rsna2024, siemens, ge, philips, hitachi, canon, enhanced, minimal, mix "
            "(led by rsna2024), or shares such as rsna2024=3,ge=1. Images and grades are the same with any."
        ),
    ] = "plain",
    montage: Annotated[Path | None, typer.Option(help="Also draw a mild and a severe spine into this PNG.")] = None,
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Make a dataset of synthetic lumbar spines in RSNA layout."""
    from dataclasses import asdict

    from lumbargrade.console import bar
    from lumbargrade.phantom import generate
    from lumbargrade.phantom.montage import save_montage

    with bar("studies") as progress:
        summary = asdict(generate(directory, studies, seed, faults, workers, progress, task, headers=headers))
    if montage is not None:
        save_montage(montage, seed)
    counts = [(key, str(value)) for key, value in summary.items() if isinstance(value, int)]
    print_result(summary, as_json, counts)
    if as_json:
        return
    heads = ("cells", *next(iter(summary["labels"].values())))
    print_table(heads, [[name, *map(str, grades.values())] for name, grades in summary["labels"].items()])
    keys = ("kind", "study_id", "series_id", "detail")
    rows = [[str(fault[key]) for key in keys] for fault in summary["faults"]]
    if rows:
        print_table(("fault", "study", "series", "what"), rows)


@app.command()
def pretrain(
    weights: Annotated[Path, typer.Argument(help="File to write, NAME.safetensors.")],
    task: Annotated[str | None, typer.Option(help="rsna2024 or disc_degeneration.")] = None,
    studies: Annotated[int, typer.Option(help="Phantoms to draw.")] = 200,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")] = None,
    params_file: ParamsFile = None,
    as_json: Json = False,
) -> None:
    """Train a grader on phantoms, for machines without ImageNet's weights; `training.weights` takes the file."""
    from lumbargrade.config.loading import load_params
    from lumbargrade.pipeline.pretrain import pretrain as pretrain_backbone

    params = load_params(params_file, None, overrides or [], {"task": task} if task else {})
    summary = pretrain_backbone(weights, params, studies)
    print_result(summary.model_dump(mode="json"), as_json, summary.lines())


@stage_app.command("prepare")
def prepare_stage(source: Path, folder: Path) -> None:
    """Pack the crops of a dataset, and take over which studies are of one patient."""
    from lumbargrade.console import bar, say
    from lumbargrade.data.patients import read_patients
    from lumbargrade.files import write_text
    from lumbargrade.preprocessing.pack import pack_crops
    from lumbargrade.preprocessing.split.groups import PATIENTS

    with bar("studies prepared") as progress:
        params, dataset = _open_stage(source, folder)
        summary = pack_crops(dataset, folder / "crops", params.prepare, progress, params.workers)
    patients = read_patients(source)[["study_id", "patient_id"]]
    write_text(folder / PATIENTS, patients.to_csv(index=False, lineterminator="\n"))
    say(f"packed {summary.crops} crops of {summary.studies} studies; {summary.skipped} cells skipped")


@stage_app.command("views")
def views_stage(source: Path, folder: Path) -> None:
    """Pack what the locator is shown."""
    from lumbargrade.console import bar, say
    from lumbargrade.preprocessing.pack_views import pack_views

    with bar("studies viewed") as progress:
        params, dataset = _open_stage(source, folder)
        summary = pack_views(dataset, folder / "views", params.prepare, params.views, progress, params.workers)
    say(f"packed {summary.slices} views of {summary.studies} studies")


@stage_app.command("located")
def located_stage(source: Path, folder: Path) -> None:
    """Pack the crops where the locator looked."""
    from dataclasses import replace

    import pandas as pd

    from lumbargrade.console import bar, say
    from lumbargrade.preprocessing.pack import pack_crops

    with bar("studies cut where located") as progress:
        params, dataset = _open_stage(source, folder)
        dataset = replace(dataset, points=pd.read_parquet(folder / "located.parquet"))
        summary = pack_crops(dataset, folder / "located", params.prepare, progress, params.workers)
    say(f"packed {summary.crops} located crops of {summary.studies} studies; {summary.skipped} cells skipped")


def _open_stage(source: Path, folder: Path) -> "tuple[Params, RsnaDataset]":
    """The parameters of a dataset's stages, and the dataset."""
    from lumbargrade.config.loading import load_params
    from lumbargrade.config.task import load_task
    from lumbargrade.data.layout import open_dataset

    return load_params(folder / "params.yaml"), open_dataset(source, load_task(str(folder / "task.yaml")))


@stage_app.command("duplicates")
def duplicates_stage(folder: Path) -> None:
    """Find studies that show the same images."""
    from lumbargrade.files import write_text
    from lumbargrade.preprocessing.split.duplicates import DUPLICATES, find_duplicates

    write_text(folder / DUPLICATES, find_duplicates(folder / "views").to_csv(index=False))


@stage_app.command("split")
def split_stage(folder: Path) -> None:
    """Assign studies to folds and holdout."""
    import pandas as pd

    from lumbargrade.config.loading import load_params
    from lumbargrade.files import write_text
    from lumbargrade.preprocessing.pack import INDEX
    from lumbargrade.preprocessing.split.duplicates import DUPLICATES
    from lumbargrade.preprocessing.split.groups import PATIENTS, study_groups
    from lumbargrade.preprocessing.split.split import split_studies

    params = load_params(folder / "params.yaml")
    groups = study_groups(pd.read_csv(folder / DUPLICATES), pd.read_csv(folder / PATIENTS))
    table = split_studies(pd.read_parquet(folder / "crops" / INDEX), params.split, groups)
    write_text(folder / "split.csv", table.to_csv(index=False))


def _quiet_libraries() -> None:
    """Our own lines tell the story; the libraries would tell it twice, with tracebacks for users' mistakes."""
    settings = {
        "DO_NOT_TRACK": "1",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
