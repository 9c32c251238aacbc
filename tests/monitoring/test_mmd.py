"""The statistic is the published one, whatever is drawn."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lumbargrade.config.params import WatchParams
from lumbargrade.monitoring.mmd import Family, follow, measure_null


def table(rng: np.random.Generator, rows: int, shift: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame(rng.standard_normal((rows, 3)) + shift, columns=list("abc"))


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(5, 20), st.integers(2, 6))
def test_discrepancy_is_the_unbiased_estimator(seed: int, size: int, window: int) -> None:
    rng = np.random.default_rng(seed)
    family = Family.of(table(rng, size), table(rng, window + 3))
    found = family.discrepancy(window)
    assert len(found) == 4
    kernel = family.kernel
    for look in range(4):
        inside = np.arange(size + look, size + look + window)
        one, other = kernel[:size, :size], kernel[np.ix_(inside, inside)]
        wanted = (
            (one.sum() - np.trace(one)) / (size * (size - 1))
            + (other.sum() - np.trace(other)) / (window * (window - 1))
            - 2 * kernel[np.ix_(inside, np.arange(size))].mean()
        )
        assert_allclose(found[look], wanted, atol=1e-10)


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_a_replay_of_the_reference_itself_is_what_the_stream_would_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    usual = table(rng, 12)
    drawn = rng.integers(12, size=9)
    family = Family.of(usual, usual.iloc[drawn])
    assert_allclose(family.null(np.arange(12)[None], drawn[None], 5)[0], family.discrepancy(5), atol=1e-10)


def test_units_and_unknown_numbers_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    usual, later = table(rng, 40), table(rng, 20, 1.0)
    heights = Family.of(usual, later).discrepancy(10)
    scaled = Family.of(usual * 1000 + 5, later * 1000 + 5).discrepancy(10)
    assert_allclose(heights, scaled, atol=1e-9)
    with_nothing = Family.of(usual.assign(d=np.nan), later.assign(d=2.0)).discrepancy(10)
    assert_allclose(heights, with_nothing, atol=1e-12)


def test_alarms_on_undrifted_streams_are_as_rare_as_asked() -> None:
    params = WatchParams(window=10, horizon=60, false_alarms=0.05, replays=400)
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        families = {"a": Family.of(table(rng, 60), table(rng, 60)), "b": Family.of(table(rng, 60), table(rng, 60))}
        course = follow(families, measure_null(families, params, seed), params.window)
        alarms += bool((course.heights > course.threshold).any())
    assert alarms <= 8  # at 5 % more would come once in 100 times


def test_chance_falls_as_the_height_rises() -> None:
    rng = np.random.default_rng(3)
    params = WatchParams(window=10, horizon=60, false_alarms=0.05, replays=400)
    families = {"a": Family.of(table(rng, 60), pd.concat([table(rng, 40), table(rng, 20, 2.0)]))}
    course = follow(families, measure_null(families, params), params.window)
    order = np.argsort(course.heights[0])
    assert (np.diff(course.chances[0][order]) <= 0).all()
    assert course.chances[0, -1] == pytest.approx(1 / 401)
    assert (course.chances[0][course.heights[0] > course.threshold] <= 0.05 + 1 / 401).all()
    assert abs(families["a"].since(59, 10) - 40) <= 2
