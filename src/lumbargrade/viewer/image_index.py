"""What is known of a study's images once they are decoded: the index of the raw slices in the spool."""

from typing import Literal

from lumbargrade.frozen import Frozen

Vector3 = tuple[float, float, float]
Plane = Literal["sagittal", "axial", "coronal"]
Weighting = Literal["T1", "T2", "STIR", "other"]


class SliceIndex(Frozen):
    """A slice.

    Attributes:
        sop_uid: Of the file that it is in; the frames of an enhanced file share it.
        frame: Number of the frame from 0; None for a file of one slice.
        origin_mm: Centre of the first pixel in DICOM's patient coordinates.
        row_dir: Unit vector in which x (the column index) grows.
        column_dir: Unit vector in which y (the row index) grows.
    """

    sop_uid: str
    frame: int | None
    origin_mm: Vector3
    row_dir: Vector3
    column_dir: Vector3


class SeriesIndex(Frozen):
    """Slices of one series that are scrolled through together, all of one orientation and shape.

    Attributes:
        id: Also the name of its file in the spool.
        key: How the model's answer calls the series.
        window: Centre and width, in the values of the file.
        pixel_mm: Distance between rows, then between columns.
        offset: The scanner's value is the file's value times ``scale`` plus this.
        geometry_known: Whether DICOM told where the slices lie.
        unreadable: Slices that could not be decoded and are left out.
    """

    id: str
    key: str = ""
    title: str
    plane: Plane
    weighting: Weighting
    rows: int
    columns: int
    window: tuple[float, float]
    pixel_mm: tuple[float, float]
    offset: float
    scale: float
    geometry_known: bool
    unreadable: int
    slices: tuple[SliceIndex, ...]

    @property
    def slice_bytes(self) -> int:
        """Size of a slice in the file."""
        return self.rows * self.columns * 2


class Identifiers(Frozen):
    """Who the patient is; only kept where the organisation wants it shown."""

    patient_name: str
    patient_id: str
    birth_date: str
    study_date: str
    accession_number: str


class StudyIndex(Frozen):
    """A study's images.

    Attributes:
        study_uid: StudyInstanceUID, empty if there is none; never shown.
        archive: Name of the zip with its files.
        members: Where each image's file lies among those of the zip, by SOPInstanceUID.
    """

    study_uid: str
    series: tuple[SeriesIndex, ...]
    identifiers: Identifiers | None
    archive: str = "upload.zip"
    members: dict[str, int]
