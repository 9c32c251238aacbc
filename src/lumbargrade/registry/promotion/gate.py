"""Lets the gate judge a version, and keeps what it decided: in the audit log, on the version, and in its search's run."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lumbargrade.config.params import GateParams
from lumbargrade.config.project import Project
from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import open_dataset
from lumbargrade.data.subgroups import study_subgroups
from lumbargrade.errors import InputError
from lumbargrade.evaluation.performance import summarize_performance
from lumbargrade.models.bundle import LoadedModel, UnreadableModelError
from lumbargrade.registry import tags as tag
from lumbargrade.registry.candidate import Candidate
from lumbargrade.registry.champion import Champion, still
from lumbargrade.registry.names import registered_name, version_uri
from lumbargrade.registry.promotion.decision import PROMOTE, GateDecision, decide
from lumbargrade.registry.promotion.holdout import HoldoutGrades, grade_anew, grade_planned, held_out
from lumbargrade.registry.promotion.report import gate_figure
from lumbargrade.registry.resolve import load_model
from lumbargrade.registry.versions import get_version

GATE = "gate"
"""Kind of an entry in the audit log."""

NOBODY = "none"
"""What a version says of the champion that it was judged against if there was none."""


@dataclass(frozen=True)
class Judgement:
    """What the gate decided about a version.

    Attributes:
        against: The champion that it was judged against; None if there was none.
        tags: What the version says of it.
    """

    version: str
    against: str | None
    decision: GateDecision
    tags: dict[str, str]


def judge_new(champion: Champion, version: str, candidate: Candidate) -> Judgement:
    """Judges a candidate that was registered just now, and writes the decision on its version.

    :func:`settle` does what the decision says.
    """
    judged_against = champion.version
    ours, (theirs, unreadable) = _load(champion.task, version), _load_champion(champion.task, judged_against)
    grades = grade_planned(ours, theirs, candidate)
    judgement = _decide(champion, version, judged_against, grades, candidate.params.gate, unreadable)
    _tag(champion, judgement)
    return judgement


def settle(champion: Champion, version: str) -> None:
    """Makes a version champion if the gate promotes it, unless that was done."""
    tags = get_version(champion.tracker, champion.task, version).tags
    if tags[tag.GATE_DECISION] == PROMOTE and not any(move.to_version == version for move in champion.moves()):
        against = tags[tag.GATE_CHAMPION]
        champion.move(version, tags[tag.GATE_REASON], check=still(None if against == NOBODY else against, version))


def judge_again(champion: Champion, version: str, rules: GateParams, project: Project, dry: bool) -> GateDecision:
    """Judges a registered version again, from the dataset's files; each time is a look at the holdout.

    No alias moves: what a run has not promoted, a person approves.

    Args:
        project: Where the datasets are, and their splits.
        dry: Whether to leave the version as it is; the log has the decision in any case.

    Raises:
        InputError: There is no such version, it is champion, or its dataset or split is not here as it was.
    """
    tags = get_version(champion.tracker, champion.task, version).tags
    judged_against = champion.version
    if judged_against == version:
        raise InputError(
            f"version {version} is champion", "there is nothing to judge it against", "version-is-champion"
        )
    held = _held_as_then(version, tags, project.prepared)
    dataset = open_dataset(project.datasets / tags[tag.DATASET_NAME], champion.task)
    candidate, (theirs, unreadable) = _load(champion.task, version), _load_champion(champion.task, judged_against)
    grades = grade_anew(candidate, theirs, dataset, held, study_subgroups(dataset, held))
    judgement = _decide(champion, version, judged_against, grades, rules, unreadable, again=True, dry=dry)
    if not dry:
        _tag(champion, judgement)
    return judgement.decision


def _decide(
    champion: Champion,
    version: str,
    judged_against: str | None,
    grades: HoldoutGrades | None,
    rules: GateParams,
    unreadable: str | None,
    again: bool = False,
    dry: bool = False,
) -> Judgement:
    """Decides, and counts the look by logging it before anybody reads the decision."""
    look = 0
    if grades:
        holdout = grades.sha256
        look = 1 + sum(entry.details.get("holdout_sha256") == holdout for entry in champion.log.entries(GATE))
    decision = decide(champion.task, grades, judged_against is not None, rules, look, unreadable)
    tags = {} if dry else _tags(champion, version, judged_against, decision)
    details = {
        "decision": decision.decision,
        "reasons": decision.reasons,
        "champion": judged_against,
        "again": again,
        "dry_run": dry,
        "holdout_sha256": decision.holdout_sha256,
        "look": decision.look,
        "rules": rules.model_dump(mode="json"),
        "checks": [check.model_dump(mode="json") for check in decision.checks],
        "tags": tags,
    }
    champion.log.append(GATE, version_uri(registered_name(champion.task), version), details)
    return Judgement(version, judged_against, decision, tags)


def _tags(champion: Champion, version: str, judged_against: str | None, decision: GateDecision) -> dict[str, str]:
    """Keeps table and picture in the search's run, in a folder of the version, as a search may give several.

    Returns:
        Tags for the version.
    """
    found = get_version(champion.tracker, champion.task, version)
    folder = f"gate/{version}"
    text = decision.model_dump_json(indent=2)
    tags = {tag.GATE_REASON: decision.reason, tag.GATE_CHAMPION: judged_against or NOBODY}
    if found.run_id:
        champion.tracker.log_text(found.run_id, text, f"{folder}/gate.json")
        champion.tracker.log_figure(found.run_id, gate_figure(decision), f"{folder}/gate.png")
        tags |= {tag.GATE_ARTIFACTS: folder, tag.GATE_SHA256: hashlib.sha256(text.encode()).hexdigest()}
    if decision.holdout_sha256 is not None:
        tags |= {tag.HOLDOUT_SHA256: decision.holdout_sha256, tag.GATE_LOOK: str(decision.look)}
    if decision.candidate is not None:
        tags |= {
            tag.HOLDOUT_SCORE: str(decision.candidate.score),
            tag.HOLDOUT_ACCURACY: str(decision.candidate.accuracy),
            tag.HOLDOUT_PERFORMANCE: summarize_performance(decision.candidate, champion.task).model_dump_json(),
        }
    if decision.on_labelled is not None:
        tags[tag.HOLDOUT_SCORE_LABELLED] = str(decision.on_labelled.score)
    if decision.champion is not None:
        tags[tag.GATE_CHAMPION_SCORE] = str(decision.champion.score)
    tags[tag.GATE_DECISION] = decision.decision
    return {key: value[: tag.MAX_LENGTH] for key, value in tags.items()}


def _tag(champion: Champion, judgement: Judgement) -> None:
    name = registered_name(champion.task)
    for key, value in judgement.tags.items():
        champion.tracker.client.set_model_version_tag(name, judgement.version, key, value)


def _held_as_then(version: str, tags: dict[str, str], prepared: Path) -> list[int]:
    """The holdout, if it is the one that the version was not trained on."""
    if tag.DATASET_NAME not in tags or tag.DATASET_SPLIT_MD5 not in tags:
        raise InputError(
            f"version {version} does not say what it was trained on",
            "judge one that `lumbargrade run` made",
            "version-without-training-data",
        )
    split = prepared / tags[tag.DATASET_NAME] / "split.csv"
    if not split.is_file():
        raise InputError(f"{split} is not here", "`dvc repro` makes it, or `lumbargrade run`", "split-missing")
    if hashlib.md5(split.read_bytes(), usedforsecurity=False).hexdigest() != tags[tag.DATASET_SPLIT_MD5]:
        raise InputError(
            f"{split} is not the split of version {version} (its tag {tag.DATASET_SPLIT_MD5}), which may have been trained "
            "on what is held out now",
            f"check out its commit (tag {tag.GIT_COMMIT}) with `dvc checkout`, or train it anew",
            "split-of-another-version",
        )
    return held_out(split)


def _load(task: GradingTask, version: str) -> LoadedModel:
    return load_model(version_uri(registered_name(task), version))


def _load_champion(task: GradingTask, version: str | None) -> tuple[LoadedModel | None, str | None]:
    """The champion, if there is one that can be read; if not, why not."""
    if version is None:
        return None, None
    try:
        return _load(task, version), None
    except UnreadableModelError as error:
        return None, str(error)
