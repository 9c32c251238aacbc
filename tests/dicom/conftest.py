"""Writers of small DICOM files, whole and damaged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from lumbargrade.dicom.geometry import Plane
from lumbargrade.dicom.headers import SliceHeader
from lumbargrade.dicom.kind.image_kind import ImageKind

PATIENT = "SECRET^PERSON"


class Writer:
    """Writes files into one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def bytes(self, content: bytes, name: str = "1.dcm") -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def dataset(self, dataset: Dataset, name: str = "1.dcm", syntax: str = ExplicitVRLittleEndian) -> Path:
        """Writes with File Meta Information, in the encoding that ``dataset`` or ``syntax`` says."""
        if not hasattr(dataset, "file_meta"):
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = syntax
        path = self.folder / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    def image(
        self, pixels: NDArray[Any] | None = None, name: str = "1.dcm", syntax: str = ExplicitVRLittleEndian, **tags: Any
    ) -> Path:
        return self.dataset(image(ramp() if pixels is None else pixels, syntax, **tags), name, syntax)

    def compressed(self, dataset: Dataset, syntax: str, **options: Any) -> Path:
        return self.dataset(compress(dataset, syntax, **options))

    def encapsulated(self, stream: bytes, pixels: NDArray[Any], syntax: str, **tags: Any) -> Path:
        dataset = image(pixels, **tags)
        dataset.PixelData = encapsulate([stream])
        dataset["PixelData"].VR = "OB"
        return self.dataset(dataset, syntax=syntax)


def ramp(shape: tuple[int, int] = (6, 8)) -> NDArray[np.uint16]:
    """12-bit pixels, no two alike."""
    return (np.arange(shape[0] * shape[1], dtype=np.uint16) * 67 % 4096).reshape(shape)


def image(pixels: NDArray[Any], syntax: str = ExplicitVRLittleEndian, **tags: Any) -> Dataset:
    """A classic MR image with names of a patient; a tag of value None is left out."""
    dataset = Dataset()
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.PatientName, dataset.PatientID = PATIENT, "SECRET-ID"
    dataset.Modality, dataset.Manufacturer, dataset.SeriesDescription = "MR", "Maker", "T2 SAG"
    dataset.MagneticFieldStrength, dataset.InstanceNumber = "1.5", 1
    dataset.ImagePositionPatient = [1, 2, 3]
    dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    dataset.PixelSpacing, dataset.SliceThickness = [0.5, 0.75], 4
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = 12 if pixels.dtype == np.uint16 else dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    order = ">" if syntax == "1.2.840.10008.1.2.2" else "<"
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def compress(dataset: Dataset, syntax: str, **options: Any) -> Dataset:
    """Compresses in place."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.compress(syntax, generate_instance_uid=False, **options)
    return dataset


def group(**sequences: Dataset) -> Dataset:
    """One item of the functional groups: macro sequences by name, each with one item."""
    item = Dataset()
    for keyword, macro in sequences.items():
        setattr(item, keyword, [macro])
    return item


def macro(**tags: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


def enhanced(pixels: NDArray[Any]) -> Dataset:
    """An enhanced multi-frame file: axial frames 5 mm apart, each with its own rescale slope (frame number + 1)."""
    dataset = image(pixels, ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None)
    del dataset.SliceThickness
    dataset.SOPClassUID = EnhancedMRImageStorage
    dataset.NumberOfFrames = len(pixels)
    dataset.SharedFunctionalGroupsSequence = [
        group(
            PlaneOrientationSequence=macro(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
            PixelMeasuresSequence=macro(PixelSpacing=[0.6, 0.4], SliceThickness=5),
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        group(
            PlanePositionSequence=macro(ImagePositionPatient=[0, 0, 5.0 * frame]),
            PixelValueTransformationSequence=macro(RescaleSlope=frame + 1, RescaleIntercept=10),
        )
        for frame in range(len(pixels))
    ]
    return dataset


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def _value(difference: int) -> tuple[int, str]:
    """Category of a difference and its further bits (ITU-T T.81, tables F.1 and H.2)."""
    category = abs(difference).bit_length()
    if category in (0, 16):
        return category, ""
    return category, f"{difference if difference > 0 else difference + (1 << category) - 1:0{category}b}"


def _stream(
    frame: int, precision: int, shape: tuple[int, ...], tables: bytes, bits: str, scan: tuple[int, ...]
) -> bytes:
    """One grey scan; its Huffman table for differences has all 17 categories with codes of 5 bits."""
    rows, columns = shape
    size = bytes([precision]) + rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + bytes([1, 1, 0x11, 0])
    codes = _segment(0xC4, bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)]))
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    start = _segment(0xDA, bytes([1, 1, 0, *scan]))
    return b"\xff\xd8" + tables + _segment(frame, size) + codes + start + data + b"\xff\xd9"


def lossless_jpeg(pixels: NDArray[np.uint16]) -> bytes:
    """Lossless JPEG (ITU-T T.81, annex H) of 16 bits, predictor 1."""
    values = pixels.astype(np.int64)
    left = np.roll(values, 1, axis=1)
    left[1:, 0] = values[:-1, 0]
    left[0, 0] = 1 << 15
    differences = ((values - left + 32768) % 65536 - 32768).ravel().tolist()
    bits = "".join(f"{category:05b}{rest}" for category, rest in map(_value, differences))
    return _stream(0xC3, 16, pixels.shape, b"", bits, (1, 0, 0))


def extended_jpeg(blocks: NDArray[np.uint16]) -> bytes:
    """JPEG of 12 bits (ITU-T T.81, annex F, SOF1) of blocks of 8 x 8 equal pixels: (rows / 8, columns / 8)."""
    levels = 8 * (blocks.astype(np.int64) - 2048).ravel()
    bits = "".join(f"{category:05b}{rest}0" for category, rest in map(_value, np.diff(levels, prepend=0).tolist()))
    no_more = _segment(0xC4, bytes([0x10, 1, *[0] * 15, 0]))  # one code, of one bit: all else in the block is 0
    tables = _segment(0xDB, bytes([0, *[1] * 64])) + no_more
    return _stream(0xC1, 12, (8 * blocks.shape[0], 8 * blocks.shape[1]), tables, bits, (0, 63, 0))


def make_header(
    position: tuple[float, float, float] = (0, 0, 0),
    row: tuple[float, float, float] = (0, 1, 0),
    column: tuple[float, float, float] = (0, 0, -1),
    number: int | None = 1,
    shape: tuple[int, int] = (6, 8),
    spacing: tuple[float, float] = (1.0, 1.0),
    contrast: Any = None,
    **more: Any,
) -> SliceHeader:
    """A header that no file stands behind; sagittal if no directions are given."""
    plane = Plane(np.array(position, float), np.array(row, float), np.array(column, float), spacing, shape)
    values: dict[str, Any] = {
        "path": Path(f"{number}.dcm"), "frame": None, "study_uid": "1", "series_uid": "2", "sop_uid": "3",
        "instance_number": number, "series_description": "", "modality": "MR", "transfer_syntax": "",
        "thickness": None, "manufacturer": "", "field_strength": None,
    }  # fmt: skip
    return SliceHeader(plane=plane, kind=ImageKind(weighting=contrast), **(values | more))


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    return Writer(tmp_path)


@pytest.fixture(scope="session")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Writer:
    """One folder for all examples of a property."""
    return Writer(tmp_path_factory.mktemp("dicom"))


@pytest.fixture(scope="session")
def new_image() -> Callable[..., Dataset]:
    return image


@pytest.fixture(scope="session")
def new_enhanced() -> Callable[..., Dataset]:
    return enhanced


@pytest.fixture(scope="session")
def new_compressed() -> Callable[..., Dataset]:
    return compress


@pytest.fixture(scope="session")
def new_lossless_jpeg() -> Callable[[NDArray[np.uint16]], bytes]:
    return lossless_jpeg


@pytest.fixture(scope="session")
def new_extended_jpeg() -> Callable[[NDArray[np.uint16]], bytes]:
    return extended_jpeg


@pytest.fixture(scope="session")
def header() -> Callable[..., SliceHeader]:
    return make_header


@pytest.fixture
def pixels() -> NDArray[np.uint16]:
    return ramp((33, 40))  # JPEG 2000 needs this many
