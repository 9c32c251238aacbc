"""What may differ between a version and the same one made again, and what may not."""

from pathlib import Path

import pytest

from lumbargrade.pipeline.reproduce.comparison import (
    compare_records,
    environment_differences,
    score_difference,
    verdict_of,
)
from lumbargrade.pipeline.reproduce.spot_check import training_worker
from lumbargrade.registry.lineage.environment import Package

HASHES = {name: f"of the {name}" for name in ("dataset", "crops", "split", "located", "weights")}
STAGES = {"prepare": "crops", "split": "split", "located": "located"}
WEIGHTS = "artifacts/grader-00.safetensors"


def record(score: float = 0.5, held: float | None = 0.6, **other: str) -> dict:
    """A record with the parts that are compared."""
    made = HASHES | other
    stages = [
        {"name": f"dvc stage {stage}@phantom", "annotations": {"outputs": {f"prepared/phantom/{out}": made[out]}}}
        for stage, out in STAGES.items()
    ]
    dataset = {"name": "dataset phantom", "digest": {"sha256": made["dataset"]}, "annotations": {"files": 1}}
    numpy = {"name": "numpy", "digest": {"sha256": "n"}, "annotations": {"version": "2.4.6"}}
    return {
        "subject": [
            {"name": WEIGHTS, "digest": {"sha256": made["weights"]}},
            {"name": "MLmodel", "digest": {"sha256": "with the time of day"}},
        ],
        "predicate": {"buildDefinition": {"resolvedDependencies": [dataset, *stages, numpy]}},
        "lumbargrade": {
            "evaluation": {"score": score},
            "gate": {"candidate": None if held is None else {"score": held}},
        },
    }


def verdict(now: dict, tolerance: float = 0.02) -> str:
    return verdict_of(compare_records(record(), now), score_difference(record(), now), tolerance)


def test_everything_the_same_is_identical() -> None:
    assert verdict(record()) == "identical"
    assert verdict(record(), tolerance=0) == "identical"


def test_other_bits_of_what_was_trained_are_within_tolerance_if_the_scores_are_close() -> None:
    other = {"weights": "other", "located": "others, as other locators look elsewhere"}
    assert verdict(record(0.51, 0.59, **other)) == "within tolerance"
    assert verdict(record(0.51, 0.59, **other), tolerance=0.005) == "different"
    assert verdict(record(0.53, 0.6, **other)) == "different"
    assert verdict(record(0.5, 0.57, **other)) == "different"


@pytest.mark.parametrize("part", ["dataset", "crops", "split"])
def test_other_data_are_different_however_close_the_score(part: str) -> None:
    assert verdict(record(**{part: "other"})) == "different"
    assert verdict(record(0.501, **{part: "other", "weights": "other"})) == "different"


def test_what_was_not_made_is_different() -> None:
    now = record()
    now["subject"] = []
    (missing,) = [each for each in compare_records(record(), now) if not each.same]
    assert (missing.what, missing.words) == (WEIGHTS, "not made")
    assert verdict(now) == "different"
    assert verdict(record(held=None)) == "different"


def test_a_spot_check_is_identical_or_different() -> None:
    compared = compare_records(record(), record(weights="other"))
    assert verdict_of(compared, None, 1.0) == "different"
    assert verdict_of(compare_records(record(), record()), None, 1.0) == "identical"


def test_the_score_that_is_farther_off_counts() -> None:
    assert score_difference(record(), record(0.49, 0.65)) == pytest.approx(0.05)
    assert score_difference(record(), record(0.4, 0.65)) == pytest.approx(-0.1)
    assert score_difference(record(held=None), record(0.4, None)) == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ([Package(name="numpy", version="2.4.6", sha256="n")], []),
        ([Package(name="numpy", version="2.4.6", sha256="x")], ["numpy 2.4.6 has other files than it had"]),
        ([Package(name="numpy", version="2.5.0", sha256="n")], ["numpy is 2.5.0; it was 2.4.6"]),
        ([], ["numpy 2.4.6 is not installed"]),
        (
            [Package(name="numpy", version="2.4.6", sha256="n"), Package(name="rich", version="1", sha256="")],
            ["rich 1 was not installed"],
        ),
    ],
)
def test_packages_that_are_not_as_they_were_are_named(now: list[Package], told: list[str]) -> None:
    ours = Package(name="lumbargrade", version="0.1", sha256="whatever")
    assert list(environment_differences(record(), [ours, *now])) == told


def test_folds_of_an_older_commit_are_trained_by_the_worker_that_it_has(tmp_path: Path) -> None:
    assert training_worker(tmp_path) == "lumbargrade.training.worker"
    older = tmp_path / "src/lumbargrade/training/fold.py"
    older.parent.mkdir(parents=True)
    older.touch()
    assert training_worker(tmp_path) == "lumbargrade.training.fold"
