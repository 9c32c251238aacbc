import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lumbargrade.config.params import SplitParams
from lumbargrade.errors import InputError
from lumbargrade.preprocessing.split.groups import study_groups
from lumbargrade.preprocessing.split.split import HOLDOUT, check_split, in_holdout, split_studies

NOBODY = pd.DataFrame(columns=["study_id", "patient_id"])


def cells(studies: list[int]) -> pd.DataFrame:
    rows = [
        (study, group, (study + place) % 3) for study in studies for place, group in enumerate(["spinal", "foraminal"])
    ]
    return pd.DataFrame(rows, columns=["study_id", "group", "grade"]).astype({"grade": "Int8"})


ids = st.lists(st.integers(1, 10**9), min_size=30, max_size=60, unique=True)


@given(ids, st.integers(0, 5), st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_every_study_is_on_exactly_one_side(studies: list[int], seed: int, folds: int) -> None:
    table = split_studies(cells(studies), SplitParams(holdout=0.3, folds=folds, seed=seed))
    assert table["study_id"].tolist() == sorted(studies)
    assert set(table["fold"]) <= {HOLDOUT, *range(folds)}
    kept = table[table["fold"] != HOLDOUT]
    sizes = kept["fold"].value_counts()
    assert len(sizes) == folds
    assert sizes.max() - sizes.min() <= max(3, len(kept) // 3)


@given(ids, ids)
@settings(max_examples=25, deadline=None)
def test_the_holdout_stays_when_the_dataset_grows(first: list[int], more: list[int]) -> None:
    params = SplitParams(holdout=0.3, folds=2)
    small = split_studies(cells(first), params).set_index("study_id")["fold"]
    large = split_studies(cells(sorted({*first, *more})), params).set_index("study_id")["fold"]
    for study in first:
        assert (small[study] == HOLDOUT) == (large[study] == HOLDOUT)


@given(st.integers(1, 10**10), st.floats(0, 0.99), st.floats(0, 0.99))
def test_a_larger_share_only_adds_studies(study: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert in_holdout(study, low) <= in_holdout(study, high)


@pytest.mark.parametrize(
    "rare",
    [
        [("spinal", 1), ("spinal", 2), ("spinal", 2), ("spinal", 1)],
        [("spinal", 0), ("foraminal", 0), ("foraminal", 1), ("subarticular", 2)],
    ],
)
def test_groups_and_grades_rarer_than_the_folds_are_split_without_a_warning(rare: list[tuple[str, int]]) -> None:
    table = pd.DataFrame([(study, *cell) for study, cell in enumerate(rare)], columns=["study_id", "group", "grade"])
    folds = split_studies(table, SplitParams(holdout=0.0, folds=3))["fold"]
    assert set(folds) == {0, 1, 2}


def test_the_holdout_is_about_its_share() -> None:
    assert 0.18 < sum(in_holdout(study, 0.2) for study in range(5000)) / 5000 < 0.22


def test_the_same_data_give_the_same_folds_in_any_order() -> None:
    table = cells(list(range(100, 160)))
    params = SplitParams(folds=4, seed=3)
    assert split_studies(table, params).equals(split_studies(table.sample(frac=1, random_state=1), params))


def test_too_few_studies_are_told() -> None:
    with pytest.raises(InputError) as caught:
        split_studies(cells([1, 2, 3]), SplitParams(holdout=0.0, folds=4))
    assert str(caught.value) == (
        "3 labelled studies are left for 4 folds (0 of 3 are held out); add studies or lower split.folds"
    )


def test_an_empty_holdout_is_told() -> None:
    studies = [study for study in range(1, 200) if not in_holdout(study, 0.05)][:8]
    with pytest.raises(InputError, match=r"none of the 8 labelled studies falls into the frozen holdout"):
        split_studies(cells(studies), SplitParams(holdout=0.05, folds=2))


@given(ids, st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=12), st.floats(0, 0.4))
@settings(max_examples=25, deadline=None)
def test_a_group_is_never_divided(studies: list[int], links: list[tuple[int, int]], holdout: float) -> None:
    pairs = pd.DataFrame([(studies[a], studies[b]) for a, b in links], columns=["study_id", "other_study_id"])
    groups = study_groups(pairs, NOBODY)
    try:
        split = split_studies(cells(studies), SplitParams(holdout=holdout, folds=3), groups)
    except InputError as error:
        assume("frozen holdout" not in str(error))
        raise
    check_split(split, groups)
    folds = split.set_index("study_id")["fold"]
    for study, smallest in groups.items():
        assert folds[study] == folds[smallest]
        assert (folds[study] == HOLDOUT) == in_holdout(smallest, holdout)
    for study in set(studies) - set(groups):
        assert (folds[study] == HOLDOUT) == in_holdout(study, holdout)


@pytest.mark.parametrize(
    ("rows", "groups", "message"),
    [
        (
            [(1, 0), (2, 1), (2, HOLDOUT)],
            {},
            "the split leaks: study 2 in the holdout, study 2 in fold 1, which are the same study; remove split.csv and "
            "run again, so that it is made anew",
        ),
        (
            [(1, 0), (2, 1), (3, HOLDOUT)],
            {1: 1, 3: 1},
            "the split leaks: study 1 in fold 0, study 3 in the holdout, which are of one patient or "
            "near-duplicates of each other; remove "
            "split.csv and run again, so that it is made anew",
        ),
        (
            [(1, 0), (2, 1), (3, 2), (4, 0)],
            {1: 1, 2: 1, 3: 3, 4: 3},
            "the split leaks: study 1 in fold 0, study 2 in fold 1, which are of one patient or "
            "near-duplicates of each other (and 1 more "
            "such group); remove split.csv and run again, so that it is made anew",
        ),
    ],
)
def test_a_leak_is_told_by_its_studies(rows: list[tuple[int, int]], groups: dict[int, int], message: str) -> None:
    with pytest.raises(InputError) as caught:
        check_split(pd.DataFrame(rows, columns=["study_id", "fold"]), groups)
    assert str(caught.value) == message


def test_too_few_studies_because_they_are_duplicates_are_told() -> None:
    with pytest.raises(InputError) as caught:
        split_studies(cells([1, 2, 3]), SplitParams(holdout=0.0, folds=3), {1: 1, 3: 1})
    assert str(caught.value) == (
        "2 labelled studies are left for 3 folds (0 of 3 are held out; a patient's studies and "
        "near-duplicates count as one); add studies or "
        "lower split.folds"
    )
