"""``lumbargrade audit``: what an auditor asks of the registry, each by one command."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lumbargrade.cli.output import Json, TaskName, open_project, print_result, print_table, short_time

audit_app = typer.Typer(no_args_is_help=True, help="Where models came from, and whether anything was altered since.")

Version = Annotated[str, typer.Argument(help="Number of a registered version.")]


@audit_app.command("verify")
def verify_command(
    version: Annotated[str | None, typer.Argument(help="Number of a registered version; all if not given.")] = None,
    key: Annotated[str | None, typer.Option(help="Fingerprint (SHA-256) that the key must have.")] = None,
    task: TaskName = "rsna2024",
    as_json: Json = False,
) -> None:
    """Check log, alias, models, MLflow's rows and data against what was signed.

    Exits with 1 if anything was altered, or could not be checked.
    """
    from lumbargrade.console import bars
    from lumbargrade.errors import CannotVerifyError, StoreError
    from lumbargrade.registry.lineage.verify import verify

    try:
        with bars() as watch:
            found = verify(*open_project(task), version, watch, key)
    except (CannotVerifyError, StoreError) as error:
        raise CannotVerifyError(f"nothing could be checked: {error.what}", error.remedy, error.code) from error
    lines = [(problem.part, problem.problem) for problem in found.problems]
    lines += [(problem.part, f"could not be checked: {problem.problem}") for problem in found.unchecked]
    if found.unchecked and not found.problems:
        lines.append(("nothing was found altered", "what could not be checked stands above; mend it and run again"))
    if not lines:
        versions = ", ".join(found.versions) or "none"
        lines = [("nothing was altered", f"versions {versions}; {found.entries} entries of the audit log")]
    if found.cut_off:
        lines.append(("not registered to the end", f"versions {', '.join(found.cut_off)}"))
    lines.append(("key", found.key_sha256 or "none"))
    print_result(found.model_dump(mode="json"), as_json, lines)
    raise typer.Exit(1 if found.problems or found.unchecked else 0)


@audit_app.command("show")
def show_command(
    version: Version,
    out: Annotated[
        Path | None, typer.Option(help="Folder for all of the evidence: record, page, card, SBOM, report, tables.")
    ] = None,
    task: TaskName = "rsna2024",
    as_json: Json = False,
) -> None:
    """Show what a version was made of; with --out, write everything that was signed about it."""
    from lumbargrade.registry.lineage.show import show_evidence, summarise_record

    record, history = show_evidence(*open_project(task), version, out)
    lines = summarise_record(record, history)
    if out is not None:
        lines.append(("written", str(out)))
    print_result(record, as_json, lines)


@audit_app.command("trials")
def trials_command(version: Version, task: TaskName = "rsna2024", as_json: Json = False) -> None:
    """List everything that was tried in the search that gave a version."""
    from lumbargrade.registry.lineage.show import show_evidence

    record, _ = show_evidence(*open_project(task), version)
    trials = record["lumbargrade"]["search"]["trials"]
    if as_json:
        print(json.dumps(trials, indent=2))
        return
    rows = []
    for trial in trials:
        score = "" if trial["score"] is None else f"{trial['score']:.4f}"
        rows.append([str(trial["number"]), trial["state"], score, trial["run_id"], trial.get("reason", "")])
    print_table(("trial", "state", "score", "MLflow run", "why"), rows)


@audit_app.command("reproduce")
def reproduce_command(
    version: Version,
    folds: Annotated[
        int | None, typer.Option(min=1, help="Only so many folds of the grader, from the recorded crops: a spot check.")
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="How far the score may be off where bits differ.")] = 0.02,
    out: Annotated[Path | None, typer.Option(help="File for the report, JSON.")] = None,
    task: TaskName = "rsna2024",
    as_json: Json = False,
) -> None:
    """Make a version again from its commit, data and parameters, and compare; exit with 1 if it comes out different."""
    from lumbargrade.console import say
    from lumbargrade.files import write_text
    from lumbargrade.pipeline.reproduce.reproduce import reproduce

    found = reproduce(*open_project(task), version, folds, tolerance, say)
    if out is not None:
        write_text(out, found.model_dump_json(indent=2))
    lines: list[tuple[str, str]] = [("verdict", found.verdict)]
    if found.score_difference is not None:
        lines.append(("score", f"{found.score_difference:+.6f} against the recorded one"))
    lines += [(each.what, each.words) for each in found.compared]
    lines += [("environment", difference) for difference in found.environment]
    print_result(found.model_dump(mode="json"), as_json, lines)
    raise typer.Exit(1 if found.verdict == "different" else 0)


@audit_app.command("trace")
def trace_command(
    request_id: Annotated[str, typer.Argument(help="As the answer gave it.")],
    log: Annotated[Path | None, typer.Option(help="The model server's log; the project's if not given.")] = None,
    task: TaskName = "rsna2024",
    as_json: Json = False,
) -> None:
    """Go back from an answer to the model, the data, the code and the people behind it."""
    from lumbargrade.registry.lineage.show import show_evidence, summarise_record
    from lumbargrade.registry.versions import version_that_answered
    from lumbargrade.serving.records.prediction_log import ServingLog

    tracker, grading_task, audit = open_project(task)
    answered = ServingLog(log).get(request_id)
    version = version_that_answered(tracker, grading_task, answered.model)
    record, history = show_evidence(tracker, grading_task, audit, version)
    severe = [f"{cell.condition} {cell.level}" for cell in answered.cells if cell.grade == grading_task.grades[-1]]
    graded = sum(cell.grade is not None for cell in answered.cells)
    lines = [
        ("answer", f"{answered.request_id} of {answered.time}"),
        ("study", answered.study or "could not be opened"),
        (
            "said",
            f"{graded} of {len(answered.cells)} cells graded; {grading_task.grades[-1]}: {', '.join(severe) or 'none'}",
        ),
    ]
    result = {"answer": answered.model_dump(mode="json"), "lineage": record}
    print_result(result, as_json, lines + summarise_record(record, history))


@audit_app.command("log")
def log_command(
    kind: Annotated[str | None, typer.Option(help="Only entries of this kind, such as gate or approved.")] = None,
    version: Annotated[str | None, typer.Option(help="Only entries about this version.")] = None,
    task: TaskName = "rsna2024",
    as_json: Json = False,
) -> None:
    """Print the audit log: what was done to models and data, when, by whom and why."""
    from lumbargrade.audit.log import AuditLog
    from lumbargrade.config.task import load_task
    from lumbargrade.registry.names import registered_name, version_uri

    subject = None if version is None else version_uri(registered_name(load_task(task)), version)
    entries = [entry for entry in AuditLog().entries(kind) if subject in (None, entry.subject)]
    if as_json:
        print(json.dumps([entry.model_dump(mode="json") for entry in entries], indent=2))
        return
    rows = []
    for entry in entries:
        details = entry.details
        why = details.get("why") or "; ".join(details.get("reasons", [])) or details.get("md5", "")
        rows.append([str(entry.number), short_time(entry.time), entry.kind, entry.subject, entry.by, why])
    print_table(("entry", "when", "what", "to what", "by", "why"), rows)
