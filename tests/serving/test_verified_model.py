"""What grades without a server is verified, and abstains, as what is served."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from lumbargrade.cli.app import app
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.registry.names import ModelAddress, parse_address
from lumbargrade.serving import verified_model
from lumbargrade.serving.verified_model import open_model


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("models:/lumbargrade-rsna2024@champion", ModelAddress("lumbargrade-rsna2024", None, "champion")),
        ("models:/lumbargrade-rsna2024/12", ModelAddress("lumbargrade-rsna2024", "12", None)),
        ("models:/lumbargrade-rsna2024/latest", None),
        ("models/lumbargrade-rsna2024", None),
        ("runs:/abc/model", None),
    ],
)
def test_an_address_names_a_version_or_an_alias(uri: str, address: ModelAddress | None) -> None:
    assert parse_address(uri) == address


def test_one_study_is_graded_by_a_verified_version_only(
    model_folder: Path, tmp_path: Path, zipped: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[tuple[str, bool]] = []

    def refuse(task: GradingTask, version: str, as_champion: bool = False) -> None:
        checked.append((version, as_champion))
        raise InputError("version 3 is not served, as it is not what was signed", "", "version-altered")

    monkeypatch.setattr(verified_model, "fetch_model", lambda uri: model_folder)
    monkeypatch.setattr(verified_model, "check_version", refuse)
    monkeypatch.setattr(verified_model, "champion_to_serve", lambda task: "3")
    (tmp_path / "study.zip").write_bytes(zipped)
    for uri in ("models:/lumbargrade-rsna2024/3", "models:/lumbargrade-rsna2024@champion"):
        done = CliRunner().invoke(app, ["grade", str(tmp_path / "study.zip"), "--model", uri, "--json"])
        assert "it is not what was signed" in str(done.exception) and not done.stdout
    assert checked == [("3", False), ("3", True)]


def test_an_alias_that_is_not_kept_is_refused(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="names an alias that is not kept here; give @champion, or a version's number"):
        open_model("models:/lumbargrade-rsna2024@best")


def test_one_study_is_answered_as_the_server_does_where_the_model_abstains(
    model_folder: Path, tmp_path: Path, zipped: bytes
) -> None:
    (tmp_path / "study.zip").write_bytes(zipped)
    shutil.copytree(model_folder, tmp_path / "model")
    package = yaml.safe_load((tmp_path / "model/MLmodel").read_text())
    package["flavors"]["python_function"]["config"] = {"threads": 1, "abstain_above": 1}
    (tmp_path / "model/MLmodel").write_text(yaml.safe_dump(package))
    answers = {}
    for folder in (model_folder, tmp_path / "model"):
        done = CliRunner().invoke(app, ["grade", str(tmp_path / "study.zip"), "--model", str(folder), "--json"])
        answers[folder] = json.loads(done.stdout)
    open_cells = [len(record["possible_grades"].split(";")) > 1 for record in answers[model_folder]]
    assert any(open_cells)
    assert [record["grade"] is None for record in answers[tmp_path / "model"]] == open_cells
