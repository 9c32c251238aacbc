import numpy as np
import pytest

from lumbargrade.config.task import load_task
from lumbargrade.phantom.anatomy import FIRST_GRADED, FIRST_SACRAL, PLANES, build_spine
from lumbargrade.phantom.severity import draw_severity

SEEDS = range(40)
SPINES = [(seed, 5) for seed in SEEDS] + [(seed, lumbar) for seed in range(10) for lumbar in (4, 6)]
THORACOLUMBAR = PLANES.index("T12/L1")


def spine(seed, lumbar=5):
    rng = np.random.default_rng(seed)
    return build_spine(rng, draw_severity(rng, load_task("rsna2024")), lumbar)


@pytest.mark.parametrize(("seed", "lumbar"), SPINES)
def test_disc_frames_are_orthonormal_and_point_left_back_and_down(seed, lumbar):
    made = spine(seed, lumbar)
    frames = np.stack([made.lateral, made.posterior, made.down], axis=1)
    np.testing.assert_allclose(frames @ frames.transpose(0, 2, 1), np.tile(np.eye(3), (13, 1, 1)), atol=1e-9)
    assert (made.lateral[:, 0] > 0.9).all()
    assert (made.posterior[:, 1] > 0).all()
    assert (made.down[:, 2] < 0).all()


@pytest.mark.parametrize(("seed", "lumbar"), SPINES)
def test_levels_follow_each_other_down_the_spine(seed, lumbar):
    made = spine(seed, lumbar)
    heights = [made.canal_point(level)[2] for level in range(5)]
    gaps = -np.diff(heights)
    assert ((gaps > 15) & (gaps < 48)).all()


@pytest.mark.parametrize(("seed", "lumbar"), SPINES)
def test_left_is_on_the_patients_left_and_canal_is_behind_the_disc(seed, lumbar):
    made = spine(seed, lumbar)
    for level in range(5):
        canal = made.canal_point(level)
        assert canal[1] > made.centre[FIRST_GRADED + level, 1] + 10
        for place in (made.foramen_point, made.recess_point):
            left, right = place(level, 1), place(level, -1)
            assert left[0] > canal[0] + 4 and right[0] < canal[0] - 4
        assert made.foramen_point(level, 1)[0] > made.recess_point(level, 1)[0]


@pytest.mark.parametrize(("seed", "lumbar"), SPINES)
def test_the_lumbar_spine_is_lordotic_and_ends_in_a_tilted_sacrum(seed, lumbar):
    made = spine(seed, lumbar)
    tilt = np.degrees(np.arctan2(made.posterior[:, 2], made.posterior[:, 1]))
    assert tilt[FIRST_GRADED + 4] - tilt[FIRST_GRADED] > 10
    assert 5 < tilt[FIRST_GRADED + 4] < 65


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("lumbar", [4, 6])
def test_a_vertebra_more_or_fewer_lies_between_t12_and_the_sacrum(seed, lumbar):
    made, usual = spine(seed, lumbar), spine(seed)
    assert made.first_lumbar == THORACOLUMBAR + 5 - lumbar and FIRST_SACRAL - made.first_lumbar == lumbar
    for name in ("width", "sac_depth", "pedicle", "pedicle_width"):
        one, other = getattr(made, name), getattr(usual, name)
        np.testing.assert_array_equal(one[FIRST_SACRAL - 1 :], other[FIRST_SACRAL - 1 :])
        above = min(made.first_lumbar, THORACOLUMBAR)
        np.testing.assert_array_equal(
            one[made.first_lumbar - above : made.first_lumbar + 2], other[THORACOLUMBAR - above : THORACOLUMBAR + 2]
        )
    assert made.conus - made.first_lumbar == pytest.approx(usual.conus - THORACOLUMBAR)

    def height(of):
        return np.linalg.norm(np.diff(of.centre[of.first_lumbar : FIRST_SACRAL + 1], axis=0), axis=1).sum()

    assert 25 < (height(made) - height(usual)) * (lumbar - 5) < 50


@pytest.mark.parametrize("lumbar", [4, 5, 6])
def test_levels_are_counted_up_from_the_sacrum(lumbar):
    made = spine(1, lumbar)
    assert made.place[FIRST_SACRAL] == PLANES.index("L5/S1") and made.place[made.first_lumbar] == THORACOLUMBAR
    for level in range(5):
        plane = FIRST_SACRAL - 4 + level
        for point in (made.canal_point(level), made.recess_point(level, 1), made.recess_point(level, -1)):
            assert (point - made.centre[plane]) @ made.down[plane] == pytest.approx(0, abs=1e-9)
