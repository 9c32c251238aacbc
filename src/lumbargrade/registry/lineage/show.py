"""A version's evidence for people: in short, or as files."""

import shutil
from pathlib import Path

from lumbargrade.audit.log import AuditLog, Entry
from lumbargrade.config.task import GradingTask
from lumbargrade.files import replaced_folder, write_text
from lumbargrade.models.trained_on import facts_of_story, state
from lumbargrade.registry.approval import APPROVED
from lumbargrade.registry.lineage.bundle import required_evidence
from lumbargrade.registry.lineage.dependencies import Json, read_dependencies
from lumbargrade.registry.lineage.page import record_html
from lumbargrade.registry.names import champion_uri, registered_name, version_uri
from lumbargrade.registry.versions import get_version
from lumbargrade.tracking.mlflow_tracker import Tracker

HISTORY = "history.html"
"""The record as a page, with what became of the version since; not signed, as it is made when it is asked for."""


def show_evidence(
    tracker: Tracker, task: GradingTask, log: AuditLog, version: str, out: Path | None = None
) -> tuple[Json, list[Entry]]:
    """Reads a version's record, and what the log says of the version.

    Args:
        out: Folder for all of the evidence: the signed files, both signatures, and a page of the record and the history.

    Raises:
        InputError: There is no such version, or it has no evidence.
    """
    found = get_version(tracker, task, version)
    history = entries_of(log, task, version)
    with required_evidence(found) as evidence:
        record = evidence.record
        if out is not None:
            with replaced_folder(out) as folder:
                shutil.copytree(evidence.folder.parent, folder, dirs_exist_ok=True)
                write_text(folder / HISTORY, record_html(record, history))
    return record, history


def entries_of(log: AuditLog, task: GradingTask, version: str) -> list[Entry]:
    """What a log says of a version, moves of the champion alias to it and from it among that."""
    uri = version_uri(registered_name(task), version)
    return [
        entry
        for entry in log.entries()
        if entry.subject == uri
        or (entry.subject == champion_uri(task) and version in (entry.details.get("from"), entry.details.get("to")))
    ]


def summarise_record(record: Json, history: list[Entry]) -> list[tuple[str, str]]:
    """A record in short, a line a question."""
    story, predicate = record["lumbargrade"], record["predicate"]
    made_of = read_dependencies(record)
    dataset, code = made_of.dataset, made_of.code
    machine = predicate["buildDefinition"]["internalParameters"]["machine"]
    search, evaluation, held = story["search"], story["evaluation"], story["gate"]["candidate"]
    packaged = story.get("packaged", {}).get("words")  # versions from before there was a choice do not say
    lost = sum(part["cells"] for part in story["leftOut"])
    approved = [entry for entry in history if entry.kind == APPROVED]
    lines = [
        ("version", f"{story['model']} {story['version']}, made {predicate['runDetails']['metadata']['finishedOn']}"),
        ("data", f"{dataset['name']}, {dataset['annotations']['files']:,} files, {dataset['digest']['md5']}"),
        *[("trained on", line) for line in state(facts_of_story(story)).lines],
        ("left out", f"{lost:,} crops (left_out.csv)" if lost else "nothing"),
        ("code", f"commit {code['digest']['gitCommit']}{' and code.patch' if code['annotations']['dirty'] else ''}"),
        ("search", f"{search['name']}: trial {search['bestTrial']} of {len(search['trials'])}"),
        *([("packaged", packaged)] if packaged else []),
        ("cross-validated", _scores(evaluation)),
    ]
    if held is not None:
        lines.append(("frozen holdout", _scores(held)))
    lines.append(("gate", f"{story['gate']['decision']}: {'; '.join(story['gate']['reasons'])}"))
    lines += [("approved", f"by {entry.by} on {entry.time}: {entry.details['why']}") for entry in approved]
    lines.append(("made on", f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}"))
    return lines


def _scores(evaluation: Json) -> str:
    likeliest, interval = evaluation["rules"]["likeliest"], evaluation["score_interval"]
    bounds = "" if interval is None else " ({:.4f} to {:.4f})".format(*interval)
    accuracy, majority = likeliest["accuracy"], likeliest["accuracy_majority"]
    return (
        f"score {evaluation['score']:.4f}{bounds}, accuracy {accuracy:.1%} (commonest grade {majority:.1%}), "
        f"{evaluation['studies']} studies"
    )
