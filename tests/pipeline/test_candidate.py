"""A candidate has all that plan and outcome say; images tell whether its dataset is synthetic, not its folder's name."""

import shutil
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pydicom
import pytest
from safetensors.numpy import save_file

from lumbargrade.config.params import Params
from lumbargrade.config.task import GradingTask
from lumbargrade.data.layout import open_dataset
from lumbargrade.data.synthetic import count_origins
from lumbargrade.models.grader import Grader, save_grader
from lumbargrade.models.storage import PRETRAINED_ON, mark_network
from lumbargrade.models.trained_on import ModelFacts
from lumbargrade.pipeline.candidate import describe_model, make_candidate
from lumbargrade.search.plan import SearchOutcome, SearchPlan
from lumbargrade.training.trial_record import TrialRecord
from tests.predictions import cells, right, says


def made_search(task: GradingTask, weights: str) -> SearchOutcome:
    truth = cells(task, 8)
    return SearchOutcome(
        name="s",
        tried=[TrialRecord(number=0, state="complete", score=0.4, training={}, run_id="t")],
        new_trials=1,
        trial=0,
        training=Params().training.model_copy(update={"weights": weights}),
        folds=[],
        calibration=Path("c"),
        evaluation=says(task, truth, right(truth, 0.8)).evaluation,
        on_labelled=None,
        report="<p>report</p>",
        run_id="r",
        trial_run_id="t",
        fold_run_ids=["f"],
    )


def describe(root: Path, task: GradingTask, folder: Path, held_out: int = 1, weights: str = "none") -> ModelFacts:
    studies = sorted(int(path.name) for path in (root / "train_images").iterdir())
    folds = [-1] * held_out + [0] * (len(studies) - held_out)
    pd.DataFrame({"study_id": studies, "fold": folds}).to_csv(folder / "split.csv", index=False)
    plan = SearchPlan(Params(), task, {"name": root.name}, folder / "crops", folder / "split.csv")
    return describe_model(plan, made_search(task, weights), root)


def without_mark(path: Path) -> None:
    dataset = pydicom.dcmread(path)
    del dataset.DeidentificationMethod
    dataset.save_as(path)


def test_phantoms_in_a_folder_of_any_name_are_synthetic(phantom: Path, rsna: GradingTask, tmp_path: Path) -> None:
    root = tmp_path / "hospital"
    shutil.copytree(phantom, root)
    (root / "phantom.json").unlink()
    facts = describe(root, rsna, tmp_path)
    assert (facts.trained_on.synthetic, facts.trained_on.studies) == (True, 5), "the held-out study is not trained on"
    assert facts.coverage == 0.9
    assert facts.trained_on.patients is None


def test_real_studies_in_a_folder_of_any_name_are_real(spider: Path, disc: GradingTask, tmp_path: Path) -> None:
    (tmp_path / "phantom").symlink_to(spider)
    facts = describe(tmp_path / "phantom", disc, tmp_path, held_out=0)
    assert facts.trained_on.synthetic is False
    assert facts.trained_on.sentence() == "This model was trained on 64 real studies (dataset phantom)."


def test_a_mixture_is_called_one(phantom: Path, rsna: GradingTask, tmp_path: Path) -> None:
    root = tmp_path / "mixed"
    shutil.copytree(phantom, root)
    studies = sorted((root / "train_images").iterdir(), key=lambda path: int(path.name))
    for path in studies[1].rglob("*.dcm"):
        without_mark(path)
    assert "1 real and 4 synthetic studies" in describe(root, rsna, tmp_path).trained_on.sentence()


def test_damaged_files_do_not_hide_what_a_study_is(phantom: Path, tmp_path: Path) -> None:
    shutil.copytree(phantom, tmp_path / "damaged")
    studies = sorted((tmp_path / "damaged/train_images").iterdir())
    for path in sorted(studies[0].rglob("*.dcm"))[:-1]:
        path.write_bytes(path.read_bytes()[:100])
    for path in studies[1].rglob("*.dcm"):
        path.write_bytes(b"")
    origins = count_origins(tmp_path / "damaged", [int(path.name) for path in studies])
    assert origins == (len(studies) - 1, 0, 1)


@pytest.mark.parametrize(
    ("marks", "told"), [({PRETRAINED_ON: "synthetic"}, "synthetic"), ({}, "unknown"), (None, "unknown")]
)
def test_weights_say_what_they_were_pretrained_on(
    marks: dict[str, str] | None, told: str, graders: list[Grader], phantom: Path, rsna: GradingTask, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    save_grader(graders[0], weights)
    if marks is None:
        save_file({}, weights)
    else:
        mark_network(weights, marks)
    facts = describe(phantom, rsna, tmp_path, weights=str(weights))
    assert facts.trained_on.pretraining == told


def test_a_candidate_has_what_plan_and_outcome_say(phantom: Path, rsna: GradingTask, tmp_path: Path) -> None:
    facts = describe(phantom, rsna, tmp_path)
    plan = SearchPlan(
        Params(),
        rsna,
        {"name": phantom.name, "md5": "abc.dir"},
        tmp_path / "crops",
        tmp_path / "split.csv",
        located=tmp_path / "located",
        locators=(tmp_path / "locator",),
        locator_runs=("l",),
        subgroups={"sex": {1: "F"}},
    )
    outcome = made_search(rsna, "none")
    dataset = open_dataset(phantom, rsna)
    candidate = make_candidate(plan, outcome, dataset)
    assert (candidate.task, candidate.dataset, candidate.facts) == (rsna, dataset, facts)
    renamed = {
        "input_files": plan.files,
        "locator_run_ids": ("l",),
        "search_name": "s",
        "search_run_id": "r",
        "trials": tuple(outcome.tried),
        "best_trial": 0,
        "folds": (),
        "fold_run_ids": ("f",),
        "dataset": dataset,
        "facts": facts,
    }
    for name in [field.name for field in fields(candidate)]:
        source = plan if hasattr(plan, name) else outcome
        assert getattr(candidate, name) == (renamed[name] if name in renamed else getattr(source, name)), name
