import numpy as np
from PIL import Image

from lumbargrade.phantom.montage import PANEL, save_montage


def test_montage_shows_six_different_panels(tmp_path):
    save_montage(tmp_path / "a.png")
    save_montage(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").stat().st_size < 400_000
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("L"), dtype=float)
    starts = [0, PANEL + 4, 2 * (PANEL + 4)]
    assert picture.shape == (2 * PANEL + 4, 3 * PANEL + 8)
    panels = [picture[top : top + PANEL, left : left + PANEL] for top in starts[:2] for left in starts]
    assert min(panel.std() for panel in panels) > 30
    for upper, lower in zip(panels[:3], panels[3:], strict=True):
        assert np.abs(upper - lower).mean() > 2
