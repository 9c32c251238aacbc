"""Whether what scanners compress can be decoded here: a tiny image in each encoding."""

import base64
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    MRImageStorage,
    RLELossless,
)

from lumbargrade.operations.doctor.findings import Finding

_SIDE = 8


@dataclass(frozen=True)
class Sample:
    """A compressed image of 8 x 8 pixels.

    Attributes:
        bits: Of a pixel.
        total: Sum of its pixels.
        frame: In base64.
    """

    bits: int
    total: int
    frame: str


_JPEG = Sample(
    8,
    4644,
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYU"
    "GBIUFRT/wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAACP/EABkQAAEFAAAAAAAAAAAAAAAAAAAFCCQxov/aAAgBAQAAPwA1pTVqh5P/2Q==",
)
_JPEG_LOSSLESS = Sample(16, 2097152, "/9j/wwALEAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABAAAAAAAAAAAAAP/Z")
_JPEG_LS = Sample(
    16,
    74592,
    "/9j/9wALEAAIAAgBAREA//gADQH//wASAEMBFABA/9oACAEBAAAAAKJMSYkxHkWQ6DlCJUSJGkShUCJWUJ9PJ1OLa0iRk6ysK6sqqiRsmU1JRUE9"
    "PSIkqctWrFixQkkVq1SpUqUBI1KlSpUKE+D/2Q==",
)
_JPEG_2000 = Sample(
    8,
    4632,
    "/0//UQApAAAAAAAIAAAACAAAAAAAAAAAAAAACAAAAAgAAAAAAAAAAAABBwEB/1IADAAAAAEAAAQEAAH/XAAEQED/ZAAlAAFDcmVhdGVkIGJ5IE9w"
    "ZW5KUEVHIHZlcnNpb24gMi41LjT/kAAKAAAAAABFAAH/k9+BoBIrZxGoV4XCiFoB9J0TTBvLLQ86l4KgBnSVoX9BCUhYvaBrUIG5NxbLW8lOT5Vf"
    "u7F9N0H/2Q==",
)
_RLE = Sample(
    16,
    74592,
    "AgAAAEAAAABgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAPoAAAH7Af8C/AL+A/0D/QT+BPwF"
    "/wX7BgAG+gf6CAAJBwAlSm+Uud4DByhNcpe84QYrB1B1mr/kCS5TB3idwucMMVZ7B6DF6g80WX6jB8jtEjdcgabLB/AVOl+Eqc7zBxg9Yoes0fYb",
)
SAMPLES: dict[UID, Sample] = {
    JPEGBaseline8Bit: _JPEG,
    JPEGExtended12Bit: _JPEG,
    JPEGLossless: _JPEG_LOSSLESS,
    JPEGLosslessSV1: _JPEG_LOSSLESS,
    JPEGLSLossless: _JPEG_LS,
    JPEGLSNearLossless: _JPEG_LS,
    JPEG2000Lossless: _JPEG_2000,
    JPEG2000: _JPEG_2000,
    RLELossless: _RLE,
}


def check_decoders() -> Iterator[Finding]:
    """Decodes each sample, and inflates one, as deflated files are."""
    failed = [syntax.name for syntax, sample in SAMPLES.items() if not _decodes(syntax, sample)]
    if not _inflates():
        failed.append("Deflated Explicit VR Little Endian")
    if failed:
        yield Finding.problem(
            "decoder-missing",
            f"images in these encodings cannot be decoded here: {', '.join(failed)}",
            "install Lumbargrade again with its decoders (pylibjpeg[all], pyjpegls)",
        )
    else:
        yield Finding.ok("decoders", f"a sample in each of {len(SAMPLES) + 1} encodings was decoded")


def _decodes(syntax: UID, sample: Sample) -> bool:
    try:
        return int(pixel_array(_dataset(syntax, sample), raw=True).sum()) == sample.total
    except Exception:  # a decoder that is missing or broken raises what it likes
        return False


def _dataset(syntax: UID, sample: Sample) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = MRImageStorage
    dataset.Rows = dataset.Columns = _SIDE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = sample.bits
    dataset.HighBit, dataset.PixelRepresentation = sample.bits - 1, 0
    dataset.PixelData = encapsulate([base64.b64decode(sample.frame)])
    dataset["PixelData"].is_undefined_length = True
    return dataset


def _inflates() -> bool:
    try:
        return zlib.decompress(base64.b64decode("K0ktLgEA"), wbits=-zlib.MAX_WBITS) == b"test"
    except zlib.error:
        return False
