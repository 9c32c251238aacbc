"""The lineage record of a version: everything it came from, in one document that can be signed.

Its form is an in-toto statement about the files of the model, with SLSA's provenance as the predicate.
Source: in-toto.io/Statement/v1, slsa.dev/provenance/v1.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lumbargrade.config.project import current_project
from lumbargrade.data.versioning.dvc import read_version
from lumbargrade.files import file_sha256
from lumbargrade.preprocessing.split.split import HOLDOUT
from lumbargrade.registry.candidate import Candidate
from lumbargrade.registry.lineage.code import CodeState
from lumbargrade.registry.lineage.dependencies import CODE, DATASET, INPUT_FILE, STAGE, Json
from lumbargrade.registry.lineage.environment import installed_packages, this_machine
from lumbargrade.registry.names import MODEL_META, registered_name
from lumbargrade.registry.promotion.decision import GateDecision
from lumbargrade.training.grader.input_files import named_files
from lumbargrade.training.jobs.student import Student
from lumbargrade.tree import files_below

STATEMENT, PROVENANCE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
BUILD_TYPE = "lumbargrade/retrain/v1"


@dataclass(frozen=True)
class NewVersion:
    """What became of a candidate that was registered just now: what its record has beyond the candidate.

    Attributes:
        number: MLflow's, from 1.
        baseline: Version that was champion before; None if there was none.
        code: The code that made it.
        flow_run_id: Prefect's id; empty outside of a flow.
        reference: What it answers to held-out studies, as the serving log has answers; empty if nobody asked it.
    """

    number: str
    gate: GateDecision
    baseline: str | None
    code: CodeState
    flow_run_id: str
    reference: str = ""


def make_record(
    candidate: Candidate,
    version: NewVersion,
    model: Mapping[str, str],
    dataset: Mapping[str, str],
    left_out: pd.DataFrame,
) -> Json:
    """Writes down where a model came from.

    Args:
        version: What became of the candidate.
        model: SHA-256 of the model's files, by their path.
        dataset: The same of the dataset.
        left_out: Cells that could not be used, with ``reason``.
    """
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in model.items()],
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "params": candidate.params.model_dump(mode="json"),
                    "task": candidate.task.model_dump(mode="json"),
                },
                "internalParameters": {"machine": this_machine().model_dump(mode="json")},
                "resolvedDependencies": [
                    _code(version.code),
                    *_data(candidate.dataset.root, dataset),
                    *_input_files(candidate),
                    *_packages(),
                ],
            },
            "runDetails": {
                "builder": {"id": "lumbargrade"},
                "metadata": {
                    "invocationId": version.flow_run_id,
                    "finishedOn": datetime.now(UTC).isoformat(timespec="seconds"),
                },
                "byproducts": [
                    *(_trained(fold.model, fold.model_dump(mode="json")) for fold in candidate.folds),
                    *([_student(candidate.student)] if candidate.student else []),
                    *(_trained(path, {}) for path in candidate.locators),
                ],
            },
        },
        "lumbargrade": _story(candidate, version, left_out),
    }


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder, by its path in it."""
    files = [path for path in files_below(folder) if path.name != MODEL_META]
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}


def manifest(digests: Mapping[str, str]) -> str:
    """A list of files that ``sha256sum --check`` reads."""
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items())


def _story(candidate: Candidate, version: NewVersion, left_out: pd.DataFrame) -> Json:
    """What SLSA has no place for: what was tried, how good it is, who was left out, what the gate said."""
    split = pd.read_csv(candidate.split)
    held = sorted(split.loc[split["fold"] == HOLDOUT, "study_id"].tolist())
    reasons = left_out.value_counts(["points", "reason"], sort=False).rename("cells").reset_index()
    return {
        "model": registered_name(candidate.task),
        "version": version.number,
        "championBefore": version.baseline,
        "search": {
            "name": candidate.search_name,
            "runId": candidate.search_run_id,
            "bestTrial": candidate.best_trial,
            "trialRunId": candidate.trial_run_id,
            "foldRunIds": list(candidate.fold_run_ids),
            "training": candidate.training.model_dump(mode="json"),
            "trials": [trial.model_dump(mode="json") for trial in candidate.trials],
        },
        "facts": candidate.facts.model_dump(mode="json"),
        "packaged": {"graders": candidate.packaging, "words": candidate.packaging_words},
        "evaluation": candidate.evaluation.model_dump(mode="json"),
        "gate": version.gate.model_dump(mode="json"),
        "split": {
            "sha256": file_sha256(candidate.split),
            "studies": {str(fold): int(number) for fold, number in split.groupby("fold").size().items()},
            "holdoutSha256": hashlib.sha256("\n".join(map(str, held)).encode()).hexdigest(),
        },
        "leftOut": reasons.to_dict("records"),
    }


def _code(code: CodeState) -> Json:
    return {
        "name": CODE,
        "digest": {"gitCommit": code.commit, "sha256": code.package_sha256},
        "annotations": {"dirty": code.dirty, "diffSha256": code.diff_sha256},
    }


def _data(root: Path, listing: Mapping[str, str]) -> list[Json]:
    """The dataset's version, a digest of its files, and every stage of dvc.lock that made something of it."""
    version = read_version(root)
    dataset = {
        "name": f"{DATASET}{version.name}",
        "digest": {"md5": version.md5, "sha256": hashlib.sha256(manifest(listing).encode()).hexdigest()},
        "annotations": {"files": version.files, "bytes": version.size},
    }
    stages = yaml.safe_load(current_project().dvc_lock.read_text(encoding="utf-8"))["stages"]
    ours = {name: stage for name, stage in stages.items() if name.endswith(f"@{version.name}")}
    return [dataset, *(_stage(name, stage) for name, stage in sorted(ours.items()))]


def _stage(name: str, stage: Mapping[str, Any]) -> Json:
    def hashes(kind: str) -> dict[str, str]:
        return {each["path"]: each["md5"] for each in stage.get(kind, [])}

    return {
        "name": f"{STAGE}{name}",
        "digest": {"md5": next(iter(hashes("outs").values()), "")},
        "annotations": {"command": stage["cmd"], "inputs": hashes("deps"), "outputs": hashes("outs")},
    }


def _input_files(candidate: Candidate) -> Iterable[Json]:
    """Files of the user's that the training began with or read."""
    for field, name in named_files(candidate.training).items():
        digest = {"sha256": candidate.input_files[name]}
        yield {"name": f"{INPUT_FILE}{field}", "digest": digest, "annotations": {"path": name}}


def _packages() -> Iterable[Json]:
    for package in installed_packages():
        digest = {"sha256": package.sha256} if package.sha256 else {}
        yield {"name": package.name, "digest": digest, "annotations": {"version": package.version}}


def _student(student: Student) -> Json:
    """It has no fold, but teachers: the folds with these hashes."""
    facts = student.result.model_dump(mode="json", exclude={"fold", "validation_loss"})
    student_facts = {
        "how": student.how,
        "teachers": list(student.teachers),
        "divergence": student.divergence,
        "sameGrade": student.same_grade,
    }
    return _trained(student.result.model, facts | student_facts)


def _trained(path: Path, facts: Json) -> Json:
    return {
        "name": f"{path.parent.parent.name}/{path.parent.name}",
        "digest": {"sha256": file_sha256(path)},
        "annotations": {key: value for key, value in facts.items() if key != "folder"},
    }
