from pathlib import Path

import pandas as pd
import pytest
import torch

from lumbargrade.dataset.layout import RsnaDataset, open_dataset
from lumbargrade.models.calibration import Calibration
from lumbargrade.models.grader import Grader, GraderConfig
from lumbargrade.params import Params, PrepareParams, SplitParams
from lumbargrade.prepare.pack import PackedCrops, pack_crops
from lumbargrade.prepare.split import split_studies
from lumbargrade.registry.evaluate import evaluate_model
from lumbargrade.registry.gate import judge
from lumbargrade.registry.models import LoadedModel
from lumbargrade.task import GradingTask, load_task
from lumbargrade.training.plan import SearchPlan

HOLDOUT = 0.5


@pytest.fixture(scope="module")
def task() -> GradingTask:
    return load_task("rsna2024")


@pytest.fixture(scope="module")
def dataset(phantom: Path, task: GradingTask) -> RsnaDataset:
    return open_dataset(phantom, task)


@pytest.fixture(scope="module")
def packed(dataset: RsnaDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    pack_crops(dataset, folder / "crops", PrepareParams())
    split_studies(PackedCrops(folder / "crops").index, SplitParams(holdout=HOLDOUT, folds=2)).to_csv(
        folder / "split.csv", index=False
    )
    split_studies(PackedCrops(folder / "crops").index, SplitParams(holdout=0.0, folds=2)).to_csv(
        folder / "no_holdout.csv", index=False
    )
    return folder


def model(task: GradingTask, bias: tuple[float, float, float], prepare: PrepareParams | None = None) -> LoadedModel:
    """A model that answers every cell alike, by the bias of its cells."""
    torch.manual_seed(0)
    grader = Grader(GraderConfig(task=task, prepare=prepare or PrepareParams(), crop_mm=40, image_pixels=32)).eval()
    torch.nn.init.zeros_(grader.heads.weight)
    torch.nn.init.zeros_(grader.heads.bias)
    with torch.no_grad():
        grader.cell_bias.weight.copy_(torch.tensor(bias).expand_as(grader.cell_bias.weight))
    return LoadedModel([grader], [], "", Calibration.identity(task))


def plan(packed: Path, split: str = "split.csv") -> SearchPlan:
    return SearchPlan(Params(), load_task("rsna2024"), {}, packed / "crops", packed / split)


GOOD = (0.6, 0.0, 0.0)
BAD = (-4.0, -4.0, 4.0)


def test_the_first_model_is_promoted(task: GradingTask, dataset: RsnaDataset, packed: Path) -> None:
    decision = judge(model(task, BAD), None, dataset, plan(packed))
    assert (decision.decision, decision.reason) == ("promote", "there was no champion")
    assert decision.candidate is not None


def test_a_better_model_is_promoted_and_a_worse_one_is_not(
    task: GradingTask, dataset: RsnaDataset, packed: Path
) -> None:
    good, bad = model(task, GOOD), model(task, BAD)
    up = judge(good, bad, dataset, plan(packed))
    down = judge(bad, good, dataset, plan(packed))
    assert up.candidate is not None
    assert up.champion is not None
    assert up.decision == "promote"
    assert up.reason == (f"score {up.candidate.score:.4f} on the holdout beats the champion's {up.champion.score:.4f}")
    assert down.decision == "keep"
    assert "does not beat" in down.reason


def test_an_equal_model_does_not_take_the_champions_place(
    task: GradingTask, dataset: RsnaDataset, packed: Path
) -> None:
    same = model(task, GOOD)
    assert judge(same, same, dataset, plan(packed)).decision == "keep"


def test_a_champion_with_other_crops_is_judged_on_the_same_studies(
    task: GradingTask, dataset: RsnaDataset, packed: Path
) -> None:
    champion = model(task, BAD, PrepareParams(crop_mm=50.0, pixel_mm=1.0))
    decision = judge(model(task, GOOD), champion, dataset, plan(packed))
    assert decision.candidate is not None
    assert decision.champion is not None
    assert decision.champion.cells == decision.candidate.cells
    assert decision.decision == "promote"


def test_only_the_holdout_is_looked_at(task: GradingTask, dataset: RsnaDataset, packed: Path) -> None:
    split = pd.read_csv(packed / "split.csv")
    held = split.loc[split["fold"] == -1, "study_id"].tolist()
    decision = judge(model(task, GOOD), None, dataset, plan(packed))
    assert decision.candidate == evaluate_model(model(task, GOOD), dataset, held)
    assert 0 < len(held) < len(split)


def test_without_a_holdout_a_champion_stays(task: GradingTask, dataset: RsnaDataset, packed: Path) -> None:
    decision = judge(model(task, GOOD), model(task, BAD), dataset, plan(packed, "no_holdout.csv"))
    assert decision.decision == "keep"
    assert decision.reason == "without a holdout (split.holdout 0) a champion cannot be beaten"
