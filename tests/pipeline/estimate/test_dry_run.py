"""A dry run tells what would stop the main job and what it will take, and leaves the project as it was."""

import json
import shutil
import subprocess
from collections import namedtuple
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lumbargrade.cli.app import app

PROJECT = Path(__file__).parents[3]
TINY = ("training.image_pixels=32", "training.batch_size=2", "training.threads=1", "locator.batch_size=2")
TINY += ("locator.width=8", "locator.threads=1", "views.pixels=64")
COUNTS = "dataset.expected={studies: 3, series: {Sagittal T2/STIR: 3}, files: 12}"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one commit."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(PROJECT / name, folder)
    (folder / "recipes").symlink_to(PROJECT / "recipes")
    shutil.copytree(PROJECT / ".dvc", folder / ".dvc", ignore=lambda _, names: set(names) - {"config"})
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run(["git", "-c", "user.name=T", "-c", "user.email=t@t", *command], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three studies of one series of four files each, which are empty but for their size."""
    root = tmp_path / "cohort"
    images = root / "train_images"
    levels = ("l1_l2", "l2_l3", "l3_l4", "l4_l5", "l5_s1")
    labels = ["study_id," + ",".join(f"disc_degeneration_{level}" for level in levels)]
    series, points = (
        ["study_id,series_id,series_description"],
        ["study_id,series_id,instance_number,condition,level,x,y"],
    )
    for study in (11, 12, 13):
        labels.append(f"{study}" + ",Moderate" * 5)
        series.append(f"{study},{study + 10},Sagittal T2/STIR")
        points += [
            f"{study},{study + 10},1,Disc Degeneration,{level.upper().replace('_', '/')},1,1" for level in levels
        ]
        folder = images / str(study) / str(study + 10)
        folder.mkdir(parents=True)
        for number in range(1, 5):
            (folder / f"{number}.dcm").write_bytes(b"\0" * 1000)
        (folder / "._1.dcm").touch()
    (root / "train.csv").write_text("\n".join(labels) + "\n")
    (root / "train_series_descriptions.csv").write_text("\n".join(series) + "\n")
    (root / "train_label_coordinates.csv").write_text("\n".join(points) + "\n")
    return root


def run(data: Path | None, *more: str, overrides: tuple[str, ...] = ()) -> Result:
    settings = [word for value in (*TINY, *overrides) for word in ("--set", value)]
    where = [] if data is None else ["--data", str(data)]
    return CliRunner().invoke(app, ["run", "--dry-run", "--json", *where, *settings, *more])


def test_what_it_will_take_is_told_and_nothing_is_written(project: Path, data: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in project.rglob("*") if ".git" not in path.parts)
    done = run(data, "--task", "disc_degeneration", overrides=(COUNTS,))
    assert done.exit_code == 0, done.stdout
    told = json.loads(done.stdout)
    assert told["problems"] == []
    assert told["dataset"] == {
        "studies": 3,
        "series": {"Sagittal T2/STIR": 3},
        "files": 12,
        "bytes": 12_000,
        "points": 15,
    }
    needs = {need["what"]: need["bytes"] for need in told["disk"]}
    assert needs["dataset in data/ and DVC's cache"] == needs["dataset in DVC's remote"] == 12_000
    assert needs["crops at labelled points"] == needs["crops where the locator looked"] == 15 * 3 * 128**2
    assert needs["views"] == 12 * 64**2
    weights = {cost["network"]: cost["weights"] for cost in told["training"]}
    assert needs["trained folds"] == 4 * 3 * (2 * weights["grader"] + weights["locator"])
    assert needs["packaged model"] == 4 * 3 * (weights["grader"] + weights["locator"])
    assert told["disk_needed"] == sum(needs.values())
    for cost in told["training"]:
        assert cost["memory_bytes"] > 16 * cost["weights"]
        assert cost["images_per_second"] > 0
    assert {row["network"]: row["folds"] for row in told["hours"]} == {"locator": 3, "grader": 6}
    for row in told["hours"]:
        assert row["hours"] >= row["fold_hours"] > 0
    assert sorted((path, path.stat().st_mtime_ns) for path in project.rglob("*") if ".git" not in path.parts) == before


def test_half_a_download_is_told_by_its_counts(project: Path, data: Path) -> None:
    (data / "train_images/12/22/3.dcm").unlink()
    expected = "dataset.expected={studies: 4, series: {Sagittal T2/STIR: 3, Axial T2: 1}, files: 1200}"
    done = run(data, "--task", "disc_degeneration", overrides=(expected,))
    assert done.exit_code == 1
    assert json.loads(done.stdout)["problems"] == [
        f"{data} has 3 studies where 4 are expected, 11 files where 1,200 are expected, 0 series Axial T2 where 1 are "
        "expected; complete the download, or give --set dataset.expected=null if the dataset is meant to be so"
    ]


def test_linked_studies_count(project: Path, data: Path, tmp_path: Path) -> None:
    images = data / "train_images"
    (images / "11").rename(tmp_path / "11")
    (images / "11").symlink_to(tmp_path / "11")
    told = json.loads(run(data, overrides=("task=disc_degeneration", COUNTS)).stdout)
    assert told["dataset"]["files"] == 12
    assert not [problem for problem in told["problems"] if "files where" in problem]


@pytest.mark.parametrize("name", ["x;touch pwned", "$(touch pwned)", "MRT 2024", "Münster", "1 'e' \"3\""])
def test_a_name_that_a_shell_would_read_is_a_problem_in_the_project_and_none_elsewhere(
    project: Path, data: Path, name: str
) -> None:
    shutil.copytree(data, Path("data") / name)
    elsewhere = shutil.copytree(data, data.with_name(name))
    inside, outside = (
        json.loads(run(folder, overrides=("task=disc_degeneration",)).stdout)["problems"]
        for folder in (Path("data") / name, elsewhere)
    )
    assert [problem for problem in inside if "cannot be a dataset's name" in problem]
    assert not [problem for problem in outside if "name" in problem]
    assert not list(project.parent.rglob("pwned"))


def test_all_problems_are_told_at_once(project: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1_000_000))
    (project / "dvc.yaml").unlink()
    done = run(data, overrides=("training.weights=nothing.pth", "locator.time_limit_minutes=0.0001"))
    assert done.exit_code == 1
    first, dirty, second, third, fourth = json.loads(done.stdout)["problems"]
    assert first == "there is no dvc.yaml here; run the command in the project's folder"
    assert dirty == (
        "git does not have dvc.yaml as here, so that no commit would tell what a version was made of; commit the changes, "
        "or use --allow-dirty, which keeps them beside the version"
    )
    assert second.startswith("training.weights nothing.pth is neither imagenet, none nor a file; set training.weights")
    assert third.startswith("train.csv has column 'disc_degeneration_l1_l2', which task rsna2024 does not know")
    assert fourth.endswith(f"1 MB are free in {project}; free some, or run where there is more")


def test_a_fold_that_would_be_stopped_for_its_time_is_told(project: Path, data: Path) -> None:
    done = run(data, "--task", "disc_degeneration", overrides=("locator.time_limit_minutes=0.0001",))
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem.startswith("a fold of the locator takes about ")
    assert problem.endswith(
        " here, more than locator.time_limit_minutes (0.0001); raise it, set it to 0, or train on a faster device"
    )


def test_the_recipe_can_be_tried_before_its_dataset_is_there(project: Path) -> None:
    recipe = ("--recipe", "recipes/rsna2024.yaml")
    done = run(
        Path("nowhere"),
        *recipe,
        overrides=("training.weights=none", "training.suspects=no.csv", "training.time_limit_minutes=0"),
    )
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    missing = "dataset folder nowhere does not exist; give a folder in RSNA layout with --data"
    assert missing in told["problems"]
    assert any(problem.startswith("training.suspects no.csv is no file; give the ") for problem in told["problems"])
    needs = {need["what"]: need["bytes"] for need in told["disk"]}
    assert needs["dataset in data/ and DVC's cache"] == 35_340_000_000
    assert needs["views"] == 147_218 * 64**2
    assert needs["crops at labelled points"] == 1975 * 25 * 3 * 180**2


def test_the_phantom_that_a_run_makes_is_no_problem(project: Path) -> None:
    done = run(None)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["notes"][0] == "data/phantom is not there; the run makes 48 phantom studies"


def test_people_get_tables(project: Path, data: Path) -> None:
    settings = [word for value in TINY for word in ("--set", value)]
    done = CliRunner().invoke(app, ["run", "--dry-run", "--data", str(data), "--task", "disc_degeneration", *settings])
    assert done.exit_code == 0
    for words in ("Sagittal T2/STIR", "images/s", "trained folds", "nothing stops the run"):
        assert words in done.stdout
