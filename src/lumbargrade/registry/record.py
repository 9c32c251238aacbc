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

from lumbargrade.dataset.versions import DATASETS, read_version
from lumbargrade.prepare.pack import SKIPPED
from lumbargrade.prepare.split import HOLDOUT
from lumbargrade.registry.environment import installed_packages, this_machine
from lumbargrade.registry.lineage import CodeState
from lumbargrade.training.plan import SearchOutcome, SearchPlan

STATEMENT, PROVENANCE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
BUILD_TYPE = "lumbargrade/retrain/v1"

Json = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """What a version was made of, as the flow knows it.

    Attributes:
        name: Registered name.
        flow_run_id: Prefect's id; empty outside of a flow.
        previous_champion: Version that was champion before; nothing if there was none.
    """

    plan: SearchPlan
    outcome: SearchOutcome
    code: CodeState
    name: str
    version: str
    flow_run_id: str
    previous_champion: str | None


def make_record(made: Made, model: Path) -> Json:
    """Writes down where a model came from.

    Args:
        model: Folder that MLflow wrote.
    """
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in file_digests(model).items()],
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "params": made.plan.params.model_dump(mode="json"),
                    "task": made.plan.task.model_dump(mode="json"),
                },
                "internalParameters": {"machine": this_machine().model_dump(mode="json")},
                "resolvedDependencies": [_code(made.code), *_data(made.plan), *_packages()],
            },
            "runDetails": {
                "builder": {"id": "lumbargrade"},
                "metadata": {
                    "invocationId": made.flow_run_id,
                    "finishedOn": datetime.now(UTC).isoformat(timespec="seconds"),
                },
                "byproducts": [_fold(fold.model, fold.model_dump(mode="json")) for fold in made.outcome.folds]
                + [_fold(path, {}) for path in made.plan.locators],
            },
        },
        "lumbargrade": _story(made),
    }


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder, by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in files}


def _story(made: Made) -> Json:
    """What SLSA has no place for: what was tried, how good it is, who was left out."""
    outcome = made.outcome
    split = pd.read_csv(made.plan.split)
    held = sorted(split.loc[split["fold"] == HOLDOUT, "study_id"].tolist())
    return {
        "model": made.name,
        "version": made.version,
        "previousChampion": made.previous_champion,
        "search": {
            "name": outcome.name,
            "runId": outcome.run_id,
            "bestTrial": outcome.trial,
            "trialRunId": outcome.trial_run_id,
            "foldRunIds": outcome.fold_run_ids,
            "trials": [trial.model_dump(mode="json") for trial in outcome.tried],
        },
        "evaluation": outcome.evaluation.model_dump(mode="json"),
        "split": {
            "sha256": _sha256(made.plan.split),
            "studies": split.groupby("fold").size().to_dict(),
            "holdoutSha256": hashlib.sha256("\n".join(map(str, held)).encode()).hexdigest(),
        },
        "leftOut": _left_out([made.plan.crops, *([made.plan.located] if made.plan.located else [])]),
    }


def _code(code: CodeState) -> Json:
    return {
        "name": "code",
        "digest": {"gitCommit": code.commit, "sha256": code.package_sha256},
        "annotations": {"dirty": code.dirty, "diffSha256": code.diff_sha256},
    }


def _data(plan: SearchPlan) -> list[Json]:
    """The dataset's version, a digest of its files, and every stage of dvc.lock that made something of it."""
    version = read_version(DATASETS.parent / plan.data["name"])
    listing = file_digests(version.folder)
    dataset = {
        "name": f"dataset {version.name}",
        "digest": {"md5": version.md5, "sha256": manifest_sha256(listing)},
        "annotations": {"files": version.files, "bytes": version.size},
    }
    stages = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
    ours = {name: stage for name, stage in stages.items() if name.endswith(f"@{version.name}")}
    return [dataset, *(_stage(name, stage) for name, stage in sorted(ours.items()))]


def manifest_sha256(digests: Mapping[str, str]) -> str:
    """One hash of the hashes of many files and their names."""
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()).hexdigest()


def _stage(name: str, stage: Mapping[str, Any]) -> Json:
    def hashes(kind: str) -> dict[str, str]:
        return {each["path"]: each["md5"] for each in stage.get(kind, [])}

    return {
        "name": f"dvc stage {name}",
        "digest": {"md5": next(iter(hashes("outs").values()), "")},
        "annotations": {"command": stage["cmd"], "inputs": hashes("deps"), "outputs": hashes("outs")},
    }


def _packages() -> Iterable[Json]:
    for package in installed_packages():
        digest = {"sha256": package.sha256} if package.sha256 else {}
        yield {"name": package.name, "digest": digest, "annotations": {"version": package.version}}


def _fold(path: Path, told: Json) -> Json:
    facts = {key: value for key, value in told.items() if key != "folder"}
    return {
        "name": f"{path.parent.parent.name}/{path.parent.name}",
        "digest": {"sha256": _sha256(path)},
        "annotations": facts,
    }


def _left_out(folders: Iterable[Path]) -> dict[str, dict[str, int]]:
    """How many crops could not be cut, by reason; which they are stands in ``skipped.parquet``."""
    reasons = {folder.name: pd.read_parquet(folder / SKIPPED)["reason"] for folder in folders}
    return {
        name: {str(why): int(number) for why, number in told.value_counts().items()} for name, told in reasons.items()
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
