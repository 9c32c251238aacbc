"""Whatever is altered, `audit verify` names it; what is untouched verifies clean."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lumbargrade.audit.keys import open_public_key
from lumbargrade.config.project import current_project
from lumbargrade.errors import InputError
from lumbargrade.registry.approval import approve, rollback
from lumbargrade.registry.champion import Champion
from lumbargrade.registry.lineage.verify import version_problems
from lumbargrade.serving.verified_server import served_version
from tests.alterations import a_byte_of_the_weights, a_tag, a_version_from_elsewhere, flip, sql
from tests.projects import NAME, Project


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def lines() -> list[str]:
    return current_project().audit_log.read_text().splitlines()


def write(kept: list[str]) -> None:
    current_project().audit_log.write_text("".join(f"{line}\n" for line in kept))


def the_code_that_serves(project: Project) -> str:
    edit(project.model / "model.py", "return model_input", "return None")
    return "version 1: the model's file model.py was altered"


def a_file_added_to_the_model(project: Project) -> str:
    (project.model / "artifacts/grader-01.safetensors").write_bytes(b"other")
    return "version 1: the model's file artifacts/grader-01.safetensors was added"


def a_file_taken_from_the_model(project: Project) -> str:
    (project.model / "requirements.txt").unlink()
    return "version 1: the model's file requirements.txt is gone"


def the_signature_of_the_model(project: Project) -> str:
    flip(project.evidence / "model.sig", 40)
    return "version 1: its model.sig is not the one that the log names"


def a_tag_added(project: Project) -> str:
    project.tracker.client.set_model_version_tag(NAME, "1", "approval.by", "nobody")
    return "version 1: its tag approval.by was added: nobody"


def a_tag_taken_away(project: Project) -> str:
    project.tracker.client.delete_model_version_tag(NAME, "1", "git.commit")
    return "version 1: its tag git.commit is gone; it was c0ffee"


def a_metric(project: Project) -> str:
    sql("UPDATE metrics SET value = 0.1 WHERE key = 'score' AND step = 1 AND run_uuid = ?", project.runs["trial"])
    return f"version 1: MLflow run {project.runs['trial']}: metric score of step 1 is 0.1; it was 0.4"


def a_metric_as_it_is_shown(project: Project) -> str:
    sql("UPDATE latest_metrics SET value = 0.1 WHERE key = 'score' AND run_uuid = ?", project.runs["fold"])
    return f"version 1: MLflow run {project.runs['fold']}: the latest score is shown as 0.1; it was 0.4"


def a_metric_of_the_locator(project: Project) -> str:
    project.tracker.log_metrics(project.runs["locator"], {"within_5_mm": 1.0})
    return f"version 1: MLflow run {project.runs['locator']}: metric within_5_mm of step 0 was added: 1.0"


def a_parameter_of_a_run(project: Project) -> str:
    sql("UPDATE params SET value = '7' WHERE key = 'seed' AND run_uuid = ?", project.runs["search"])
    return f"version 1: MLflow run {project.runs['search']}: parameter seed is 7; it was 0"


def a_run_deleted(project: Project) -> str:
    sql("DELETE FROM latest_metrics WHERE run_uuid = ?", project.runs["fold"])
    sql("DELETE FROM metrics WHERE run_uuid = ?", project.runs["fold"])
    return f"version 1: MLflow run {project.runs['fold']}: metric score of step 0 is gone; it was 0.5"


def the_alias_in_sql(project: Project) -> str:
    a_version_from_elsewhere(project)
    sql("UPDATE registered_model_aliases SET version = '2'")
    return "champion: the alias is at version 2; the log left it at version 1"


def the_alias_taken_away(project: Project) -> str:
    project.tracker.client.delete_registered_model_alias(NAME, "champion")
    return "champion: the alias is at no version; the log left it at version 1"


def the_alias_found_by_another_command(project: Project) -> str:
    project.tracker.client.delete_registered_model_alias(NAME, "champion")
    Champion(project.tracker, project.task, project.log)
    return "champion: the alias was moved to no version by something that did not log it"


def the_version_deleted(project: Project) -> str:
    project.tracker.client.delete_model_version(NAME, "1")
    return "version 1: it was registered, and MLflow does not have it any more"


def a_line_of_the_log_edited(project: Project) -> str:
    edit(current_project().audit_log, "there was no champion", "everybody was for it")
    return "was edited: its hash is another"


def a_line_of_the_log_removed(project: Project) -> str:
    write([line for number, line in enumerate(lines()) if number != 2])
    return f"log: {current_project().audit_log} line 3 is entry 3 where entry 2 belongs"


def lines_of_the_log_in_another_order(project: Project) -> str:
    one, two, *rest = lines()
    write([two, one, *rest])
    return f"log: {current_project().audit_log} line 1 is entry 1 where entry 0 belongs"


def the_end_of_the_log_cut_off(project: Project) -> str:
    write(lines()[:-1])
    return "and its head says that it had entry"


def the_log_deleted(project: Project) -> str:
    current_project().audit_log.unlink()
    return "and its head says that it had entry"


def a_line_of_the_log_invented(project: Project) -> str:
    last = json.loads(lines()[-1])
    write([*lines(), json.dumps({**last, "number": last["number"] + 1, "previous": last["sha256"]})])
    return "was edited: its hash is another"


def the_key_swapped(project: Project) -> str:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    open_public_key(project.log.keys).path.write_bytes(pem)
    return "is not the key that the log was begun with"


def the_key_taken_away(project: Project) -> str:
    open_public_key(project.log.keys).path.unlink()
    return "log: there is no public key audit/keys/public.pem"


def evidence(name: str) -> Callable[[Project], str]:
    def alter(project: Project) -> str:
        flip(project.evidence / "files" / name)
        return "version 1: its evidence was altered"

    alter.__name__ = name
    return alter


def the_evidence_deleted(project: Project) -> str:
    shutil.rmtree(project.evidence)
    return "version 1: its evidence is gone from MLflow"


def the_account_of_the_gate(project: Project) -> str:
    edit(next((project.folder / "mlruns").rglob("gate/1/gate.json")), "promote", "approve")
    return f"version 1: gate/1/gate.json of run {project.runs['search']} was altered or is gone"


def a_dicom_file(project: Project) -> str:
    path = Path("data/tiny/1/2/1.dcm")
    raw = path.read_bytes()
    path.unlink()
    path.write_bytes(raw[:-1] + b"x")
    return "data: data/tiny/1/2/1.dcm is not what DVC recorded"


def a_dicom_file_added(project: Project) -> str:
    Path("data/tiny/1/2/9.dcm").write_bytes(b"x")
    return "data: data/tiny/1/2/9.dcm is not in what DVC recorded of data/tiny"


def a_crop_in_the_cache(project: Project) -> str:
    flip(cached(project, "crops"))
    return "1/2/2.dcm was altered in DVC's cache"


def the_list_of_the_crops(project: Project) -> str:
    flip(next(Path(".dvc/cache/files/md5").rglob("*.dir")))
    return "its list of files was altered in DVC's cache"


def a_crop_missing_from_the_cache(project: Project) -> str:
    cached(project, "crops").unlink()
    return "is not in DVC's cache"


def cached(project: Project, name: str) -> Path:
    """The object of the last of the crops."""
    (md5,) = (part["md5"] for part in lock()["prepare@tiny"]["outs"])
    listing = json.loads(Path(".dvc/cache/files/md5", md5[:2], md5[2:]).read_text())
    digest = next(part["md5"] for part in listing if part["relpath"] == "1/2/2.dcm")
    return Path(".dvc/cache/files/md5", digest[:2], digest[2:])


def lock() -> dict:
    return yaml.safe_load(Path("dvc.lock").read_text())["stages"]


def the_lock_file(project: Project) -> str:
    (md5,) = (part["md5"] for part in lock()["split@tiny"]["outs"])
    edit(Path("dvc.lock"), md5, "0" * 32)
    return "data: prepared/tiny/split.csv is not what DVC recorded"


def the_lock_file_made_unreadable(project: Project) -> str:
    Path("dvc.lock").write_text("stages: [")
    return "data: dvc.lock, data/datasets.yaml or a .dvc file is not as DVC writes it"


def the_parameters(project: Project) -> str:
    edit(Path("prepared/tiny/params.yaml"), "crop_mm: 64.0", "crop_mm: 32.0")
    return "data: prepared/tiny/params.yaml: prepare is not what dvc.lock says that prepare@tiny was run with"


def the_split(project: Project) -> str:
    path = Path("prepared/tiny/split.csv")
    text = path.read_text()
    path.unlink()
    path.write_text(text.replace("7,-1", "7,0"))
    return "data: prepared/tiny/split.csv is not what DVC recorded"


TAMPERINGS = [
    a_byte_of_the_weights, the_code_that_serves, a_file_added_to_the_model, a_file_taken_from_the_model,
    the_signature_of_the_model, a_tag, a_tag_added, a_tag_taken_away, a_metric, a_metric_as_it_is_shown,
    a_metric_of_the_locator, a_parameter_of_a_run, a_run_deleted, the_alias_in_sql, the_alias_taken_away,
    the_alias_found_by_another_command, the_version_deleted, a_version_from_elsewhere, a_line_of_the_log_edited,
    a_line_of_the_log_removed, lines_of_the_log_in_another_order, the_end_of_the_log_cut_off, the_log_deleted,
    a_line_of_the_log_invented, the_key_swapped, the_key_taken_away, the_evidence_deleted, the_account_of_the_gate,
    a_dicom_file, a_dicom_file_added, a_crop_in_the_cache, the_list_of_the_crops, a_crop_missing_from_the_cache,
    the_lock_file, the_lock_file_made_unreadable, the_parameters, the_split,
    *map(evidence, ("lineage.json", "lineage.html", "card.html", "sbom.json", "runs.json", "params.yaml", "dvc.lock",
                    "split.csv", "left_out.csv", "dataset.sha256", "report.html", "reference.jsonl")),
]  # fmt: skip


def found(project: Project) -> list[str]:
    return [f"{problem.part}: {problem.problem}" for problem in project.verify().problems]


def test_what_is_untouched_verifies_clean(project: Project) -> None:
    told = project.verify()
    assert told.problems == ()
    assert told.versions == ("1",)
    assert told.entries == len(lines())
    assert told.key_sha256 == open_public_key(project.log.keys).sha256
    assert project.verify("1", told.key_sha256).problems == ()
    assert version_problems(project.tracker, project.task, project.log, "1", as_champion=True) == []


def test_the_versions_are_asked_for_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    search = project.tracker.client.search_model_versions

    def counted(*told: str, **more: str) -> object:
        asked.append(told)
        return search(*told, **more)

    monkeypatch.setattr(project.tracker.client, "search_model_versions", counted)
    assert project.verify().problems == ()
    assert len(asked) == 1


@pytest.mark.parametrize("alter", TAMPERINGS, ids=lambda alter: alter.__name__)
def test_what_was_altered_is_named(project: Project, alter: Callable[[Project], str]) -> None:
    said = alter(project)
    told = found(project)
    assert [line for line in told if said in line], told


@pytest.mark.parametrize(
    "alter",
    [a_byte_of_the_weights, a_tag, the_alias_in_sql, a_line_of_the_log_removed, the_key_swapped, the_evidence_deleted],
    ids=lambda alter: alter.__name__,
)
def test_what_was_altered_is_not_served(project: Project, alter: Callable[[Project], str]) -> None:
    alter(project)
    assert refusal(project, as_champion=True).startswith(
        f"version 1 of {NAME} is not served, as it is not what was signed: "
    )


def refusal(project: Project, version: str = "1", as_champion: bool = False) -> str:
    with pytest.raises(InputError) as caught, served_version(project.task, version, as_champion):
        pass
    return str(caught.value)


def test_who_is_refused_is_told_what_helps(project: Project) -> None:
    a_byte_of_the_weights(project)
    told = (
        f"version 1 of {NAME} is not served, as it is not what was signed: the model's file artifacts/grader-00.safetensors "
        "was altered; `lumbargrade audit verify` names all that was altered, "
    )
    assert refusal(project, as_champion=True) == f"{told}`lumbargrade models rollback` serves the champion before"
    assert refusal(project) == f"{told}`lumbargrade models list` names the other versions"
    the_key_taken_away(project)
    assert refusal(project, as_champion=True).endswith(
        "`lumbargrade audit verify` names all that was altered, put the folder audit back from a copy"
    )


def test_a_version_that_there_is_not_is_not_said_to_be_altered(project: Project) -> None:
    assert refusal(project, "9") == f"{NAME} has no version 9; registered: 1"


def test_a_version_that_is_asked_for_by_its_number_does_not_depend_on_the_alias(project: Project) -> None:
    the_alias_taken_away(project)
    assert version_problems(project.tracker, project.task, project.log, "1") == []
    (problem,) = version_problems(project.tracker, project.task, project.log, "1", as_champion=True)
    assert problem.part == "champion"


def test_another_fingerprint_than_the_one_that_was_noted(project: Project) -> None:
    (problem,) = project.verify(key="abc").problems
    key = open_public_key(project.log.keys)
    assert problem.problem == f"audit/keys/public.pem has the fingerprint {key.sha256}, not abc"


def test_a_version_that_there_is_not(project: Project) -> None:
    with pytest.raises(InputError, match=rf"^{NAME} has no version 9; registered: 1$"):
        project.verify("9")


def test_what_people_do_by_the_commands_is_no_tampering(project: Project) -> None:
    second = str(project.tracker.client.create_model_version(NAME, str(project.model), None).version)
    project.tracker.client.delete_model_version(NAME, second)
    champion = Champion(project.tracker, project.task, project.log)
    with pytest.raises(InputError, match="champion already"):
        approve(champion, "1", "Ada", "again")
    with pytest.raises(InputError, match="nothing to roll back to"):
        rollback(champion)
    assert project.verify().problems == ()


def test_a_registration_that_was_cut_off_is_no_tampering(project: Project) -> None:
    tags = {"search.trial_run_id": "other"}
    made = project.tracker.client.create_model_version(NAME, str(project.model), project.runs["search"], tags=tags)
    project.log.append("registered", f"models:/{NAME}/{made.version}", {"tags": tags})
    told = project.verify()
    assert (told.versions, told.cut_off, told.problems) == (("1",), (str(made.version),), ())
