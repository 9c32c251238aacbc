import pytest

from lumbargrade.config.task import GradingTask, load_task, save_task, task_names
from lumbargrade.errors import InputError


def test_rsna_has_25_cells_spelled_as_its_tables_spell_them(rsna: GradingTask) -> None:
    assert len(rsna.cells) == 25
    assert rsna.columns[0] == "spinal_canal_stenosis_l1_l2"
    assert rsna.columns[-1] == "right_subarticular_stenosis_l5_s1"
    assert rsna.grade_columns == ("normal_mild", "moderate", "severe")
    assert rsna.groups == ("spinal", "foraminal", "subarticular")
    assert rsna.series == ("Sagittal T2/STIR", "Sagittal T1", "Axial T2")


def test_only_right_sides_are_mirrored(rsna: GradingTask) -> None:
    assert [c.name for c in rsna.conditions if c.mirrored] == [
        "right_neural_foraminal_narrowing",
        "right_subarticular_stenosis",
    ]


def test_a_condition_is_found_by_name_and_by_label(rsna: GradingTask) -> None:
    assert rsna.condition("Left Subarticular Stenosis") is rsna.condition("left_subarticular_stenosis")


def test_an_unknown_condition_is_named_with_those_that_exist(disc: GradingTask) -> None:
    with pytest.raises(InputError, match="'Scoliosis' is not in task disc_degeneration; it has: Disc Degeneration"):
        disc.condition("Scoliosis")


def test_an_unknown_task_is_told_the_known_ones() -> None:
    with pytest.raises(InputError) as caught:
        load_task("rsna2025")
    assert str(caught.value) == (
        "task 'rsna2025' is unknown; choose one of: disc_degeneration, rsna2024, or give a .yaml file"
    )


@pytest.mark.parametrize("name", task_names())
def test_every_shipped_task_loads_under_its_own_name(name: str) -> None:
    assert load_task(name).name == name


def test_a_third_task_is_a_file(tmp_path) -> None:
    path = tmp_path / "modic.yaml"
    path.write_text(
        "name: modic\ntitle: Modic changes\nlevels: [L4/L5, L5/S1]\ngrades: [None, Type 1, Type 2]\n"
        "grade_weights: [1, 1, 1]\nconditions:\n"
        "  - {name: modic, label: Modic, group: modic, series: Sagittal T1}\n"
    )
    assert load_task(str(path)).columns == ("modic_l4_l5", "modic_l5_s1")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("grade_weights: [1, 1]", "grade_weights has 2 values for 3 grades"),
        ("any_severe_group: spinal", "any_severe_group 'spinal' is none of the groups"),
        ("colour: red", "colour: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_task_file_says_what_is_wrong(tmp_path, line: str, problem: str) -> None:
    path = tmp_path / "odd.yaml"
    lines = {
        "grade_weights": "grade_weights: [1, 1, 1]",
        "rest": "name: odd\ntitle: Odd\nlevels: [L4/L5]\ngrades: [A, B, C]\n"
        "conditions: [{name: odd, label: Odd, group: odd, series: Sagittal T1}]",
    }
    lines[line.split(":")[0]] = line
    path.write_text("\n".join(lines.values()))
    with pytest.raises(InputError) as caught:
        load_task(str(path))
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", task_names())
def test_a_saved_task_is_the_same_task(name: str, tmp_path) -> None:
    save_task(load_task(name), tmp_path / "task.yaml")
    assert load_task(str(tmp_path / "task.yaml")) == load_task(name)
