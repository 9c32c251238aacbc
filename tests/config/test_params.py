from pathlib import Path

import pytest
import yaml

from lumbargrade.config.loading import load_params, save_params
from lumbargrade.config.params import Params
from lumbargrade.errors import InputError

PROJECT = Path(__file__).parents[2]
AVERAGED = (
    "package.graders averaged needs folds that begin with the same weights, and training.weights none draws each its own; set "
    "training.weights, or package them as ensemble or distilled"
)


def load(*overrides: str) -> Params:
    return load_params(PROJECT / "params.yaml", overrides=overrides)


def test_the_shipped_parameters_and_recipes_are_valid() -> None:
    load()
    for recipe in sorted((PROJECT / "recipes").glob("*.yaml")):
        assert load_params(PROJECT / "params.yaml", recipe).task


def test_a_recipe_is_laid_over_the_file_and_set_over_both() -> None:
    params = load_params(PROJECT / "params.yaml", PROJECT / "recipes/rsna2024.yaml", ["training.epochs=3"])
    assert params.training.weights == "imagenet"
    assert params.training.epochs == 3
    assert params.prepare.percentiles == load().prepare.percentiles


def test_an_empty_search_space_takes_the_place_of_the_files() -> None:
    assert load().search.space
    assert not load("search.space={}").search.space


@pytest.mark.parametrize(
    "name", ["1e3", "a: b", "null", "#1", "Münster", "\U0001f9b4", "a\nb", "${x}", "'", "\x7f", ""]
)
def test_what_is_given_is_taken_as_it_is_and_never_read_as_yaml(name: str) -> None:
    assert load_params(PROJECT / "params.yaml", given={"dataset.path": name}).dataset.path == name


def test_set_reads_numbers_as_people_write_them() -> None:
    params = load("training.learning_rate=1e-3", "search.space.learning_rate={low: 1.0e-4, high: 1.0e-2}")
    assert params.training.learning_rate == 0.001


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainin.epochs=3", "parameter trainin is unknown; did you mean training?"),
        ("training.epoch=3", "parameter training.epoch is unknown; did you mean epochs?"),
        (
            "training.epochs=0",
            "parameter training.epochs is wrong: input should be greater than or equal to 1, not 0",
        ),
        ("training.epochs=many", "parameter training.epochs is wrong: input should be a valid integer, not 'many'"),
        ("training.crop_mm=80", "training.crop_mm 80 is larger than the packed crops (prepare.crop_mm 64)"),
        ("prepare.percentiles=[99, 1]", "prepare: percentiles must rise and lie within 0 to 100"),
        ("training.grade_weights=[1, 2]", "training.grade_weights has 2 values; task rsna2024 has 3 grades"),
        (
            "search.space.epoch={low: 1, high: 3}",
            "search.space.epoch: training has no such parameter; did you mean epochs?",
        ),
        (
            "training.drop_rate=0.9",
            "training.drop_rate lies outside search.space.drop_rate; the first trial is the training section as it "
            "stands, so widen the one or change the other",
        ),
        (
            "package.graders=distiled",
            "parameter package.graders is wrong: input should be 'ensemble', 'distilled' or 'averaged', not 'distiled'",
        ),
        (
            "search.pruning=worst_fold",  # a choice of earlier versions
            "parameter search.pruning is wrong: input should be 'none' or 'wilcoxon', not 'worst_fold'",
        ),
        ("package.graders=averaged", AVERAGED),
        (
            "package.student_epochs=-1",
            "parameter package.student_epochs is wrong: input should be greater than or equal to 0, not -1",
        ),
        ("epochs", "--set 'epochs' is not of the form section.key=value, such as training.epochs=20"),
        ("task=lumbar", "task 'lumbar' is unknown; choose one of: disc_degeneration, rsna2024, or give a .yaml file"),
    ],
)
def test_a_wrong_parameter_stops_before_anything_starts(override: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(override)
    assert str(caught.value) == message


def test_a_version_holds_the_folds_unless_told_otherwise() -> None:
    assert load().package.graders == Params().package.graders == "ensemble"


def test_folds_are_averaged_only_if_each_trial_begins_with_given_weights() -> None:
    assert load("package.graders=averaged", "training.weights=a.safetensors").package.graders == "averaged"
    told = ["package.graders=averaged", "training.weights=a.pth", "search.space.weights.choices=[a.pth, none]"]
    with pytest.raises(InputError) as caught:
        load(*told)
    assert AVERAGED in str(caught.value)


def test_a_missing_file_says_where_to_run() -> None:
    with pytest.raises(InputError, match=r"parameter file nowhere.yaml does not exist; run in the project's folder"):
        load_params(Path("nowhere.yaml"))


def test_saved_parameters_are_the_same_when_read_again(tmp_path: Path) -> None:
    params = load("training.grade_weights=[1.0, 1.5, 2.0]", "training.epochs=2")
    save_params(params, tmp_path / "params.yaml")
    assert load_params(tmp_path / "params.yaml") == params


def test_saving_the_same_parameters_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    save_params(load(), path)
    before = path.stat().st_mtime_ns
    save_params(load(), path)
    assert path.stat().st_mtime_ns == before


def test_the_digest_follows_the_sections_that_it_is_asked_for() -> None:
    assert load().digest("training") == load("search.trials=9").digest("training")
    assert load().digest() != load("search.trials=9").digest()


def test_every_parameter_of_the_shipped_file_is_written_down() -> None:
    written = yaml.safe_load((PROJECT / "params.yaml").read_text())
    for section, values in load().model_dump().items():
        if isinstance(values, dict) and section != "search":
            assert set(values) == set(written[section])
