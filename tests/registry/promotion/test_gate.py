"""The gate judges real, tiny networks on phantoms, and what it decides is kept where people look for it."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import torch

from lumbargrade.audit.log import BEGUN, AuditLog
from lumbargrade.config.params import GateParams, Params, PrepareParams, SplitParams
from lumbargrade.config.project import current_project
from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.layout import RsnaDataset, open_dataset
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.evaluation.evaluate import cut_for, grade_packed
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.models.calibration import Calibration
from lumbargrade.models.grader import Grader, GraderConfig
from lumbargrade.preprocessing.pack import PackedCrops, pack_crops
from lumbargrade.preprocessing.split.split import split_studies
from lumbargrade.registry.candidate import Candidate
from lumbargrade.registry.champion import Champion
from lumbargrade.registry.promotion import gate as judgement
from lumbargrade.registry.promotion.decision import GateDecision
from lumbargrade.registry.promotion.gate import judge_again, judge_new, settle
from lumbargrade.registry.promotion.holdout import grade_planned, held_out
from lumbargrade.tracking.mlflow_tracker import Tracker
from tests.candidates import make_candidate
from tests.projects import NAME, Register

pytestmark = pytest.mark.slow

TASK = load_task("rsna2024")
GOOD, BAD = (0.6, 0.0, 0.0), (-4.0, 4.0, -4.0)
"""Neither finds a severe cell."""
RULES = GateParams()
Open = Callable[[], Champion]


def judged(champion: Champion, version: str, candidate: Candidate) -> GateDecision:
    """What the gate decides about a version, once that is done."""
    told = judge_new(champion, version, candidate)
    settle(champion, version)
    return told.decision


def model(bias: tuple[float, float, float], prepare: PrepareParams | None = None) -> LoadedModel:
    """A model that answers every cell alike, by the bias of its cells."""
    torch.manual_seed(0)
    grader = Grader(GraderConfig(task=TASK, prepare=prepare or PrepareParams(), crop_mm=40, image_pixels=32)).eval()
    torch.nn.init.zeros_(grader.heads.weight)
    torch.nn.init.zeros_(grader.heads.bias)
    with torch.no_grad():
        grader.cell_bias.weight.copy_(torch.tensor(bias).expand_as(grader.cell_bias.weight))
    return LoadedModel([grader], [], "", Calibration.identity(TASK))


@pytest.fixture(scope="module")
def dataset(phantom: Path) -> RsnaDataset:
    return open_dataset(phantom, TASK)


@pytest.fixture(scope="module")
def packed(dataset: RsnaDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    pack_crops(dataset, folder / "crops", PrepareParams())
    index = PackedCrops(folder / "crops").index
    for share, name in ((0.5, "split.csv"), (0.0, "no_holdout.csv")):
        split_studies(index, SplitParams(holdout=share, folds=2)).to_csv(folder / name, index=False)
    return folder


def candidate(dataset: RsnaDataset, packed: Path, split: str = "split.csv") -> Candidate:
    params = Params(gate=RULES)
    return make_candidate(TASK, params=params, dataset=dataset, crops=packed / "crops", split=packed / split)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, LoadedModel]:
    """The networks of versions; they are not stored."""
    loaded: dict[str, LoadedModel] = {}
    monkeypatch.setattr(judgement, "_load", lambda task, version: loaded[version])
    return loaded


@pytest.fixture
def project(tmp_path: Path, phantom: Path, packed: Path) -> dict[str, str]:
    """Data and split where a project has them; returns the tags of versions that were trained on them."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/phantom").symlink_to(phantom)
    (tmp_path / "prepared/phantom").mkdir(parents=True)
    split = tmp_path / "prepared/phantom/split.csv"
    split.write_bytes((packed / "split.csv").read_bytes())
    return {"dataset.name": "phantom", "dataset.split_md5": hashlib.md5(split.read_bytes()).hexdigest()}


def again(champion: Champion, version: str, dry: bool = False) -> GateDecision:
    return judge_again(champion, version, RULES, current_project(), dry)


def artifact(tracker: Tracker, version: str, name: str) -> Path:
    found = tracker.client.get_model_version(NAME, version)
    run = tracker.client.get_run(found.run_id)
    return Path(
        mlflow.artifacts.download_artifacts(
            artifact_uri=f"{run.info.artifact_uri}/{found.tags['gate.artifacts']}/{name}",
            tracking_uri="sqlite:///mlruns/mlflow.db",
        )
    )


def test_the_first_model_becomes_champion_and_a_better_one_takes_its_place(
    tracker: Tracker,
    register: Register,
    open_champion: Open,
    models: dict[str, LoadedModel],
    dataset: RsnaDataset,
    packed: Path,
) -> None:
    models |= {register(None): model(BAD), register(None): model(GOOD)}
    first = judged(open_champion(), "1", candidate(dataset, packed))
    assert (first.decision, first.reason, open_champion().version) == ("promote", "there was no champion", "1")
    second = judged(open_champion(), "2", candidate(dataset, packed))
    assert (second.decision, open_champion().version) == ("promote", "2")
    assert (first.look, second.look) == (1, 2)
    tags = tracker.client.get_model_version(NAME, "2").tags
    assert (tags["gate.decision"], tags["gate.champion"], tags["gate.look"]) == ("promote", "1", "2")
    assert tags["gate.reason"] == second.reason
    assert float(tags["holdout.score"]) == second.candidate.score
    assert float(tags["gate.champion_score"]) == second.champion.score == first.candidate.score
    assert tags["holdout.sha256"] == second.holdout_sha256 == first.holdout_sha256
    text = artifact(tracker, "2", "gate.json").read_text()
    assert GateDecision.model_validate_json(text) == second
    assert tags["gate.sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert artifact(tracker, "2", "gate.png").read_bytes().startswith(b"\x89PNG")
    assert [entry.kind for entry in AuditLog().entries()] == [BEGUN, "gate", "alias moved", "gate", "alias moved"]
    told = AuditLog().entries("gate")[1].details
    assert (told["decision"], told["champion"], told["dry_run"]) == ("promote", "1", False)
    assert [check["name"] for check in told["checks"]] == [check.name for check in second.checks]


def test_a_worse_model_leaves_the_champion_where_it_is(
    register: Register, open_champion: Open, models: dict[str, LoadedModel], dataset: RsnaDataset, packed: Path
) -> None:
    models |= {register(None): model(GOOD), register(None): model(BAD)}
    judged(open_champion(), "1", candidate(dataset, packed))
    assert judged(open_champion(), "2", candidate(dataset, packed)).decision == "keep"
    assert open_champion().version == "1"
    assert len(open_champion().moves()) == 1


def test_a_model_that_waits_for_approval_is_no_champion(
    register: Register, open_champion: Open, models: dict[str, LoadedModel], dataset: RsnaDataset, packed: Path
) -> None:
    models[register(None)] = model(GOOD)
    by_approval = replace(candidate(dataset, packed), params=Params.model_validate({"gate": {"promotion": "approval"}}))
    assert judged(open_champion(), "1", by_approval).decision == "needs approval"
    assert open_champion().version is None


def test_without_a_holdout_nothing_is_looked_at(
    register: Register, open_champion: Open, models: dict[str, LoadedModel], dataset: RsnaDataset, packed: Path
) -> None:
    models |= {register(None): model(BAD), register(None): model(GOOD)}
    first = judged(open_champion(), "1", candidate(dataset, packed, "no_holdout.csv"))
    assert (first.decision, first.candidate, first.look) == ("promote", None, 0)
    second = judged(open_champion(), "2", candidate(dataset, packed, "no_holdout.csv"))
    assert second.reason == "without a holdout (split.holdout 0) a champion cannot be beaten"
    assert open_champion().version == "1"


def test_only_the_holdout_is_looked_at(dataset: RsnaDataset, packed: Path) -> None:
    held = held_out(packed / "split.csv")
    grades = grade_planned(model(GOOD), None, candidate(dataset, packed))
    assert grades is not None
    with cut_for(model(GOOD), dataset, held) as (crops, truth):
        assert grades.candidate.evaluation == grade_packed(model(GOOD), crops, truth).evaluation
    assert 0 < len(held) < len(pd.read_csv(packed / "split.csv"))


def test_a_champion_with_other_crops_is_judged_on_the_same_cells(dataset: RsnaDataset, packed: Path) -> None:
    champion = model(BAD, PrepareParams(crop_mm=50.0, pixel_mm=1.0))
    grades = grade_planned(model(GOOD), champion, candidate(dataset, packed))
    assert grades is not None
    assert grades.champion is not None
    assert grades.champion.evaluation.cells == grades.candidate.evaluation.cells == len(grades.truth)


def test_a_version_is_judged_again_as_it_was_and_nothing_moves(
    tracker: Tracker,
    register: Register,
    open_champion: Open,
    models: dict[str, LoadedModel],
    project: dict[str, str],
    dataset: RsnaDataset,
    packed: Path,
) -> None:
    models |= {register("promote", **project): model(BAD), register(None, **project): model(GOOD)}
    open_champion().move("1", "the first one")
    dry = again(open_champion(), "2", dry=True)
    assert dry.decision == "promote"
    assert "gate.decision" not in tracker.client.get_model_version(NAME, "2").tags
    kept = again(open_champion(), "2")
    assert kept.checks == dry.checks
    assert (
        kept.candidate.score == grade_planned(model(GOOD), None, candidate(dataset, packed)).candidate.evaluation.score
    )
    assert tracker.client.get_model_version(NAME, "2").tags["gate.decision"] == "promote"
    assert json.loads(artifact(tracker, "2", "gate.json").read_text())["look"] == 2
    assert open_champion().version == "1"
    looks = [(entry.details["look"], entry.details["dry_run"]) for entry in AuditLog().entries("gate")]
    assert looks == [(1, True), (2, False)]


def test_what_cannot_be_judged_again_is_refused_without_a_look(
    tmp_path: Path, register: Register, open_champion: Open, project: dict[str, str]
) -> None:
    register("promote", **project), register("keep"), register("keep", **project)
    open_champion().move("1", "the first one")
    cases = {
        "1": "version 1 is champion; there is nothing to judge it against",
        "2": "version 2 does not say what it was trained on; judge one that `lumbargrade run` made",
        "9": f"{NAME} has no version 9; registered: 1, 2, 3",
    }
    for version, message in cases.items():
        with pytest.raises(InputError) as told:
            again(open_champion(), version)
        assert str(told.value) == message
    split = tmp_path / "prepared/phantom/split.csv"
    split.write_text(split.read_text() + "99,0\n")
    with pytest.raises(InputError, match=r"split\.csv is not the split of version 3 \(its tag dataset\.split_md5\)"):
        again(open_champion(), "3")
    split.unlink()
    with pytest.raises(InputError, match=r"split\.csv is not here; `dvc repro` makes it, or `lumbargrade run`"):
        again(open_champion(), "3")
    assert AuditLog().entries("gate") == []


def test_looks_at_other_holdouts_do_not_count(
    register: Register,
    open_champion: Open,
    models: dict[str, LoadedModel],
    dataset: RsnaDataset,
    packed: Path,
    rsna: GradingTask,
) -> None:
    models[register(None)] = model(GOOD)
    AuditLog().append("gate", f"models:/{NAME}/1", {"holdout_sha256": "another"})
    assert judged(open_champion(), "1", candidate(dataset, packed)).look == 1


def test_a_champion_that_a_person_makes_meanwhile_is_not_replaced(
    register: Register,
    open_champion: Open,
    models: dict[str, LoadedModel],
    dataset: RsnaDataset,
    packed: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models |= {register("promote"): model(BAD), register("keep"): model(BAD), register(None): model(GOOD)}
    open_champion().move("1", "the first one")

    def meanwhile(task: GradingTask, version: str) -> LoadedModel:
        if version == "1":
            open_champion().move("2", "meanwhile", "Ada")
        return models[version]

    monkeypatch.setattr(judgement, "_load", meanwhile)
    with pytest.raises(
        LumbargradeError, match="the champion changed from version 1 to version 2 while version 3 was judged"
    ):
        judged(open_champion(), "3", candidate(dataset, packed))
    assert open_champion().version == "2"
