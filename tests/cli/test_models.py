"""``lumbargrade models``, as people and scripts call it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lumbargrade.cli.app import app
from lumbargrade.errors import InputError
from lumbargrade.pipeline.summary import approve_command
from lumbargrade.registry.champion import Champion
from tests.projects import NAME, Register

Open = Callable[[], Champion]


def models(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["models", *arguments])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_versions_approval_rollback_and_history(register: Register, open_champion: Open) -> None:
    register("promote", **{"cv.score": "0.5", "holdout.score": "0.25"}), register("needs approval")
    open_champion().move("1", "there was no champion")
    assert models("approve", "2", "--by", "Ada", "--why", "checked") == (
        "champion  version 2 (before: 1)\nwhy       checked\n"
    )
    first, second = json.loads(models("list", "--json"))
    assert (first["cv_score"], first["holdout_score"], first["is_champion"]) == (0.5, 0.25, False)
    assert (second["version"], second["is_champion"], second["approved_by"]) == ("2", True, "Ada")
    assert (second["decision"], second["cv_score"]) == ("needs approval", None)
    assert json.loads(models("rollback", "--json"))["to_version"] == "1"
    told = json.loads(models("history", "--json"))
    assert [(move["kind"], move["from_version"], move["to_version"], move["by"], move["why"]) for move in told] == [
        ("alias moved", None, "1", "", "there was no champion"),
        ("alias moved", "1", "2", "Ada", "checked"),
        ("rolled back", "2", "1", "", ""),
    ]
    for words in ("rolled back", "Ada"):
        assert words in models("history")
    assert "champion" in models("list")


def test_a_move_by_hand_is_told_by_the_next_command(register: Register, open_champion: Open) -> None:
    register("promote")
    open_champion().tracker.client.set_registered_model_alias(NAME, "champion", "1")
    (move,) = json.loads(models("history", "--json"))
    assert move["kind"] == "alias found moved"


def test_without_a_store_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(InputError) as told:
        models("list")
    assert (
        str(told.value) == "there is no store of models here; run in the project's folder, or give MLFLOW_TRACKING_URI"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_models_of_the_task_is_told(register: Register) -> None:
    with pytest.raises(
        InputError, match=f"holds no version of {NAME}; make one with `lumbargrade run`, or give --task"
    ):
        models("list")


def test_the_summary_names_the_command_to_approve() -> None:
    assert approve_command("2", "rsna2024") == "lumbargrade models approve 2 --by NAME --why TEXT"
    assert approve_command("2", "my task.yaml") == (
        "lumbargrade models approve 2 --task 'my task.yaml' --by NAME --why TEXT"
    )
