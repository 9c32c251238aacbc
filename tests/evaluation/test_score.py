import itertools
from math import log

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.errors import InputError
from lumbargrade.evaluation.score import CLIP
from tests.predictions import official_score

RSNA = load_task("rsna2024")
DISC = load_task("disc_degeneration")
CELL = ["study_id", "condition", "level"]
PROBABILITIES = ["normal_mild", "moderate", "severe"]

# Cells with each grade in the real labels, by condition (FACTS: Normal/Mild, Moderate, Severe).
REAL_COUNTS = {
    "spinal_canal_stenosis": (8664, 736, 470),
    "left_neural_foraminal_narrowing": (7672, 1794, 399),
    "right_neural_foraminal_narrowing": (7685, 1770, 380),
    "left_subarticular_stenosis": (6864, 1835, 913),
    "right_subarticular_stenosis": (6869, 1825, 927),
}


def table(rows: list[tuple[object, ...]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*CELL, *columns])


def predict(truth: pd.DataFrame, probabilities: object) -> pd.DataFrame:
    return truth[CELL].assign(**dict(zip(PROBABILITIES, np.asarray(probabilities, dtype=float).T, strict=True)))


def real_labels() -> pd.DataFrame:
    """As many cells of each grade as the real labels have; which study has which grade is made up."""
    rows = []
    for condition, counts in REAL_COUNTS.items():
        grades = np.repeat([0, 1, 2], counts)
        places = itertools.product(range(1975), RSNA.levels)
        rows += [(study, condition, level, int(grade)) for (study, level), grade in zip(places, grades, strict=False)]
    return table(rows, ["grade"])


def test_score_of_a_table_worked_by_hand() -> None:
    cells = [
        # study, condition, level, true grade, probabilities               weight, -ln p[y]
        (1, "spinal_canal_stenosis", "L3/L4", 0, (0.8, 0.1, 0.1)),  #      1, -ln 0.8
        (1, "spinal_canal_stenosis", "L4/L5", 2, (0.2, 0.2, 0.6)),  #      4, -ln 0.6
        (2, "spinal_canal_stenosis", "L4/L5", 1, (0.3, 0.5, 0.2)),  #      2, -ln 0.5
        (1, "left_neural_foraminal_narrowing", "L4/L5", 1, (0.5, 0.4, 0.1)),  #  2, -ln 0.4
        (1, "right_neural_foraminal_narrowing", "L4/L5", 0, (0.7, 0.2, 0.1)),  # 1, -ln 0.7
        (2, "left_subarticular_stenosis", "L5/S1", 2, (0.1, 0.1, 0.8)),  #       4, -ln 0.8
    ]
    truth = table([cell[:4] for cell in cells], ["grade"])
    probabilities = predict(truth, [cell[4] for cell in cells])

    spinal = (1 * -log(0.8) + 4 * -log(0.6) + 2 * -log(0.5)) / 7
    foraminal = (2 * -log(0.4) + 1 * -log(0.7)) / 3
    subarticular = -log(0.8)
    # Study 1: z = 1, q = max(0.1, 0.6), W = max(1, 4). Study 2: z = 0, q = 0.2, W = 2.
    any_severe = (4 * -log(0.6) + 2 * -log(1 - 0.2)) / 6

    score = official_score(RSNA, truth, probabilities)
    assert score.parts == pytest.approx(
        {"spinal": spinal, "foraminal": foraminal, "subarticular": subarticular, "any_severe_spinal": any_severe}
    )
    assert score.parts == pytest.approx(
        {"spinal": 0.5218, "foraminal": 0.7298, "subarticular": 0.2231, "any_severe_spinal": 0.4149}, abs=5e-5
    )
    assert score.total == pytest.approx((spinal + foraminal + subarticular + any_severe) / 4)


def test_uniform_prediction_on_the_real_counts() -> None:
    truth = real_labels()
    score = official_score(RSNA, truth, predict(truth, np.full((len(truth), 3), 1 / 3)))
    for group in ("spinal", "foraminal", "subarticular"):
        assert score.parts[group] == pytest.approx(1.0986, abs=5e-5)
    # Weights of the studies as they were made up here: severe ones weigh 4 and lose ln 3, others lose ln 3/2.
    worst = truth[truth["condition"] == "spinal_canal_stenosis"].groupby("study_id")["grade"].max()
    none, moderate, severe = (int((worst == grade).sum()) for grade in range(3))
    lost = 4 * severe * log(3) + (2 * moderate + none) * log(3 / 2)
    assert score.parts["any_severe_spinal"] == pytest.approx(lost / (4 * severe + 2 * moderate + none))


def test_global_prior_on_the_real_counts() -> None:
    truth = real_labels()
    prior = np.bincount(truth["grade"]) / len(truth)
    assert prior == pytest.approx([0.7736, 0.1631, 0.0633], abs=5e-5)
    score = official_score(RSNA, truth, predict(truth, np.tile(prior, (len(truth), 1))))
    for group in RSNA.groups:
        conditions = [c.name for c in RSNA.conditions if c.group == group]
        mass = np.sum([REAL_COUNTS[name] for name in conditions], axis=0) * [1, 2, 4]
        assert score.parts[group] == pytest.approx(-(mass * np.log(prior)).sum() / mass.sum())


@pytest.mark.parametrize(
    ("prediction", "published"),
    [
        ("uniform", 0.9994),
        ("prior", 1.089),
        ("weighted", 0.920),
    ],
)
def test_check_values_imply_one_any_severe_weighting(prediction: str, published: float) -> None:
    """The groups' losses follow from the counts; what the check values leave for the any-severe term must agree.

    With a constant q the term is m(-ln q) + (1 - m)(-ln(1 - q)), m the share of weight on studies with a severe level.
    """
    truth = real_labels()
    prior = np.bincount(truth["grade"]) / len(truth)
    weighted = prior * [1, 2, 4] / (prior * [1, 2, 4]).sum()
    row = {"uniform": np.full(3, 1 / 3), "prior": prior, "weighted": weighted}[prediction]
    parts = official_score(RSNA, truth, predict(truth, np.tile(row, (len(truth), 1)))).parts
    any_severe = 4 * published - sum(parts[group] for group in RSNA.groups)
    q = row[2]
    share = (any_severe + log(1 - q)) / (log(1 - q) - log(q))
    assert share == pytest.approx(0.427, abs=0.001)


def test_only_labelled_cells_count_and_empty_groups_are_left_out() -> None:
    truth = table([(7, "left_subarticular_stenosis", "L1/L2", 1)], ["grade"])
    predictions = table(
        [
            (7, "left_subarticular_stenosis", "L1/L2", 0.25, 0.5, 0.25),
            (7, "spinal_canal_stenosis", "L1/L2", 0.0, 0.0, 1.0),
        ],
        PROBABILITIES,
    )
    score = official_score(RSNA, truth, predictions)
    assert score.parts == {"subarticular": pytest.approx(log(2))}
    assert score.total == pytest.approx(log(2))


def test_task_without_any_severe_group_has_the_mean_of_its_groups() -> None:
    truth = table([(1, "disc_degeneration", "L1/L2", 2), (1, "disc_degeneration", "L2/L3", 0)], ["grade"])
    score = official_score(DISC, truth, predict(truth, [(0.25, 0.25, 0.5), (0.25, 0.5, 0.25)]))
    assert score.parts == {"disc": pytest.approx((4 * log(2) + 1 * log(4)) / 5)}
    assert score.total == score.parts["disc"]


def test_certain_and_wrong_costs_the_clip() -> None:
    truth = table([(1, "disc_degeneration", "L1/L2", 2)], ["grade"])
    assert official_score(DISC, truth, predict(truth, [(1.0, 0.0, 0.0)])).total == pytest.approx(-log(CLIP))
    assert official_score(DISC, truth, predict(truth, [(0.0, 0.0, 1.0)])).total == pytest.approx(0, abs=1e-15)


@st.composite
def graded(draw: st.DrawFn, task: GradingTask = RSNA) -> tuple[pd.DataFrame, pd.DataFrame]:
    cells = [(study, cell.condition.name, cell.level) for study in range(1, 4) for cell in task.cells]
    chosen = draw(st.lists(st.sampled_from(cells), min_size=1, max_size=40, unique=True))
    truth = table([(*cell, draw(st.integers(0, 2))) for cell in chosen], ["grade"])
    mass = np.array(draw(st.lists(st.tuples(*[st.floats(0.01, 1)] * 3), min_size=len(chosen), max_size=len(chosen))))
    return truth, predict(truth, mass / mass.sum(axis=1, keepdims=True))


@settings(max_examples=25, deadline=None)
@given(graded(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(
    tables: tuple[pd.DataFrame, pd.DataFrame], random: np.random.RandomState
) -> None:
    truth, probabilities = tables
    score = official_score(RSNA, truth, probabilities)
    shuffled = [frame.iloc[random.sample(range(len(frame)), len(frame))] for frame in (truth, probabilities)]
    assert official_score(RSNA, *shuffled) == score


@settings(max_examples=25, deadline=None)
@given(graded(), st.floats(0.05, 0.95))
def test_better_probabilities_score_lower(tables: tuple[pd.DataFrame, pd.DataFrame], step: float) -> None:
    truth, probabilities = tables
    certain = np.eye(3)[truth["grade"]]
    better = predict(truth, (1 - step) * probabilities[PROBABILITIES].to_numpy() + step * certain)
    before, after = (official_score(RSNA, truth, table_) for table_ in (probabilities, better))
    assert after.total < before.total
    for group in RSNA.groups:
        assert group not in before.parts or after.parts[group] < before.parts[group]


@settings(max_examples=25, deadline=None)
@given(graded())
def test_groups_agree_with_scikit_learn(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    truth, probabilities = tables
    parts = official_score(RSNA, truth, probabilities).parts
    for group in RSNA.groups:
        rows = truth["condition"].isin([c.name for c in RSNA.conditions if c.group == group])
        grades = truth["grade"][rows]
        if not rows.any():
            assert group not in parts
            continue
        values = probabilities.loc[rows, PROBABILITIES].to_numpy()
        expected = log_loss(grades, values, sample_weight=grades.map({0: 1, 1: 2, 2: 4}), labels=[0, 1, 2])
        assert parts[group] == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(graded())
def test_any_severe_agrees_with_scikit_learn(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    truth, probabilities = tables
    parts = official_score(RSNA, truth, probabilities).parts
    spinal = truth.merge(probabilities)[lambda rows: rows["condition"] == "spinal_canal_stenosis"]
    if spinal.empty:
        assert "any_severe_spinal" not in parts
        return
    worst = spinal.groupby("study_id").agg({"grade": "max", "severe": "max"})
    weight = worst["grade"].map({0: 1, 1: 2, 2: 4})
    expected = log_loss(worst["grade"] == 2, worst["severe"], sample_weight=weight, labels=[False, True])
    assert parts["any_severe_spinal"] == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2), st.integers(0, 2), st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_grades_weigh_as_the_task_says(first: int, second: int, p: float, q: float) -> None:
    weights = (3.0, 1.0, 5.0)
    task = DISC.model_copy(update={"grade_weights": weights})
    truth = table([(1, "disc_degeneration", "L1/L2", first), (2, "disc_degeneration", "L1/L2", second)], ["grade"])
    rows = np.tile([[(1 - p) / 2], [(1 - q) / 2]], 3)
    rows[0, first], rows[1, second] = p, q
    expected = (weights[first] * -log(p) + weights[second] * -log(q)) / (weights[first] + weights[second])
    assert official_score(task, truth, predict(truth, rows)).total == pytest.approx(expected)


TRUTH = table([(1, "disc_degeneration", "L1/L2", 2), (2, "disc_degeneration", "L5/S1", 0)], ["grade"])
UNIFORM = predict(TRUTH, np.full((2, 3), 1 / 3))


def test_missing_predictions_are_counted_and_the_first_is_named() -> None:
    with pytest.raises(
        InputError,
        match=r"^1 of 2 labelled cells have no prediction, the first is study 2 disc_degeneration L5/S1; "
        r"predict every labelled cell$",
    ):
        official_score(DISC, TRUTH, UNIFORM.iloc[:1])


@pytest.mark.parametrize(
    ("truth", "probabilities", "message"),
    [
        (TRUTH.iloc[:0], UNIFORM, "there are no labelled cells to score; give studies with grades"),
        (
            TRUTH,
            pd.concat([UNIFORM, UNIFORM]),
            "the predictions name study 1 disc_degeneration L1/L2 twice; remove one of the rows",
        ),
        (
            pd.concat([TRUTH, TRUTH.iloc[1:]]),
            UNIFORM,
            "the labels name study 2 disc_degeneration L5/S1 twice; remove one of the rows",
        ),
        (TRUTH.assign(grade=[0, 3]), UNIFORM, "study 2 disc_degeneration L5/S1 has grade 3; grades are 0 to 2"),
        (
            TRUTH,
            UNIFORM.assign(severe=[1 / 3, np.nan]),
            "study 2 disc_degeneration L5/S1 has the probabilities 0.3333, 0.3333, nan; "
            "they must be at least 0 and their sum must be 1",
        ),
        (
            TRUTH,
            UNIFORM.assign(severe=[0.5, 1 / 3]),
            "study 1 disc_degeneration L1/L2 has the probabilities 0.3333, 0.3333, 0.5; "
            "they must be at least 0 and their sum must be 1",
        ),
        (
            TRUTH.assign(condition="modic"),
            UNIFORM.assign(condition="modic"),
            "study 1 modic L1/L2 is not of task disc_degeneration, which has disc_degeneration",
        ),
    ],
)
def test_impossible_tables(truth: pd.DataFrame, probabilities: pd.DataFrame, message: str) -> None:
    with pytest.raises(InputError) as raised:
        official_score(DISC, truth, probabilities)
    assert str(raised.value) == message
