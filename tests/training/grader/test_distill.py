"""A student learns what its teachers say, from every study but the held-out ones, and nothing from labels; an average has
the mean of their weights, or says that it is of no use."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lumbargrade.errors import InputError
from lumbargrade.files import file_sha256
from lumbargrade.models.grader import Grader, GraderConfig, load_grader, save_grader
from lumbargrade.preprocessing.pack import PackedCrops
from lumbargrade.training.grader.distill import _Run, train_student
from lumbargrade.training.grader.fit import train_fold
from lumbargrade.training.grader.sampling import student_rows
from lumbargrade.training.jobs.spec import Epoch, FoldSpec, StudentSpec, Teacher, read_history

pytestmark = pytest.mark.slow

HELD = {study for study in range(24) if study % 6 == 5}
MakeStudent = Callable[..., StudentSpec]


class KilledError(Exception):
    """Stands in for a kill at the end of an epoch."""


def weights_hash(spec: StudentSpec) -> str:
    return hashlib.sha256((spec.folder / "model.safetensors").read_bytes()).hexdigest()


def teachers(*models: Path) -> tuple[Teacher, ...]:
    return tuple(Teacher(model=model, sha256=file_sha256(model)) for model in models)


@pytest.fixture
def student(spec: FoldSpec) -> MakeStudent:
    """Students of two teachers, which know nothing, and so differ by what their biases say."""

    def make(folder: str, taught: tuple[Teacher, ...] = (), **training: Any) -> StudentSpec:
        told = spec.training.model_copy(update=training)
        if not taught:
            paths = [spec.folder.parent / f"{told.context}-{told.flips}-{number}.safetensors" for number in (1, 2)]
            for seed, path in enumerate(paths):
                torch.manual_seed(seed)
                grader = Grader(GraderConfig.of(spec.task, spec.prepare, told))
                torch.nn.init.normal_(grader.cell_bias.weight)
                save_grader(grader, path)
            taught = teachers(*paths)
        place = spec.folder.parent / folder
        place.mkdir()
        values = spec.model_dump(exclude={"kind", "training", "fold", "folder"})
        return StudentSpec.model_validate(values | {"training": told, "fold": 2, "folder": place, "teachers": taught})

    return make


def rewrite(packed: Path, change: Callable[[pd.DataFrame, Any], None]) -> None:
    """Changes labels and crops of a packed folder."""
    index, crops = pd.read_parquet(packed / "crops/index.parquet"), np.load(packed / "crops/crops-000.npy")
    change(index, crops)
    index.to_parquet(packed / "crops/index.parquet")
    np.save(packed / "crops/crops-000.npy", crops)


def test_it_comes_to_say_what_its_teachers_say_together(spec: FoldSpec, student: MakeStudent) -> None:
    models = []
    for fold in (0, 1):
        folder = spec.folder.parent / f"teacher-{fold}"
        folder.mkdir()
        training = spec.training.model_copy(update={"epochs": 4, "epoch_crops": 160})
        told = spec.model_copy(update={"fold": fold, "folder": folder, "training": training})
        models.append(train_fold(told).model)
    told: list[Epoch] = []
    made = student("student", teachers(*models), epochs=4, epoch_crops=160)
    result = train_student(made, told.append)
    assert told == read_history(made.folder)
    assert told[-1].validation_accuracy > 0.8, "a third would be chance"
    assert told[-1].validation_accuracy >= told[0].validation_accuracy
    assert result.validation_loss == told[-1].validation_loss < told[0].validation_loss / 2
    untaught = student("untaught", teachers(*models), epochs=4, epoch_crops=160, learning_rate=1e-9)
    assert train_student(untaught).validation_loss > 2 * result.validation_loss


def test_every_study_but_the_held_out_ones_trains_and_the_sample_is_of_whole_ones(packed: Path) -> None:
    index, split = PackedCrops(packed / "crops").index, pd.read_csv(packed / "split.csv")
    index.loc[index["study_id"] == 3, "grade"] = pd.NA
    index.loc[index["study_id"] == 4, "error_mm"] = 50.0
    training, validation = student_rows(index, split)
    assert set(index["study_id"].iloc[training]) == set(range(24)) - HELD
    assert len(training) == 5 * (24 - len(HELD))
    (sample,) = validation.values()
    assert set(sample) <= set(training)
    assert set(index["study_id"].iloc[sample].value_counts()) == {5}
    with pytest.raises(InputError, match="no crops outside the holdout to train the student on"):
        student_rows(index, split.assign(fold=-1))


def test_the_sample_is_where_the_locator_looked(packed: Path) -> None:
    index, split = PackedCrops(packed / "crops", packed / "crops").index, pd.read_csv(packed / "split.csv")
    training, validation = student_rows(index, split)
    assert set(index["folder"].iloc[training]) == {0, 1}
    assert set(index["folder"].iloc[validation["located"]]) == {1}


def test_neither_labels_nor_held_out_crops_change_it_and_any_other_crop_does(
    packed: Path, student: MakeStudent
) -> None:
    train_student(first := student("first"))

    def forget(index: pd.DataFrame, crops: Any) -> None:
        index["grade"] = pd.array([pd.NA] * len(index), dtype="Int8")
        crops[index["study_id"].isin(HELD)] = 255

    rewrite(packed, forget)
    train_student(same := student("same"))
    assert weights_hash(same) == weights_hash(first)

    def turn(index: pd.DataFrame, crops: Any) -> None:
        last = index.index[index["study_id"] == 22][-1]
        crops[last] = 255 - crops[last]

    rewrite(packed, turn)
    train_student(other := student("other"))
    assert weights_hash(other) != weights_hash(first)


@pytest.mark.long
@pytest.mark.parametrize(
    "part",
    [{"ema": 0.9, "mixup": 0.4, "flips": True}, {"context": "transformer", "patience": 1}],
    ids=["mixed", "context"],
)
def test_a_killed_student_goes_on_to_the_same_weights_bit_for_bit(student: MakeStudent, part: dict[str, Any]) -> None:
    whole, cut = (student(name, epochs=3, **part) for name in ("whole", "cut"))
    assert whole.teachers == cut.teachers
    result = train_student(whole)
    assert (result.epoch, result.epochs) == (3, 3)
    for number in (1, 2):

        def killed(epoch: Epoch, number: int = number) -> None:
            if epoch.epoch == number:
                raise KilledError

        with pytest.raises(KilledError):
            train_student(cut, killed)
    again = train_student(cut)
    assert weights_hash(cut) == weights_hash(whole)
    assert again.validation_loss == result.validation_loss
    assert not list(cut.folder.glob("*checkpoint*"))


def test_teachers_are_seen_with_the_students_own_images_and_stay_as_they_are(student: MakeStudent) -> None:
    run = _Run.begin(student("student", mixup=0.4))
    seen: list[tuple[str, torch.Tensor, bool]] = []
    for name, grader in [("student", run.grader), *(("teacher", each) for each in run.teachers)]:
        grader.features.register_forward_pre_hook(
            lambda module, told, name=name: seen.append((name, told[0].clone(), module.training))
        )
    before = [{name: value.clone() for name, value in each.state_dict().items()} for each in run.teachers]
    run._train()
    for turn in range(0, len(seen), 3):
        images = [image for _, image, _ in seen[turn : turn + 3]]
        assert torch.equal(images[0], images[1]) and torch.equal(images[0], images[2])
        assert {name: training for name, _, training in seen[turn : turn + 3]} == {"student": True, "teacher": False}
    for state, each in zip(before, run.teachers, strict=True):
        assert all(torch.equal(state[name], value) for name, value in each.state_dict().items())


def test_a_study_is_never_divided_between_batches_if_its_cells_are_seen_together(student: MakeStudent) -> None:
    run = _Run.begin(student("student", context="transformer"))
    studies = run.packed.index["study_id"].to_numpy()
    batches = [studies[rows] for rows in run._batches()]
    for batch in batches:
        assert set(pd.Series(batch).value_counts()) == {5}


def test_an_average_has_the_mean_of_its_teachers_weights(spec: FoldSpec, student: MakeStudent) -> None:
    begun = spec.folder.parent / "begun.safetensors"
    torch.manual_seed(0)
    save_grader(Grader(GraderConfig.of(spec.task, spec.prepare, spec.training)), begun)
    models = []
    for fold in (0, 1):
        folder = spec.folder.parent / f"near-{fold}"
        folder.mkdir()
        training = spec.training.model_copy(update={"weights": str(begun), "epochs": 1, "learning_rate": 1e-4})
        models.append(train_fold(spec.model_copy(update={"fold": fold, "folder": folder, "training": training})).model)
    told: list[Epoch] = []
    made = student("average", teachers(*models)).model_copy(update={"how": "averaged"})
    result = train_student(made, told.append)
    one, two = (load_grader(model).state_dict() for model in models)
    mean = load_grader(result.model).state_dict()
    assert not torch.equal(one["features.conv0.weight"], two["features.conv0.weight"])
    for name, value in mean.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (one[name] + two[name]) / 2)
    (line,) = result.history()
    assert (line.validation_accuracy > 0.8, result.validation_loss) == (True, line.validation_loss)
    assert set(result.predictions()["study_id"]) <= set(range(24)) - HELD
    before = weights_hash(made)
    train_student(made)
    assert weights_hash(made) == before


def test_an_average_that_does_not_answer_as_its_teachers_do_is_refused(student: MakeStudent) -> None:
    made = student("average")
    for teacher, bias in zip(made.teachers, ([10.0, 8.0, 0.0], [0.0, 8.0, 8.1]), strict=True):
        grader = load_grader(teacher.model)
        torch.nn.init.zeros_(grader.heads.weight)
        torch.nn.init.zeros_(grader.heads.bias)
        with torch.no_grad():
            grader.cell_bias.weight[:] = torch.tensor(bias)
        save_grader(grader, teacher.model)
    told = {"how": "averaged", "teachers": teachers(*(teacher.model for teacher in made.teachers))}
    with pytest.raises(InputError) as caught:
        train_student(made.model_copy(update=told))
    assert str(caught.value) == (
        "the mean of 2 folds' weights gives the same grade as they do together in 0% of a sample of cells: they have gone too "
        "far apart to be averaged; set package.graders to ensemble or distilled, for which nothing is searched anew, or lower "
        "training.learning_rate"
    )
    assert not list(made.folder.glob("*.safetensors")) and not list(made.folder.glob("result*"))


def test_a_teacher_that_has_changed_is_refused(student: MakeStudent) -> None:
    made = student("student")
    save_grader(load_grader(made.teachers[1].model), made.teachers[0].model)
    with pytest.raises(InputError) as caught:
        train_student(made)
    assert str(caught.value) == (
        f"the teacher {made.teachers[0].model} has changed since it was named; run again: its student is made anew"
    )
