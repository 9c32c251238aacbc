import numpy as np
import pytest

from lumbargrade.dataset.phantom.anatomy import FIRST_GRADED, build_spine
from lumbargrade.dataset.phantom.severity import draw_severity
from lumbargrade.task import load_task

SEEDS = range(40)


def spine(seed):
    rng = np.random.default_rng(seed)
    return build_spine(rng, draw_severity(rng, load_task("rsna2024")))


@pytest.mark.parametrize("seed", SEEDS)
def test_disc_frames_are_orthonormal_and_point_left_back_and_down(seed):
    made = spine(seed)
    frames = np.stack([made.lateral, made.posterior, made.down], axis=1)
    np.testing.assert_allclose(frames @ frames.transpose(0, 2, 1), np.tile(np.eye(3), (13, 1, 1)), atol=1e-9)
    assert (made.lateral[:, 0] > 0.9).all()
    assert (made.posterior[:, 1] > 0).all()
    assert (made.down[:, 2] < 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_levels_follow_each_other_down_the_spine(seed):
    made = spine(seed)
    heights = [made.canal_point(level)[2] for level in range(5)]
    gaps = -np.diff(heights)
    assert ((gaps > 15) & (gaps < 48)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_left_is_on_the_patients_left_and_canal_is_behind_the_disc(seed):
    made = spine(seed)
    for level in range(5):
        canal = made.canal_point(level)
        assert canal[1] > made.centre[FIRST_GRADED + level, 1] + 10
        for place in (made.foramen_point, made.recess_point):
            left, right = place(level, 1), place(level, -1)
            assert left[0] > canal[0] + 4 and right[0] < canal[0] - 4
        assert made.foramen_point(level, 1)[0] > made.recess_point(level, 1)[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_lumbar_spine_is_lordotic_and_ends_in_a_tilted_sacrum(seed):
    made = spine(seed)
    tilt = np.degrees(np.arctan2(made.posterior[:, 2], made.posterior[:, 1]))
    assert tilt[FIRST_GRADED + 4] - tilt[FIRST_GRADED] > 10
    assert 5 < tilt[FIRST_GRADED + 4] < 65
