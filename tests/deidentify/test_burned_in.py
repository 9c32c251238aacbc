"""Letters in the margin are told from anatomy, on phantoms and on real spines."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lumbargrade.deidentify.burned_in import looks_lettered
from lumbargrade.dicom.headers import read_headers
from lumbargrade.dicom.pixels import read_stored


def lettered(image: np.ndarray) -> np.ndarray:
    mask = Image.new("1", image.shape[::-1])
    ImageDraw.Draw(mask).text((4, 4), "DOE JANE 1962", fill=1)
    return np.where(np.asarray(mask), image.max(), image)


def images(folder: Path) -> list[np.ndarray]:
    return [read_stored(read_headers(path)[0]) for path in sorted(folder.rglob("*.dcm"))]


@pytest.mark.parametrize("width", [1, 3])
def test_letters_are_seen_on_dark_ground(width: int) -> None:
    image = np.random.default_rng(0).integers(0, 20, (256, 256))
    image[100:120, 100:120] = 200
    assert looks_lettered(np.kron(lettered(image), np.ones((width, width), int)))
    assert not looks_lettered(np.kron(image, np.ones((width, width), int)))
    assert not looks_lettered(np.zeros((64, 64), int))


def test_phantoms_have_no_letters(phantom: Path) -> None:
    found = images(sorted((phantom / "train_images").iterdir())[0])
    assert not any(map(looks_lettered, found))
    assert sum(looks_lettered(lettered(image)) for image in found) > len(found) / 2


def test_real_spines_have_no_letters_until_they_are_written(spider: Path) -> None:
    found = images(spider / "train_images")
    assert not any(map(looks_lettered, found))
    assert sum(looks_lettered(lettered(image)) for image in found) > 0.9 * len(found)
