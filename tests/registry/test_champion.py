"""The champion alias moves, and whoever comes next can tell when, from where, why and by whom."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from lumbargrade.audit.log import BEGUN, AuditLog
from lumbargrade.config.task import load_task
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.registry.approval import approve, rollback
from lumbargrade.registry.champion import Champion, Move, still
from lumbargrade.tracking.mlflow_tracker import Tracker
from tests.projects import NAME, Register

Open = Callable[[], Champion]


def steps(moves: list[Move]) -> list[tuple[str, str | None, str | None]]:
    return [(move.kind, move.from_version, move.to_version) for move in moves]


def test_moves_are_kept_with_reason_and_name(register: Register, open_champion: Open) -> None:
    register(), register()
    open_champion().move("1", "the first one")
    open_champion().move("2", "a better one", "Ada")
    champion = open_champion()
    assert champion.version == "2"
    assert steps(champion.moves()) == [("alias moved", None, "1"), ("alias moved", "1", "2")]
    assert [(move.why, move.by) for move in champion.moves()] == [("the first one", ""), ("a better one", "Ada")]
    assert [entry.subject for entry in AuditLog().entries()[1:]] == [f"models:/{NAME}@champion"] * 2


def test_an_alias_that_was_moved_by_hand_is_found_once(
    tracker: Tracker, register: Register, open_champion: Open
) -> None:
    register(), register()
    open_champion().move("1", "the first one")
    tracker.client.set_registered_model_alias(NAME, "champion", "2")
    open_champion()
    champion = open_champion()
    assert steps(champion.moves()) == [("alias moved", None, "1"), ("alias found moved", "1", "2")]
    assert champion.moves()[-1].why == "the log left the alias at version 1; it was found at version 2"
    tracker.client.delete_registered_model_alias(NAME, "champion")
    assert steps(open_champion().moves())[-1] == ("alias found moved", "2", None)


def test_a_move_that_was_not_logged_is_found(
    register: Register, open_champion: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    champion = open_champion()
    with monkeypatch.context() as patched:
        patched.setattr(AuditLog, "append", lambda *told, **more: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            champion.move("1", "the first one")
    assert steps(open_champion().moves()) == [("alias found moved", None, "1")]


def test_an_alias_that_moves_between_two_commands_is_found_before_the_next_move(
    tracker: Tracker, register: Register, open_champion: Open
) -> None:
    register(), register(), register()
    champion = open_champion()
    tracker.client.set_registered_model_alias(NAME, "champion", "2")
    champion.move("3", "a better one")
    assert steps(champion.moves()) == [("alias found moved", None, "2"), ("alias moved", "2", "3")]


def test_the_champions_of_other_tasks_are_others(tracker: Tracker, register: Register, open_champion: Open) -> None:
    register()
    open_champion().move("1", "the first one")
    other = Champion(tracker, load_task("disc_degeneration"), AuditLog())
    assert (other.version, other.moves()) == (None, [])


def test_a_version_is_not_promoted_over_a_champion_that_it_was_not_judged_against(
    register: Register, open_champion: Open
) -> None:
    register(), register(), register()
    champion = open_champion()
    champion.move("1", "the first one")
    open_champion().move("2", "meanwhile")
    with pytest.raises(LumbargradeError) as told:
        champion.move("3", "a better one", check=still("1", "3"))
    assert str(told.value) == (
        "the champion changed from version 1 to version 2 while version 3 was judged; judge it again with "
        "`lumbargrade models gate 3`"
    )
    assert open_champion().version == "2"


def test_an_approval_is_kept_on_the_version_and_in_the_log(
    tracker: Tracker, register: Register, open_champion: Open
) -> None:
    register("promote"), register("needs approval")
    open_champion().move("1", "the first one")
    move = approve(open_champion(), "2", " Ada Lovelace ", "checked 50 studies by hand")
    assert (move.kind, move.from_version, move.to_version) == ("alias moved", "1", "2")
    assert (move.by, move.why) == ("Ada Lovelace", "checked 50 studies by hand")
    assert open_champion().version == "2"
    (entry,) = AuditLog().entries("approved")
    assert (entry.subject, entry.by) == (f"models:/{NAME}/2", "Ada Lovelace")
    assert entry.details == {
        "why": "checked 50 studies by hand",
        "gate_decision": "needs approval",
        "gate_reason": "as it was told",
    }
    tags = tracker.client.get_model_version(NAME, "2").tags
    assert {key: tags[f"approval.{key}"] for key in ("by", "why", "time")} == {
        "by": "Ada Lovelace",
        "why": "checked 50 studies by hand",
        "time": entry.time,
    }


@pytest.mark.parametrize(
    ("version", "by", "why", "message"),
    [
        ("7", "Ada", "good", f"{NAME} has no version 7; registered: 1, 2, 3"),
        ("two", "Ada", "good", f"{NAME} has no version two; registered: 1, 2, 3"),
        ("1", "Ada", "good", "version 1 is champion already; there is nothing to approve"),
        ("2", " ", "good", "--by is empty; give the person who approves"),
        ("2", "Ada", "", "--why is empty; give the reason"),
        ("2", "Ada", "x" * 5001, "--why has 5,001 characters; give at most 5,000"),
        (
            "3",
            "Ada",
            "good",
            "version 3 has not passed by the gate, as its registration was cut off; judge it with "
            "`lumbargrade models gate 3`",
        ),
    ],
)
def test_nonsense_is_refused_and_leaves_no_trace(
    register: Register, open_champion: Open, version: str, by: str, why: str, message: str
) -> None:
    register("promote"), register(), register(None)
    open_champion().move("1", "the first one")
    before = AuditLog().entries()
    with pytest.raises(InputError) as told:
        approve(open_champion(), version, by, why)
    assert str(told.value) == message
    assert AuditLog().entries() == before
    assert open_champion().version == "1"


def test_rollback_goes_back_step_by_step_and_not_forth(register: Register, open_champion: Open) -> None:
    for version in (register(), register(), register()):
        open_champion().move(version, "a better one")
    move = rollback(open_champion(), "Ada", "missed a stenosis")
    assert (move.kind, move.from_version, move.to_version) == ("rolled back", "3", "2")
    assert (move.by, move.why) == ("Ada", "missed a stenosis")
    assert rollback(open_champion()).to_version == "1"
    with pytest.raises(InputError) as told:
        rollback(open_champion())
    assert str(told.value) == (
        f"there is nothing to roll back to: {NAME} has had one champion, version 1; see `lumbargrade models history`"
    )
    assert open_champion().version == "1"


def test_after_a_rollback_a_new_champion_has_the_old_one_before_it(register: Register, open_champion: Open) -> None:
    register(), register(), register()
    open_champion().move("1", "the first one")
    open_champion().move("2", "a better one")
    rollback(open_champion())
    open_champion().move("3", "a better one")
    assert open_champion().line() == ["1", "3"]
    assert rollback(open_champion()).to_version == "1"


def test_a_rollback_that_was_cut_off_is_not_undone_by_the_next(
    tracker: Tracker, register: Register, open_champion: Open
) -> None:
    for version in (register(), register(), register()):
        open_champion().move(version, "a better one")
    tracker.client.set_registered_model_alias(NAME, "champion", "2")  # as a killed rollback leaves it
    assert rollback(open_champion()).to_version == "1"


def test_rollback_brings_back_an_alias_that_was_taken_away(
    tracker: Tracker, register: Register, open_champion: Open
) -> None:
    register()
    open_champion().move("1", "the first one")
    tracker.client.delete_registered_model_alias(NAME, "champion")
    assert rollback(open_champion()).to_version == "1"


def test_without_any_champion_there_is_nothing_to_roll_back_to(register: Register, open_champion: Open) -> None:
    register()
    with pytest.raises(InputError, match=f"there is nothing to roll back to: {NAME} has had no champion; see"):
        rollback(open_champion())


def test_a_previous_champion_that_was_deleted_is_not_brought_back(
    tracker: Tracker, register: Register, open_champion: Open
) -> None:
    for version in (register(), register()):
        open_champion().move(version, "a better one")
    tracker.client.delete_model_version(NAME, "1")
    with pytest.raises(InputError) as told:
        rollback(open_champion())
    assert str(told.value) == (
        "version 1, the champion before, is no longer registered; make another one champion with "
        "`lumbargrade models approve`"
    )


def test_a_store_that_fails_is_not_taken_for_one_without_champion(
    tracker: Tracker, register: Register, open_champion: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    open_champion().move("1", "the first one")

    def fail(*asked: str) -> None:
        raise MlflowException("the database is locked")

    monkeypatch.setattr(tracker.client, "get_model_version_by_alias", fail)
    with pytest.raises(LumbargradeError) as told:
        open_champion()
    assert str(told.value) == "the store cannot say which version is champion (the database is locked); run again"
    assert [entry.kind for entry in AuditLog().entries()] == [BEGUN, "alias moved"]


def test_git_does_not_see_the_log() -> None:
    assert "/audit/" in (Path(__file__).parents[2] / ".gitignore").read_text().splitlines()
