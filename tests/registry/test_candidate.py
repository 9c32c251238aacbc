"""What a candidate says of itself: which networks are packaged, in words too, and the runs that it came from."""

from dataclasses import replace
from pathlib import Path

from lumbargrade.training.jobs.spec import FoldResult
from lumbargrade.training.trial_record import TrialRecord, count_ended
from tests.candidates import make_candidate, make_student


def test_a_student_is_packaged_in_place_of_its_folds(tmp_path: Path) -> None:
    folds = tuple(FoldResult.model_construct(fold=fold, folder=tmp_path / str(fold)) for fold in (0, 1))
    alone = make_candidate(folds=folds)
    assert (alone.graders, alone.packaging) == (tuple(fold.model for fold in folds), "ensemble")
    assert alone.packaging_words == "2 graders, one a fold, whose probabilities are averaged"
    student = make_student(tmp_path / "student", "of the student")
    distilled = replace(alone, student=student)
    assert (distilled.graders, distilled.packaging) == ((student.result.model,), "distilled")
    assert distilled.packaging_words == (
        "one grader, distilled from 2 folds; it gives the same likeliest grade as they do together in 75.0% of a sample of the "
        "cells that it was trained on"
    )
    averaged = replace(alone, student=replace(student, how="averaged"))
    assert averaged.packaging == "averaged"
    assert averaged.packaging_words.startswith("one grader, with the mean of the weights of 2 folds; it gives the same")


def test_the_runs_are_those_of_search_trials_folds_student_and_locators(tmp_path: Path) -> None:
    def trial(number: int, state: str, run_id: str) -> TrialRecord:
        return TrialRecord(number=number, state=state, score=None, training={}, run_id=run_id)

    trials = (trial(0, "complete", "t0"), trial(1, "fail", ""), trial(1, "pruned", "t1"), trial(2, "waiting", ""))
    candidate = make_candidate(
        trials=trials,
        fold_run_ids=("f0", "f1"),
        student=make_student(tmp_path / "student", "s"),
        locator_run_ids=("l0",),
    )
    assert candidate.run_ids == ["r", "t0", "t1", "f0", "f1", "s", "l0"]
    assert count_ended(candidate.trials) == 2
