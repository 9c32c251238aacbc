import numpy as np
import pytest

from lumbargrade.config.task import load_task
from lumbargrade.phantom.severity import (
    EMPTY_RATES,
    MODERATE_RATES,
    SEVERE_RATES,
    draw_labels,
    draw_severity,
    narrowing,
)

TASK = load_task("rsna2024")
STUDIES = 3000

# Normal/Mild, Moderate, Severe, empty of the RSNA 2024 training set, over 1,975 studies.
RSNA = {
    "spinal_canal_stenosis": (8664, 736, 470, 5),
    "left_neural_foraminal_narrowing": (7672, 1794, 399, 10),
    "right_neural_foraminal_narrowing": (7685, 1770, 380, 40),
    "left_subarticular_stenosis": (6864, 1835, 913, 263),
    "right_subarticular_stenosis": (6869, 1825, 927, 254),
}


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    severities = [draw_severity(rng, TASK) for _ in range(STUDIES)]
    return severities, np.array([draw_labels(rng, severity, TASK) for severity in severities])


@pytest.mark.parametrize("number", range(5))
def test_labels_come_at_the_rates_of_the_real_dataset(drawn, number):
    labels = drawn[1][:, number]
    counts = RSNA[TASK.conditions[number].name]
    for grade, count in zip((0, 1, 2, -1), counts, strict=True):
        assert (labels == grade).mean() == pytest.approx(count / sum(counts), abs=0.015)


@pytest.mark.parametrize("group", ["spinal", "foraminal", "subarticular"])
def test_each_level_has_its_own_rate(drawn, group):
    rows = [number for number, condition in enumerate(TASK.conditions) if condition.group == group]
    labels = drawn[1][:, rows]
    graded = 1 - np.array(EMPTY_RATES[group])
    for rates, grade in ((MODERATE_RATES, 1), (SEVERE_RATES, 2)):
        np.testing.assert_allclose((labels == grade).mean(axis=(0, 1)), graded * rates[group], atol=0.022)


def test_canal_and_recess_are_worst_at_l4_l5(drawn):
    severe = (drawn[1] == 2).mean(axis=0)
    assert [int(severe[row].argmax()) for row in (0, 3, 4)] == [3, 3, 3]


def test_levels_sides_and_conditions_of_a_study_go_together(drawn):
    standard = np.array([severity.standard for severity in drawn[0]])

    def correlation(one, other):
        return np.corrcoef(standard[:, one[0], one[1]], standard[:, other[0], other[1]])[0, 1]

    between_studies = correlation((0, 1), (2, 4))
    same_level = correlation((0, 3), (1, 3))
    two_sides = correlation((1, 3), (2, 3))
    assert 0.25 < between_studies < same_level < two_sides < 0.9


def test_worn_discs_go_with_narrow_places(drawn):
    worn = np.array([severity.degeneration for severity in drawn[0]])
    grade = np.array([severity.grade.mean(axis=0) for severity in drawn[0]])
    assert np.corrcoef(worn[:, 3], grade[:, 3])[0, 1] > 0.4


def test_readers_err_near_the_thresholds_only(drawn):
    truth = np.array([severity.grade for severity in drawn[0]])
    true_grade = (truth > 0).astype(int) + (truth > 1)
    graded = drawn[1] >= 0
    wrong = (drawn[1] != true_grade) & graded
    assert 0.02 < wrong[graded].mean() < 0.10
    far = np.minimum(np.abs(truth), np.abs(truth - 1)) > 1.5
    assert not (wrong & far).any()


def test_narrowing_grows_with_the_grade():
    values = narrowing(np.array([-9.0, 0.0, 1.0, 9.0]))
    assert (np.diff(values) > 0).all()
    np.testing.assert_allclose(values, [0, 0.32, 0.68, 1], atol=0.01)


def test_discs_are_graded_by_how_worn_they_are(drawn):
    discs = load_task("disc_degeneration")
    rng = np.random.default_rng(1)
    labels = np.array([draw_labels(rng, severity, discs)[0] for severity in drawn[0]])
    degeneration = np.array([severity.degeneration for severity in drawn[0]])
    shares = [float((labels == grade).mean()) for grade in range(3)]
    assert shares == pytest.approx([0.4, 0.3, 0.3], abs=0.05)
    assert degeneration[labels == 0].max() <= degeneration[labels == 1].min()
    assert degeneration[labels == 1].max() <= degeneration[labels == 2].min()
