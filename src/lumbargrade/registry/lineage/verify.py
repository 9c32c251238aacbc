"""Checks that nothing was altered since it was signed: the log, the alias, the models, MLflow's rows, the data.

There are three outcomes: verified, altered, not checked. Altered is only what was read and has another hash or signature, or
is absent from a store that could be read. A full disk, a store that does not answer or a permission leaves it unchecked.

Nothing is believed here that is not signed: the key signs the log, the log holds the hashes of each version's evidence,
and the evidence those of everything else. Who holds the private key can sign anew; keep the key's fingerprint elsewhere.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from mlflow.entities.model_registry import ModelVersion

from lumbargrade.audit.keys import PublicKey, open_public_key
from lumbargrade.audit.log import AuditLog, Entry
from lumbargrade.audit.signature import signature_problem
from lumbargrade.config.task import GradingTask
from lumbargrade.data.versioning.integrity import object_problems, workspace_problems
from lumbargrade.errors import CannotVerifyError, InputError, LumbargradeError
from lumbargrade.files import file_sha256
from lumbargrade.frozen import Frozen
from lumbargrade.registry.approval import APPROVED, approval_tags
from lumbargrade.registry.artifacts import read_artifact, reading
from lumbargrade.registry.audit_events import REGISTERED, SIGNED, logged_versions
from lumbargrade.registry.champion import FOUND_MOVED, logged_moves, version_words
from lumbargrade.registry.lineage.bundle import EVIDENCE_SIGNATURE, MODEL_SIGNATURE, Evidence, fetched_evidence
from lumbargrade.registry.lineage.dependencies import read_dependencies
from lumbargrade.registry.lineage.record import file_digests
from lumbargrade.registry.lineage.runs import differences, run_problems
from lumbargrade.registry.names import MODEL_META, registered_name, version_uri
from lumbargrade.registry.resolve import champion_version
from lumbargrade.registry.tags import GATE_ARTIFACTS, GATE_SHA256, SEARCH_RUN
from lumbargrade.registry.versions import all_versions
from lumbargrade.tracking.mlflow_tracker import Tracker

Watch = Callable[[str], Callable[[int, int], None]]
"""Given what is read, returns what moves its progress bar."""

LOG_PART = "log"


class Problem(Frozen):
    """Something that is not as it was signed.

    Attributes:
        part: ``log``, ``champion``, ``version 3``, or ``data``.
    """

    part: str
    problem: str


class Verification(Frozen):
    """What was checked, and what did not agree.

    Attributes:
        key_sha256: Fingerprint of the key that signed; empty if there is none.
        entries: Of the audit log.
        versions: That were checked.
        cut_off: Versions whose registration was cut off; they have no evidence, and were never champion.
        unchecked: What could not be checked, and why.
    """

    key_sha256: str
    entries: int
    versions: tuple[str, ...]
    cut_off: tuple[str, ...]
    problems: tuple[Problem, ...]
    unchecked: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class _Found:
    """What does not agree, and what could not be checked, with what was in the way."""

    problems: list[Problem] = field(default_factory=list)
    unchecked: list[Problem] = field(default_factory=list)
    obstacles: list[LumbargradeError] = field(default_factory=list)

    def take(self, part: str, problems: Iterable[str]) -> None:
        """Takes the problems of a part, until what was in the way of the check, if anything was."""
        try:
            with reading("what is compared"):
                for problem in problems:  # one by one: what was found before something was in the way stays found
                    self.problems.append(Problem(part=part, problem=problem))
        except LumbargradeError as error:
            self.unchecked.append(Problem(part=part, problem=str(error)))
            self.obstacles.append(error)


@dataclass(frozen=True)
class _Registry:
    """What is compared: MLflow's account and the log's.

    Attributes:
        versions: As MLflow has them.
    """

    tracker: Tracker
    task: GradingTask
    log: AuditLog
    versions: dict[str, ModelVersion]

    def entries(self, version: str) -> list[Entry]:
        uri = version_uri(registered_name(self.task), version)
        return [entry for entry in self.log.entries() if entry.subject == uri]


def verify(
    tracker: Tracker,
    task: GradingTask,
    log: AuditLog,
    version: str | None = None,
    watch: Watch = lambda what: lambda done, of: None,
    key_sha256: str | None = None,
) -> Verification:
    """Checks the log, the champion, the versions, and the data that they were made of.

    Args:
        version: Only this one; all if not given.
        watch: Makes a progress bar.
        key_sha256: Fingerprint that the key must have, as it was noted elsewhere.

    Raises:
        InputError: There is no such version, in MLflow or in the log.
    """
    registry = _open(tracker, task, log)
    logged = logged_versions(log, task, REGISTERED)
    names = sorted({*registry.versions, *logged}, key=int)
    if version is not None:
        if version not in names:
            raise InputError(
                f"{registered_name(task)} has no version {version}",
                f"registered: {', '.join(names) or 'none'}",
                "version-not-registered",
            )
        names = [version]
    found, objects = _Found(), dict[str, str]()
    found.take(LOG_PART, _log_problems(log, key_sha256))
    found.take("champion", _champion_problems(registry))
    cut_off = logged - logged_versions(log, task, SIGNED) - {move.to_version for move in logged_moves(log, task)}
    for name in names:
        if name not in cut_off:
            found.take(f"version {name}", _problems_of_version(registry, name, objects))
    for md5, what in objects.items():
        found.take("data", object_problems(md5, what, watch(what)))
    found.take("data", workspace_problems(watch("files of the project")))
    return Verification(
        key_sha256=_fingerprint(log),
        entries=len(log.entries()),
        versions=tuple(name for name in names if name not in cut_off),
        cut_off=tuple(name for name in names if name in cut_off),
        problems=tuple(found.problems),
        unchecked=tuple(found.unchecked),
    )


def version_problems(
    tracker: Tracker, task: GradingTask, log: AuditLog, version: str, as_champion: bool = False
) -> list[Problem]:
    """What shows that a version is not what was signed: in the log, and in the version's signatures and tags.

    Args:
        as_champion: Whether it is used because it is champion; then the alias is checked too.

    Raises:
        CannotVerifyError: Nothing is known to be wrong, and something could not be checked.
    """
    registry, found = _open(tracker, task, log), _Found()
    found.take(LOG_PART, _log_problems(log, None))
    if as_champion:
        found.take("champion", _champion_problems(registry))
    found.take(f"version {version}", _problems_of_version(registry, version, None))
    if found.obstacles and not found.problems:
        first = found.obstacles[0]
        raise CannotVerifyError(first.what, first.remedy, first.code) from first
    return found.problems


def _open(tracker: Tracker, task: GradingTask, log: AuditLog) -> _Registry:
    """Opens what is compared.

    Raises:
        CannotVerifyError: The store's versions or the log cannot be read.
    """
    with reading("what is compared"):
        versions = {str(each.version): each for each in all_versions(tracker, task)}
        if log.is_absent():
            raise CannotVerifyError(
                f"there is no audit log {log.path} here",
                f"run in the folder of the project that registered the versions, or put its folder {log.path.parent} "
                "back from a copy",
                "audit-log-missing",
            )
        log.entries()
    return _Registry(tracker, task, log, versions)


def _fingerprint(log: AuditLog) -> str:
    with suppress(InputError, OSError):
        return open_public_key(log.keys).sha256
    return ""


def _log_problems(log: AuditLog, wanted: str | None) -> Iterator[str]:
    try:
        key = open_public_key(log.keys)
        yield from log.problems()
    except InputError as error:
        yield str(error)
        return
    if wanted is not None and wanted != key.sha256:
        yield f"{key.path} has the fingerprint {key.sha256}, not {wanted}"


def _champion_problems(registry: _Registry) -> Iterator[str]:
    moves = logged_moves(registry.log, registry.task)
    left, now = moves[-1].to_version if moves else None, champion_version(registry.tracker, registry.task)
    if now != left:
        yield f"the alias is at {version_words(now)}; the log left it at {version_words(left)}"
    elif moves and moves[-1].kind == FOUND_MOVED:
        yield (
            f"the alias was moved to {version_words(now)} by something that did not log it (found at {moves[-1].time}); "
            "approve that version or roll back"
        )


def _problems_of_version(registry: _Registry, version: str, objects: dict[str, str] | None) -> Iterator[str]:
    """What is wrong with a version.

    Args:
        objects: Takes what DVC must hold for it; without it, neither data nor MLflow's runs are looked at.
    """
    found, entries = registry.versions.get(version), registry.entries(version)
    if found is None:
        yield "it was registered, and MLflow does not have it any more"
        return
    if not any(entry.kind == REGISTERED for entry in entries):
        yield "MLflow has it, and the log does not say that it was registered"
        return
    yield from _tag_problems(found, entries)
    signed = [entry for entry in entries if entry.kind == SIGNED]
    if not signed:
        yield "it has no signed evidence; `lumbargrade run` makes a version that has"
        return
    try:
        key = open_public_key(registry.log.keys)
    except InputError:
        return  # the log's own check says it
    with fetched_evidence(found) as evidence:
        if evidence is None:
            yield "its evidence is gone from MLflow"
            return
        problems = [*_evidence_problems(evidence, signed[-1], key)]
        yield from problems
        if not problems and objects is not None:
            yield from _gate_problems(registry.tracker, found)
            yield from _run_problems(registry, evidence, version)
            _note_objects(evidence, objects)


def _tag_problems(found: ModelVersion, entries: Sequence[Entry]) -> Iterator[str]:
    """Each tag was written down in the log before it was set."""
    then: dict[str, str] = {}
    for entry in entries:
        then |= approval_tags(entry) if entry.kind == APPROVED else entry.details.get("tags", {})
    now = {name: value for name, value in found.tags.items() if not name.startswith("mlflow.")}
    yield from differences("its tag", then, now)


def _evidence_problems(evidence: Evidence, signed: Entry, key: PublicKey) -> Iterator[str]:
    logged: dict[str, str] = signed.details["sha256"]
    for name, path in {EVIDENCE_SIGNATURE: evidence.signature, MODEL_SIGNATURE: evidence.model_signature}.items():
        if not path.is_file():
            yield f"its {name} is missing"
        elif file_sha256(path) != logged[name]:
            yield f"its {name} is not the one that the log names"
    problem = signature_problem(evidence.folder, evidence.signature, key)
    if problem:
        yield f"its evidence was altered: {problem}"
        return
    model = {each["name"]: each["digest"]["sha256"] for each in evidence.record["subject"]}
    now = file_digests(evidence.model)
    for name in sorted({*model, *now}):
        if name not in now:
            yield f"the model's file {name} is gone"
        elif name not in model:
            yield f"the model's file {name} was added"
        elif model[name] != now[name]:
            yield f"the model's file {name} was altered"
    if model == now and signature_problem(evidence.model, evidence.model_signature, key, but=[MODEL_META]):
        yield f"its {MODEL_SIGNATURE} is not of the model"


def _gate_problems(tracker: Tracker, found: ModelVersion) -> Iterator[str]:
    """The gate's own account in MLflow is the one whose hash stands on the version."""
    wanted = found.tags.get(GATE_SHA256)
    if wanted is None:
        return
    path = f"{found.tags[GATE_ARTIFACTS]}/gate.json"
    text = read_artifact(f"runs:/{found.run_id}/{path}") or ""
    if hashlib.sha256(text.encode()).hexdigest() != wanted:
        yield f"{path} of run {found.run_id} was altered or is gone"


def _run_problems(registry: _Registry, evidence: Evidence, version: str) -> Iterator[str]:
    """A search that goes on changes the rows of its own run; those of what has ended stay."""
    known = evidence.runs
    search = evidence.record["lumbargrade"]["search"]["runId"]
    later = [
        each
        for each in registry.versions.values()
        if int(each.version) > int(version) and each.tags.get(SEARCH_RUN) == search
    ]
    if later:
        known.pop(search, None)
    yield from run_problems(registry.tracker, known)


def _note_objects(evidence: Evidence, objects: dict[str, str]) -> None:
    made_of = read_dependencies(evidence.record)
    objects.setdefault(made_of.dataset["digest"]["md5"], made_of.dataset["name"])
    for path, md5 in made_of.outputs.items():
        objects.setdefault(md5, path)
