"""Encodes a file's pixels, without loss, as one of the transfer syntaxes that scanners and archives use."""

import numpy as np
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate

from lumbargrade.phantom.lossless_jpeg import encode_lossless_jpeg

TRANSFER_SYNTAXES: dict[str, uid.UID] = {
    "explicit": uid.ExplicitVRLittleEndian,
    "implicit": uid.ImplicitVRLittleEndian,
    "deflated": uid.DeflatedExplicitVRLittleEndian,
    "rle": uid.RLELossless,
    "jpeg-lossless": uid.JPEGLosslessSV1,
    "jpeg-ls": uid.JPEGLSLossless,
    "jpeg-2000": uid.JPEG2000Lossless,
}


def encode_pixels(dataset: Dataset, encoding: str) -> None:
    """Encodes a dataset whose pixels are plain; its File Meta Information says how.

    Args:
        encoding: One of :data:`TRANSFER_SYNTAXES`.
    """
    syntax = TRANSFER_SYNTAXES[encoding]
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    if syntax == uid.JPEGLosslessSV1:
        _encode_lossless_jpeg(dataset)
    elif syntax.is_encapsulated:
        dataset.compress(syntax, generate_instance_uid=False)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax


def _encode_lossless_jpeg(dataset: Dataset) -> None:
    """Pydicom has no encoder of this one, which most archives have used for decades."""
    shape = (int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns))
    frames = np.frombuffer(dataset.PixelData, "<u2").reshape(shape)
    dataset.PixelData = encapsulate([encode_lossless_jpeg(frame, int(dataset.BitsStored)) for frame in frames])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = uid.JPEGLosslessSV1
