"""Makes a candidate of a finished search, where dataset and search are known: what the registry is given."""

from pathlib import Path

import pandas as pd

from lumbargrade.data.layout import RsnaDataset
from lumbargrade.data.patients import read_patients
from lumbargrade.data.synthetic import count_origins
from lumbargrade.evaluation.performance import summarize_performance
from lumbargrade.models.storage import PRETRAINED_ON, read_metadata
from lumbargrade.models.trained_on import ModelFacts, Pretraining, TrainedOn
from lumbargrade.preprocessing.split.split import HOLDOUT
from lumbargrade.registry.candidate import Candidate
from lumbargrade.search.plan import SearchOutcome, SearchPlan


def make_candidate(plan: SearchPlan, outcome: SearchOutcome, dataset: RsnaDataset) -> Candidate:
    """Makes a candidate of a search's best trial.

    Args:
        dataset: The one that the plan was made of.
    """
    return Candidate(
        params=plan.params,
        dataset=dataset,
        data=plan.data,
        input_files=plan.files,
        crops=plan.crops,
        located=plan.located,
        split=plan.split,
        subgroups=plan.subgroups,
        locators=plan.locators,
        locator_run_ids=plan.locator_runs,
        search_name=outcome.name,
        search_run_id=outcome.run_id,
        trials=tuple(outcome.tried),
        best_trial=outcome.trial,
        trial_run_id=outcome.trial_run_id,
        training=outcome.training,
        folds=tuple(outcome.folds),
        fold_run_ids=tuple(outcome.fold_run_ids),
        calibration=outcome.calibration,
        student=outcome.student,
        evaluation=outcome.evaluation,
        on_labelled=outcome.on_labelled,
        report=outcome.report,
        facts=describe_model(plan, outcome, dataset.root),
    )


def describe_model(plan: SearchPlan, outcome: SearchOutcome, dataset: Path) -> ModelFacts:
    """Finds out what the best trial's model was trained on and how well it did.

    Args:
        dataset: Folder of the dataset that the plan was made of.
    """
    folds = pd.read_csv(plan.split)
    studies = [int(study) for study in folds.loc[folds["fold"] != HOLDOUT, "study_id"]]
    origins = count_origins(dataset, studies)
    return ModelFacts(
        trained_on=TrainedOn(
            datasets=(plan.data["name"],),
            task=plan.task.name,
            studies=len(studies),
            synthetic_studies=origins.synthetic,
            unknown_studies=origins.unknown,
            patients=_count_patients(dataset, studies),
            pretraining=_pretraining(outcome.training.weights),
        ),
        cross_validation=summarize_performance(outcome.evaluation, plan.task),
        coverage=plan.params.calibration.coverage,
    )


def _count_patients(dataset: Path, studies: list[int]) -> int | None:
    """How many patients the studies are of; None if it is not known of each study."""
    table = read_patients(dataset)
    known = table[table["study_id"].isin(studies) & (table["patient_id"] != "")]
    return int(known["patient_id"].nunique()) if len(known) == len(studies) else None


def _pretraining(weights: str) -> Pretraining:
    if weights in ("none", "imagenet"):
        return "none" if weights == "none" else "imagenet"
    return "synthetic" if read_metadata(Path(weights)).get(PRETRAINED_ON) == "synthetic" else "unknown"
