"""What an auditor reads: the record in short and as files, the card, the log, each by one command."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lumbargrade.audit.keys import open_public_key
from lumbargrade.audit.signature import signature_problem
from lumbargrade.cli.app import app
from lumbargrade.errors import InputError
from lumbargrade.inference.grade import refuse_study
from lumbargrade.registry.champion import Champion
from lumbargrade.registry.lineage.page import record_html
from lumbargrade.registry.lineage.record import file_digests, file_sha256
from lumbargrade.registry.lineage.show import show_evidence
from lumbargrade.serving.records.prediction_log import ServingLog
from lumbargrade.tracking.mlflow_tracker import tracking_uri
from tests.alterations import a_byte_of_the_weights
from tests.projects import NAME, SUSPECTS, Project


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["audit", *arguments])
    assert done.exit_code == code, done.output
    return done.stdout


def test_the_record_tells_what_a_version_was_made_of(project: Project) -> None:
    record, history = show_evidence(project.tracker, project.task, project.log, "1")
    assert record["_type"] == "https://in-toto.io/Statement/v1"
    assert {each["name"]: each["digest"]["sha256"] for each in record["subject"]} == file_digests(project.model)
    parts = {part["name"]: part for part in record["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert parts["code"]["digest"] == {"gitCommit": "c0ffee", "sha256": "of the package"}
    assert parts["dataset tiny"]["annotations"]["files"] == 5
    assert list(parts["dvc stage prepare@tiny"]["annotations"]["outputs"]) == ["prepared/tiny/crops"]
    assert parts["training.suspects"] == {
        "name": "training.suspects",
        "digest": {"sha256": file_sha256(project.folder / SUSPECTS)},
        "annotations": {"path": SUSPECTS},
    }
    assert parts["numpy"]["annotations"]["version"]
    story = record["lumbargrade"]
    assert story["split"]["studies"] == {"-1": 2, "0": 3, "1": 3}
    assert story["leftOut"] == [{"points": "labelled", "reason": "the slice is missing", "cells": 1}]
    assert story["gate"]["decision"] == "promote"
    assert [trial["score"] for trial in story["search"]["trials"]] == [0.4]
    assert [entry.kind for entry in history] == ["registered", "gate", "evidence signed", "alias moved"]


def test_all_of_the_evidence_is_written_and_can_be_checked_elsewhere(project: Project) -> None:
    told = run("show", "1", "--out", "evidence")
    assert told.splitlines()[-1].split() == ["written", "evidence"]
    folder, key = Path("evidence"), open_public_key(project.log.keys)
    assert signature_problem(folder / "files", folder / "evidence.sig", key) is None
    page = (folder / "history.html").read_text()
    assert f"{NAME} version 1" in page and "alias moved" in page and "the slice is missing" in page
    card = (folder / "files/card.html").read_text()
    assert "it is not recorded whether they are real (dataset tiny)" in card
    assert card.index("recall of Severe") < card.index("<td>accuracy</td>") < card.index("official score")
    assert "always answering the commonest grade" in card
    assert "Not for clinical use." in card and "On whom it is worse" in card and "frozen holdout" in card
    sbom = json.loads((folder / "files/sbom.json").read_text())
    assert (sbom["bomFormat"], sbom["metadata"]["component"]["name"]) == ("CycloneDX", NAME)
    lines = (folder / "files/dataset.sha256").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == [
        "1/2/0.dcm", "1/2/1.dcm", "1/2/2.dcm", "folds.csv", "skipped.parquet",
    ]  # fmt: skip
    again = run("show", "1", "--out", "evidence")
    assert again == told


def test_the_record_is_drawn_with_packages_that_have_no_hash(project: Project) -> None:
    record, history = show_evidence(project.tracker, project.task, project.log, "1")
    part = {"name": "debians", "digest": {}, "annotations": {"version": "1.0"}}
    record["predicate"]["buildDefinition"]["resolvedDependencies"].append(part)
    assert "<td>debians</td><td>1.0</td><td><code></code></td>" in record_html(record, history)


def test_show_answers_in_lines(project: Project) -> None:
    lines = dict(line.split("  ", 1) for line in run("show", "1").splitlines())
    assert lines["code"].strip() == "commit c0ffee"
    assert lines["left out"].strip() == "1 crops (left_out.csv)"
    assert lines["gate"].strip() == "promote: there was no champion"


def test_verify_says_so_and_exits_by_it(project: Project) -> None:
    assert run("verify").startswith("nothing was altered  versions 1; 5 entries of the audit log\n")
    a_byte_of_the_weights(project)
    told = json.loads(run("verify", "--json", code=1))
    assert told["problems"] == [
        {"part": "version 1", "problem": "the model's file artifacts/grader-00.safetensors was altered"}
    ]


def test_the_log_and_the_trials_are_printed(project: Project) -> None:
    assert [entry["kind"] for entry in json.loads(run("log", "--json"))][:2] == ["log begun", "registered"]
    assert "there was no champion" in run("log", "--kind", "gate", "--version", "1")
    (trial,) = json.loads(run("trials", "1", "--json"))
    assert (trial["state"], trial["score"]) == ("complete", 0.4)
    assert project.runs["trial"] in run("trials", "1")


def test_who_was_champion_on_a_day(project: Project) -> None:
    (move,) = Champion(project.tracker, project.task, project.log).moves()

    def champions(at: str) -> list[str]:
        done = CliRunner().invoke(app, ["models", "history", "--at", at, "--json"])
        assert done.exit_code == 0, done.output
        return [told["to_version"] for told in json.loads(done.stdout)]

    assert champions(move.time[:10]) == ["1"]
    assert champions("2999-01-01") == ["1"]
    assert champions("2000-01-01") == []
    assert champions(move.time) == ["1"]
    done = CliRunner().invoke(app, ["models", "history", "--at", "yesterday"])
    assert isinstance(done.exception, InputError)
    assert str(done.exception) == "yesterday is no date or time; give one like 2026-03-31 or 2026-03-31T12:00"


def test_an_answer_is_traced_by_its_models_version_or_id(project: Project) -> None:
    (served,) = project.tracker.client.search_model_versions(f"name='{NAME}'")
    named = (f"{NAME}/1", served.source.removeprefix("models:/"), "m-of-elsewhere", "", "lumbargrade-other/1")
    for number, model in enumerate(named):
        answer = refuse_study(project.task, "the slice is missing").assign(study_id="1.2.3")
        ServingLog().append(f"r{number}", model, b"zip", answer, project.task)
    for request in ("r0", "r1"):
        assert json.loads(run("trace", request, "--json"))["lineage"]["lumbargrade"]["version"] == "1"
    remedy = (
        f"which is no version of {NAME} in {tracking_uri()}; give the --task and the MLFLOW_TRACKING_URI it was served from, "
        "and serve with `lumbargrade models serve`, so that answers name their version"
    )
    for request, told in {
        "r2": f"the answer was given by model m-of-elsewhere, {remedy}",
        "r3": f"the answer was given by a model without a name, {remedy}",
        "r4": "the answer was given by lumbargrade-other/1, a model of another task; give that task with --task",
    }.items():
        assert str(CliRunner().invoke(app, ["audit", "trace", request]).exception) == told


def test_a_version_without_evidence(project: Project) -> None:
    project.tracker.client.create_model_version(NAME, str(project.model), project.runs["search"])
    with pytest.raises(
        InputError, match=r"^version 2 has no evidence; versions that `lumbargrade run` registers have it$"
    ):
        show_evidence(project.tracker, project.task, project.log, "2")
