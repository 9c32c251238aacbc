"""How bright each tissue is in each contrast, relative to the brightest, and the texture that no tissue lacks."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Contrast = Mapping[str, float]

T1: Contrast = {
    "air": 0.0, "fat": 0.95, "skin": 0.45, "muscle": 0.28, "marrow": 0.60, "cortex": 0.05, "ligament": 0.09,
    "flavum": 0.15, "annulus": 0.25, "nucleus": 0.30, "csf": 0.12, "cord": 0.33, "nerve": 0.28, "dura": 0.14,
    "vein": 0.30, "vessel": 0.05, "bowel": 0.33, "kidney": 0.36, "joint": 0.22, "fascia": 0.10, "protrusion": 0.22,
    "edema": 0.34,
}  # fmt: skip
T2: Contrast = {
    "air": 0.0, "fat": 0.68, "skin": 0.30, "muscle": 0.19, "marrow": 0.46, "cortex": 0.04, "ligament": 0.06,
    "flavum": 0.10, "annulus": 0.10, "nucleus": 0.62, "csf": 1.00, "cord": 0.40, "nerve": 0.30, "dura": 0.18,
    "vein": 0.62, "vessel": 0.05, "bowel": 0.34, "kidney": 0.48, "joint": 0.42, "fascia": 0.07, "protrusion": 0.15,
    "edema": 0.50,
}  # fmt: skip
STIR: Contrast = {
    "air": 0.0, "fat": 0.09, "skin": 0.16, "muscle": 0.22, "marrow": 0.15, "cortex": 0.03, "ligament": 0.06,
    "flavum": 0.09, "annulus": 0.10, "nucleus": 0.55, "csf": 1.00, "cord": 0.38, "nerve": 0.34, "dura": 0.25,
    "vein": 0.55, "vessel": 0.10, "bowel": 0.40, "kidney": 0.60, "joint": 0.45, "fascia": 0.06, "protrusion": 0.15,
    "edema": 0.45,
}  # fmt: skip

TEXTURE_SIZE = 128
_TEXTURE_SEED = 20240503


def varied(contrast: Contrast, rng: np.random.Generator) -> Contrast:
    """Returns the contrast as another scanner and other timings would give it: every tissue a few per cent off."""
    factors = np.exp(0.07 * rng.standard_normal(len(contrast)))
    return {tissue: value * factor for (tissue, value), factor in zip(contrast.items(), factors, strict=True)}


@lru_cache(maxsize=4)
def texture(name: str) -> NDArray[np.float32]:
    """Returns a periodic cube of noise with mean 0 and deviation 1, indexed [x, y, z].

    Args:
        name: ``grain`` for marrow, ``cloud`` for slow changes, ``fibre`` for muscle, drawn out along z.
    """
    power, stretch, cutoff = {"grain": (0.9, 1.0, 0.30), "cloud": (2.2, 1.0, 0.2), "fibre": (1.0, 7.0, 0.20)}[name]
    rng = np.random.default_rng([_TEXTURE_SEED, len(name), ord(name[0])])
    white = rng.standard_normal((TEXTURE_SIZE,) * 3).astype(np.float32)
    cross = np.fft.fftfreq(TEXTURE_SIZE)
    along = np.fft.rfftfreq(TEXTURE_SIZE) * stretch
    frequency = np.sqrt(cross[:, None, None] ** 2 + cross[None, :, None] ** 2 + along[None, None, :] ** 2)
    frequency[0, 0, 0] = 1.0
    gain = (frequency**-power * np.exp(-((frequency / cutoff) ** 2))).astype(np.float32)
    gain[0, 0, 0] = 0.0
    noise = np.fft.irfftn(np.fft.rfftn(white) * gain, s=white.shape, axes=(0, 1, 2))
    return np.asarray(noise / noise.std(), dtype=np.float32)


def sample_texture(
    name: str, points: tuple[NDArray[np.float32], ...], millimetres: float, shift: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Reads a texture at points in the patient, the nearest voxel.

    Args:
        points: x, y and z in mm; arrays that broadcast together.
        millimetres: Size of a voxel.
        shift: Of the whole texture in voxels, (3,), so that no two studies share their grain.
    """
    mask = TEXTURE_SIZE - 1
    x, y, z = (
        (np.floor(axis * np.float32(1.0 / millimetres)).astype(np.int32) + np.int32(offset)) & mask
        for axis, offset in zip(points, shift, strict=True)
    )
    return np.asarray(texture(name).ravel()[(x * TEXTURE_SIZE + y) * TEXTURE_SIZE + z])
