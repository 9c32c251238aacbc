"""Shapes of studies that real exports have, one a kind of fault, each with what is right.

A new shape is a function that changes an :class:`Export`, and a row in :data:`SHAPES`.
"""

import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    MediaStorageDirectoryStorage,
    MRSpectroscopyStorage,
    RawDataStorage,
    generate_uid,
)

from tests.faulty_decoders import add_fault
from tests.zips import tar_of, zip_of

from .exports import Export, Image, copy_tags

T1, T2, AXIAL = "Sagittal T1", "Sagittal T2/STIR", "Axial T2"
FORAMINA = ("left_neural_foraminal_narrowing", "right_neural_foraminal_narrowing")
CANAL = ("spinal_canal_stenosis",)
RECESSES = ("left_subarticular_stenosis", "right_subarticular_stenosis")

Rng = np.random.Generator


@dataclass(frozen=True)
class Shape:
    """A kind of fault, and the right answer.

    Attributes:
        apply: Changes the export.
        refused: Words of which one must be in the reason of the whole study's refusal; empty if it must be graded.
        apart: Whether each of several studies is graded by itself, wherever more than one can be answered.
        lost: Conditions that must not be graded at any level.
        may_lose: Conditions that may be refused at some levels, with a reason.
        notes: Words of which one must be in the notes, or in each lost cell's reason.
        untrue: Words of which none may be in the notes.
        same: Whether what is graded must be graded as it is without the fault.
        not_added: Words of which one is in the reason why ``dataset add`` leaves the study out, though it can be graded.
        loose: Whether the files can be sent by C-STORE and reported on: they are DICOM, each SOP instance is there once, and
            no UID is missing.
    """

    name: str
    apply: Callable[[Export, Rng], object]
    refused: tuple[str, ...] = ()
    apart: bool = False
    lost: tuple[str, ...] = ()
    may_lose: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    untrue: tuple[str, ...] = ()
    same: bool = True
    not_added: tuple[str, ...] = ()
    loose: bool = True


def _uid(*parts: object) -> str:
    return str(generate_uid(entropy_srcs=[str(part) for part in parts]))


# --- several studies, several patients


def _second_study(export: Export, rng: Rng) -> None:
    """Another exam of the same patient, a month later, with flat names."""
    study = _uid(export.study_id, "later")
    for number, image in enumerate(list(export.images)):
        tags = copy_tags(image.tags, StudyInstanceUID=study, SOPInstanceUID=_uid(study, number))
        tags.SeriesInstanceUID = _uid(study, image.tags.SeriesInstanceUID)
        tags.FrameOfReferenceUID = _uid(study, "frame")
        export.images.append(Image(image.kind, f"B{number:04}", tags))
    for number, image in enumerate(export.images):
        image.name = f"I{number:04}"


def _late_slice(export: Export, rng: Rng) -> None:
    """One slice of another study slipped in."""
    image = export.of(T2)[int(rng.integers(3))]
    tags = copy_tags(image.tags, StudyInstanceUID=_uid("stray"), SOPInstanceUID=_uid("stray", 1))
    export.images.append(Image(T2, "0/stray.dcm", tags))


def _two_patients(export: Export, rng: Rng) -> None:
    """A worklist slip: one study UID, the axial series of somebody else."""
    export.edit(AXIAL, lambda tags, number: setattr(tags, "PatientID", "SOMEBODY-ELSE"))


def _padded_patient(export: Export, rng: Rng) -> None:
    """One patient whose ID is padded in one series and missing in another."""
    export.edit(AXIAL, lambda tags, number: setattr(tags, "PatientID", f" {tags.PatientID} "))
    export.edit(T1, lambda tags, number: tags.__delattr__("PatientID"))


def _other_modality(export: Export, rng: Rng) -> None:
    """A CT of the same exam, axial, of which nothing may be graded."""
    for number, image in enumerate(export.of(AXIAL)):
        tags = copy_tags(image.tags, Modality="CT", SOPInstanceUID=_uid("ct", number))
        tags.SeriesInstanceUID = _uid("ct")
        tags.PixelData = tags.pixel_array[::-1, ::-1].astype("<u2").tobytes()
        export.images.append(Image("CT", f"ct/{number}", tags))


# --- geometry that is not there


def _drop(kind: str, *keywords: str) -> Callable[[Export, Rng], None]:
    def apply(export: Export, rng: Rng) -> None:
        images = export.of(kind)
        for keyword in keywords:
            for image in images:
                if keyword in image.tags:
                    delattr(image.tags, keyword)

    return apply


def _drop_spacing(export: Export, rng: Rng) -> None:
    for kind in (T1, T2):
        _drop(kind, "PixelSpacing")(export, rng)


def _zero_spacing(export: Export, rng: Rng) -> None:
    for kind in (T1, T2):
        export.edit(kind, lambda tags, number: setattr(tags, "PixelSpacing", [0, 0]))


def _set(kind: str, keyword: str, value: object) -> Callable[[Export, Rng], None]:
    return lambda export, rng: export.edit(kind, lambda tags, number: setattr(tags, keyword, value))


def _one_position(export: Export, rng: Rng) -> None:
    """All slices of the T1 claim one position."""
    first = export.of(T1)[0].tags.ImagePositionPatient
    for image in export.of(T1):
        image.tags.ImagePositionPatient = first


# --- slices that are lost


def _cut_files(export: Export, rng: Rng) -> None:
    for image in export.of(T1)[-4:]:
        image.raw = image.content()[:200]


def _remove_left(export: Export, rng: Rng) -> None:
    gone = export.of(T1)[-5:]
    export.images = [image for image in export.images if image not in gone]


def _remove_middle(export: Export, rng: Rng) -> None:
    """Two slices beside the midline of the T2, and two elsewhere in the axial series."""
    axial = export.of(AXIAL)
    start = int(rng.integers(2, len(axial) - 4))
    gone = [*axial[start : start + 2]]
    export.images = [image for image in export.images if image not in gone]


def _remove_every_second(export: Export, rng: Rng) -> None:
    gone = export.of(T1)[1::2]
    export.images = [image for image in export.images if image not in gone]


def _cut_pixels(export: Export, rng: Rng) -> None:
    for image in export.of(T1)[-4:]:
        image.raw = image.content()[: -len(image.tags.PixelData) // 2]


def _cut_pixels_inside(export: Export, rng: Rng) -> None:
    images = export.of(T2)
    for image in (images[1], images[-2]):
        image.raw = image.content()[: -len(image.tags.PixelData) // 2]


def _crash_inside(export: Export, rng: Rng) -> None:
    """Two slices that crash their decoder."""
    images = export.of(T2)
    for image, fault in ((images[1], "segfault"), (images[-2], "abort")):
        add_fault(image.tags, fault)


# --- several images at one place


def _derived_copies(export: Export, rng: Rng) -> None:
    for number, image in enumerate(export.of(T2)):
        pixels = image.tags.pixel_array
        inverted = (int(pixels.max()) - pixels.astype(np.int64)).astype("<u2")
        tags = copy_tags(image.tags, SOPInstanceUID=_uid("copy", export.study_id, number), PixelData=inverted.tobytes())
        tags.ImageType = ["DERIVED", "PRIMARY", "M", "FAT"]
        tags.InstanceNumber = int(image.tags.InstanceNumber) * 2 - (number % 2)
        image.tags.InstanceNumber = int(image.tags.InstanceNumber) * 2 - (1 - number % 2)
        export.images.append(Image("copy", image.name.replace(".dcm", "c.dcm"), tags))


def _second_echo(export: Export, rng: Rng) -> None:
    """A double echo: proton density and T2 in one series, at the same places."""
    for number, image in enumerate(export.of(T2)):
        image.tags.EchoNumbers = 2
        pixels = np.sqrt(image.tags.pixel_array.astype(np.float64)) * 30
        tags = copy_tags(
            image.tags, SOPInstanceUID=_uid("echo", number), PixelData=pixels.astype("<u2").tobytes(), EchoTime=15
        )
        tags.EchoNumbers = 1
        tags.InstanceNumber = int(image.tags.InstanceNumber) + 100
        export.images.append(Image("echo", image.name.replace(".dcm", "e.dcm"), tags))


def _two_times(export: Export, rng: Rng) -> None:
    """A repeated axial scan in one series, the second time with the patient turned over in the pixels."""
    for number, image in enumerate(export.of(AXIAL)):
        image.tags.TemporalPositionIdentifier = 1
        tags = copy_tags(image.tags, SOPInstanceUID=_uid("again", number))
        tags.PixelData = image.tags.pixel_array[:, ::-1].astype("<u2").tobytes()
        tags.TemporalPositionIdentifier, tags.InstanceNumber = 2, int(image.tags.InstanceNumber) + 500
        export.images.append(Image("repetition", image.name.replace(".dcm", "t.dcm"), tags))


def _exported_twice(export: Export, rng: Rng) -> None:
    export.images += [Image(image.kind, f"again/{image.name}", image.dataset) for image in list(export.images)]


# --- names and UIDs of series


def _numbered_folders(export: Export, rng: Rng) -> None:
    for number, image in enumerate(export.of(T1)):
        image.name = f"{1 + number % 2}/{1 + number // 2}.dcm"


def _thumbnails(export: Export, rng: Rng) -> None:
    for series, kind in enumerate((T1, T2, AXIAL)):
        for number, image in enumerate(export.of(kind)):
            image.name = f"{series}/{number}.dcm"
            export.images.insert(0, Image("jpeg", f"{series}/{number}.jpg", raw=b"\xff\xd8\xff\xe0" + bytes(500)))


def _one_folder(export: Export, rng: Rng) -> None:
    order = rng.permutation(len(export.images))
    for number, image in zip(order, export.images, strict=True):
        image.name = f"7/{number}.dcm"


def _uid_a_slice(export: Export, rng: Rng) -> None:
    for kind in (T1, T2, AXIAL):
        export.edit(kind, lambda tags, number: setattr(tags, "SeriesInstanceUID", _uid(tags.SOPInstanceUID)))


def _uid_a_slice_unnamed(export: Export, rng: Rng) -> None:
    """As above, from an anonymiser that took numbers and descriptions of series as well."""
    _uid_a_slice(export, rng)
    for kind in (T1, T2, AXIAL):
        _drop(kind, "SeriesNumber", "SeriesDescription", "ProtocolName")(export, rng)


def _one_uid(export: Export, rng: Rng) -> None:
    for kind in (T1, T2, AXIAL):
        export.edit(kind, lambda tags, number: setattr(tags, "SeriesInstanceUID", "1.2.3"))


def _no_series_uid(export: Export, rng: Rng) -> None:
    for kind in (T1, T2, AXIAL):
        _drop(kind, "SeriesInstanceUID")(export, rng)


# --- weightings that are not what they seem


def _flair(name: str) -> Callable[[Export, Rng], None]:
    def change(tags: Any, number: int) -> None:
        tags.SeriesDescription, tags.ScanningSequence = name, ["SE", "IR"]
        tags.RepetitionTime, tags.EchoTime, tags.InversionTime = 2200, 24, 860

    return lambda export, rng: export.edit(T1, change)


def _localizer(name: str, alone: bool) -> Callable[[Export, Rng], None]:
    """A sagittal gradient echo of thick slices, which looks like a T1; beside the proper one or in its place."""

    def apply(export: Export, rng: Rng) -> None:
        proper = export.of(T1)
        for number, image in enumerate(proper[::2]):
            tags = copy_tags(image.tags, SOPInstanceUID=_uid("loc", number), SeriesDescription=name)
            tags.SeriesInstanceUID, tags.SeriesNumber = _uid("loc", export.study_id), 91
            tags.ScanningSequence, tags.RepetitionTime, tags.EchoTime = "GR", 9, 4
            tags.SliceThickness, tags.ProtocolName = 8, name
            export.images.append(Image("localizer", f"loc/{number}", tags))
        if alone:
            export.images = [image for image in export.images if image not in proper]

    return apply


def _word_in_name(word: str) -> Callable[[Export, Rng], None]:
    return lambda export, rng: export.edit(
        AXIAL, lambda tags, number: setattr(tags, "SeriesDescription", f"T2 TSE TRA {word}")
    )


def _beside(kind: str, name: str, **changes: Any) -> Callable[[Export, Rng], None]:
    """A series of another weighting at the same places: copies of one, under tags that say so."""

    def apply(export: Export, rng: Rng) -> None:
        for number, image in enumerate(export.of(kind)):
            tags = copy_tags(image.tags, SOPInstanceUID=_uid(name, export.study_id, number), SeriesNumber=60, **changes)
            tags.SeriesInstanceUID, tags.SeriesDescription = _uid(name, export.study_id), name
            export.images.insert(0, Image(name, f"00{name.replace(' ', '')}/{number}.dcm", tags))

    return apply


# --- containers


def _foreign_files(export: Export, rng: Rng) -> None:
    """What lies on a CD beside the images: its viewer, letters, previews, and what systems leave in folders."""
    jar = zip_of({"META-INF/MANIFEST.MF": b"Main-Class: Viewer", "Viewer.class": b"\xca\xfe\xba\xbe" * 50})
    for name, content in {
        "AUTORUN.INF": b"[autorun]\r\nopen=viewer.exe", "VIEWER/viewer.exe": b"MZ" + bytes(3000), "VIEWER/viewer.jar": jar,
        "Befund.docx": zip_of({"word/document.xml": b"<w:document/>"}), "INDEX.HTM": b"<html></html>",
        "Vorschau/1.jpg": b"\xff\xd8\xff\xe0" + bytes(900), "desktop.ini": b"[.ShellClassInfo]", ".DS_Store": b"\0\0\0\1Bud1",
        "0/._1.dcm": b"\x00\x05\x16\x07" + bytes(120), "Report.pdf": b"%PDF-1.4", "0/Thumbs.db": b"\xd0\xcf\x11\xe0",
        "empty": b"", "setup.gz": gzip.compress(b"no tar"),
    }.items():  # fmt: skip
        export.images.insert(int(rng.integers(len(export.images))), Image("foreign", name, raw=content))


def _cd(export: Export, rng: Rng) -> None:
    """A CD as scanners write it: DICOMDIR, names of 8 letters without an ending, a viewer, umlauts in what people name."""
    for number, image in enumerate(list(export.images)):
        image.name = f"Übung Müller-Lüdenscheidt/DICOM/PAT00001/ST000001/SE{number % 7:06}/IM{number:06}"
    directory = Dataset()
    directory.FileSetID = "CD"
    directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    directory.DirectoryRecordSequence = Sequence([])
    directory.file_meta = FileMetaDataset()
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    directory.file_meta.MediaStorageSOPInstanceUID = _uid(export.study_id, "directory")
    directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    directory.preamble = b"\0" * 128
    export.images.insert(0, Image("DICOMDIR", "Übung Müller-Lüdenscheidt/DICOMDIR", raw=_bytes_of(directory)))
    _foreign_files(export, rng)


def _bytes_of(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _cd_of_two_exams(export: Export, rng: Rng) -> None:
    _second_study(export, rng)
    _cd(export, rng)


def _zip_in_zip(export: Export, rng: Rng) -> None:
    packed = zip_of({image.name: image.content() for image in export.images})
    export.images = [Image("zip", "Export/Studie.dat", raw=packed)]


def _two_zips(export: Export, rng: Rng) -> None:
    """One exam in two zips, as a portal sends it in parts."""
    half = len(export.images) // 2
    parts = (export.images[:half], export.images[half:])
    packed = [zip_of({image.name: image.content() for image in part}) for part in parts]
    export.images = [Image("zip", f"part{number}.zip", raw=data) for number, data in enumerate(packed)]


def _tar_in_zip(export: Export, rng: Rng) -> None:
    packed = tar_of({f"{'lang' * 50}/{image.name}": image.content() for image in export.images}, "w:gz")
    _foreign_files(export, rng)
    export.images = [*(image for image in export.images if image.kind == "foreign"), Image("tar", "x.bin", raw=packed)]


def _long_names(export: Export, rng: Rng) -> None:
    for number, image in enumerate(export.images):
        image.name = f"{'Wirbelsäule ' * 18}/{'画像' * 30}/{'n' * 200}{number}.dcm"


# --- instances, days and parts of the body


def _same_instance_differs(export: Export, rng: Rng) -> None:
    """Three files have the SOPInstanceUID and the place of others, and show something else."""
    for image in export.of(T2)[2:5]:
        tags = copy_tags(image.tags)
        tags.PixelData = image.tags.pixel_array[::-1, ::-1].astype("<u2").tobytes()
        export.images.append(Image("other pixels", image.name.replace(".dcm", "c.dcm"), tags))


def _series_under_another_uid(export: Export, rng: Rng) -> None:
    """The axial series sent again under another SeriesInstanceUID, its instances under their own."""
    for image in export.of(AXIAL):
        tags = copy_tags(image.tags, SeriesInstanceUID=_uid(export.study_id, "again"), SeriesNumber=77)
        export.images.append(Image("again", f"again/{image.name}", tags))


def _two_days(export: Export, rng: Rng) -> None:
    export.edit(AXIAL, lambda tags, number: setattr(tags, "StudyDate", "20010203"))


def _other_parts(named: bool) -> Callable[[Export, Rng], None]:
    """A whole-spine exam in three parts: neck and thorax in series of their own, 200 and 400 mm above."""

    def apply(export: Export, rng: Rng) -> None:
        for part, name in enumerate(("BWS", "HWS"), start=1):
            for kind in (T1, T2):
                for number, image in enumerate(export.of(kind)):
                    tags = copy_tags(image.tags, SOPInstanceUID=_uid(name, kind, number))
                    tags.SeriesInstanceUID, tags.SeriesNumber = _uid(export.study_id, name, kind), 50 + part
                    tags.SeriesDescription = f"{name} {tags.SeriesDescription}" if named else "sag"
                    position = [float(value) for value in tags.ImagePositionPatient]
                    tags.ImagePositionPatient = [*position[:2], position[2] + 200 * part]
                    export.images.append(Image(name, f"{name}{part}/{kind[:11]}{number}", tags))

    return apply


def _renamed(kind: str, **changes: Any) -> Callable[[Export, Rng], None]:
    def change(tags: Any, number: int) -> None:
        for keyword, value in changes.items():
            setattr(tags, keyword, value)

    return lambda export, rng: export.edit(kind, change)


_STIR_TIMES: dict[str, Any] = {
    "RepetitionTime": 4000, "EchoTime": 48, "InversionTime": 150, "ScanningSequence": "IR", "MagneticFieldStrength": 1.5,
}  # fmt: skip


def _untold(export: Export, rng: Rng) -> None:
    """No tag and no name tells any weighting."""
    told = ("SeriesDescription", "ProtocolName", "EchoTime", "RepetitionTime", "InversionTime", "ScanningSequence",
            "SequenceName", "EchoTrainLength", "FlipAngle", "ImageType")  # fmt: skip
    for kind in (T1, T2, AXIAL):
        _drop(kind, *told)(export, rng)


def _composed(export: Export, rng: Rng) -> None:
    """A whole spine in one tall image, put together of three."""
    for kind in (T1, T2):
        for image in export.of(kind):
            tags, pixels = image.tags, image.tags.pixel_array
            above = rng.integers(0, max(int(pixels.max()) // 3, 1), (pixels.shape[0], pixels.shape[1]))
            spacing = float(tags.PixelSpacing[0])
            step = np.array([float(value) for value in tags.ImageOrientationPatient[3:]]) * spacing * above.shape[0]
            tags.ImagePositionPatient = [
                float(p) - float(s) for p, s in zip(tags.ImagePositionPatient, step, strict=True)
            ]
            tags.PixelData = np.vstack([above, pixels]).astype("<u2").tobytes()
            tags.Rows = 2 * pixels.shape[0]


def _few_slices(export: Export, rng: Rng) -> None:
    middle = len(export.of(T1)) // 2
    kept = export.of(T1)[middle - 1 : middle + 2]
    export.images = [image for image in export.images if image.kind != T1 or image in kept]


# --- what else exports hold: tags as programs write them, pixels, objects without images


def _write(kind: str, keyword: str, value: Callable[[Dataset, int], bytes]) -> Callable[[Export, Rng], None]:
    """Writes a tag's bytes as no toolkit would; the second argument is the image's number in its series."""

    def apply(export: Export, rng: Rng) -> None:
        for number, image in enumerate(export.of(kind)):
            tags, content = copy_tags(image.tags), value(image.tags, number)
            content += b" " * (len(content) % 2)
            tag = Tag(keyword)
            tags[tag] = RawDataElement(tag, dictionary_VR(tag), len(content), content, 0, False, True)
            image.raw = _bytes_of(tags)

    return apply


def _with_commas(tags: Dataset, number: int) -> bytes:
    return "\\".join(f"{float(value):.6g}" for value in tags.PixelSpacing).replace(".", ",").encode()


def _count_in_text(export: Export, rng: Rng) -> None:
    for kind in (T1, T2, AXIAL):
        _write(kind, "InstanceNumber", lambda tags, number: f"{number + 1}/20".encode())(export, rng)


def _stored_otherwise(export: Export, rng: Rng) -> None:
    """Sagittal images with their columns and rows exchanged, axial ones from the other end; positions and directions say so."""
    for kind in (T1, T2):
        for image in export.of(kind):
            tags, pixels = image.tags, image.tags.pixel_array.T
            cosines = list(tags.ImageOrientationPatient)
            tags.ImageOrientationPatient = cosines[3:] + cosines[:3]
            tags.PixelSpacing = list(tags.PixelSpacing)[::-1]
            tags.Rows, tags.Columns = pixels.shape
            tags.PixelData = np.ascontiguousarray(pixels).astype("<u2").tobytes()
    for image in export.of(AXIAL):
        tags, (rows, columns) = image.tags, image.plane.shape
        corner = image.plane.to_patient(np.array([columns - 1, rows - 1]))
        tags.ImagePositionPatient = [float(value) for value in corner]
        tags.ImageOrientationPatient = [-float(value) for value in tags.ImageOrientationPatient]
        tags.PixelData = tags.pixel_array[::-1, ::-1].astype("<u2").tobytes()


def _unplaced_slice(export: Export, rng: Rng) -> None:
    """One slice in the midst of the T1 does not say how it lies."""
    del export.of(T1)[6].tags.ImageOrientationPatient


def _numbers_anew(export: Export, rng: Rng) -> None:
    """Each block of the axial series counts from 1."""
    for block in np.array_split(np.array(export.of(AXIAL), dtype=object), 5):
        for number, image in enumerate(block, start=1):
            image.tags.InstanceNumber = number


def _series_a_disc(export: Export, rng: Rng) -> None:
    """Each block of the axial series is a series of its own."""
    _numbers_anew(export, rng)
    for disc, block in enumerate(np.array_split(np.array(export.of(AXIAL), dtype=object), 5)):
        for image in block:
            image.tags.SeriesInstanceUID, image.tags.SeriesNumber = _uid(export.study_id, "disc", disc), 30 + disc


def _slice_of_another_patient(export: Export, rng: Rng) -> None:
    export.of(T2)[2].tags.PatientID = "SOMEBODY-ELSE"


def _low_is_bright(tags: Any, number: int) -> None:
    highest = 2 ** int(tags.BitsStored) - 1
    tags.PixelData = (highest - tags.pixel_array.astype(np.int64)).astype("<u2").tobytes()
    tags.PhotometricInterpretation = "MONOCHROME1"


def _below_zero(tags: Any, number: int) -> None:
    tags.PixelData = (tags.pixel_array.astype(np.int64) - 500).astype("<i2").tobytes()
    tags.PixelRepresentation, tags.BitsStored, tags.HighBit = 1, 16, 15
    tags.RescaleIntercept, tags.RescaleSlope = 500, 1


def _padded(tags: Any, number: int) -> None:
    """A frame around the image that is as far below it as can be."""
    pixels = np.pad(tags.pixel_array.astype(np.int64), 40, constant_values=-32768)
    row, column = np.array(tags.ImageOrientationPatient, dtype=float).reshape(2, 3)
    corner = np.array(tags.ImagePositionPatient, dtype=float)
    corner -= 40 * (float(tags.PixelSpacing[1]) * row + float(tags.PixelSpacing[0]) * column)
    tags.ImagePositionPatient = [float(value) for value in corner]
    tags.Rows, tags.Columns = pixels.shape
    tags.PixelRepresentation, tags.BitsStored, tags.HighBit = 1, 16, 15
    tags.PixelData = pixels.astype("<i2").tobytes()
    tags.add_new("PixelPaddingValue", "SS", -32768)


def _in_colour(tags: Any, number: int) -> None:
    pixels = tags.pixel_array.astype(float)
    grey = (pixels / max(pixels.max(), 1) * 255).astype("u1")
    tags.PixelData = np.stack([grey] * 3, axis=-1).tobytes()
    tags.SamplesPerPixel, tags.PhotometricInterpretation, tags.PlanarConfiguration = 3, "RGB", 0
    tags.BitsAllocated, tags.BitsStored, tags.HighBit = 8, 8, 7


def _edited(kinds: tuple[str, ...], change: Callable[[Any, int], None]) -> Callable[[Export, Rng], None]:
    def apply(export: Export, rng: Rng) -> None:
        for kind in kinds:
            export.edit(kind, change)

    return apply


def _screenshots(export: Export, rng: Rng) -> None:
    """Three grey and three coloured screenshots in the series of the T2, which lie nowhere."""
    for number, image in enumerate(export.of(T2)[:6]):
        tags = copy_tags(image.tags, SOPInstanceUID=_uid("screen", number), InstanceNumber=900 + number)
        tags.ImageType = ["DERIVED", "SECONDARY"]
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            delattr(tags, keyword)
        if number % 2:
            _in_colour(tags, number)
        else:
            tags.PixelData = (tags.pixel_array // 8 + 4000).astype("<u2").tobytes()
        export.images.append(Image("screenshot", f"screen/{number}.dcm", tags))


def _objects_beside(export: Export, rng: Rng) -> None:
    """What a PACS keeps beside the images: a report, key images, display settings, a PDF, raw data, a spectrum."""
    like = export.of(T2)[0].tags
    spectrum = {"Rows": 1, "Columns": 1, "SpectroscopyData": bytes(64)}
    for number, (kind, modality, more) in enumerate((
        (ComprehensiveSRStorage, "SR", {}), (KeyObjectSelectionDocumentStorage, "KO", {}),
        (GrayscaleSoftcopyPresentationStateStorage, "PR", {}),
        (EncapsulatedPDFStorage, "DOC", {"EncapsulatedDocument": b"%PDF-1.4 "}), (RawDataStorage, "MR", {}),
        (MRSpectroscopyStorage, "MR", spectrum),
    )):  # fmt: skip
        tags = Dataset()
        tags.file_meta, tags.preamble = FileMetaDataset(), bytes(128)
        tags.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        tags.file_meta.MediaStorageSOPClassUID = tags.SOPClassUID = kind
        tags.file_meta.MediaStorageSOPInstanceUID = tags.SOPInstanceUID = _uid("object", export.study_id, number)
        tags.SeriesInstanceUID, tags.SeriesNumber = _uid("objects", export.study_id, modality), 900 + number
        tags.StudyInstanceUID, tags.PatientID, tags.Modality = like.StudyInstanceUID, like.PatientID, modality
        for keyword, value in more.items():
            setattr(tags, keyword, value)
        export.images.insert(number, Image("object", f"objects/{number}", raw=_bytes_of(tags)))


def _enhanced_beside_classic(export: Export, rng: Rng) -> None:
    """The T2 is one enhanced file, the other series are classic ones."""
    images = export.of(T2)
    first = images[0].tags
    tags = copy_tags(first, SOPInstanceUID=_uid("enhanced", export.study_id), SOPClassUID=EnhancedMRImageStorage)
    tags.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    tags.NumberOfFrames, tags.InstanceNumber = len(images), 1
    tags.PixelData = b"".join(image.tags.pixel_array.astype("<u2").tobytes() for image in images)
    places = [_item(PlanePositionSequence={"ImagePositionPatient": i.tags.ImagePositionPatient}) for i in images]
    tags.PerFrameFunctionalGroupsSequence = Sequence(places)
    shared = _item(
        PlaneOrientationSequence={"ImageOrientationPatient": first.ImageOrientationPatient},
        PixelMeasuresSequence={"PixelSpacing": first.PixelSpacing, "SliceThickness": first.SliceThickness},
        MREchoSequence={"EffectiveEchoTime": float(first.EchoTime)},
        MRTimingAndRelatedParametersSequence={"RepetitionTime": first.RepetitionTime},
    )
    tags.SharedFunctionalGroupsSequence = Sequence([shared])
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "EchoTime"):
        delattr(tags, keyword)
    export.images = [image for image in export.images if image.kind != T2]
    export.images.append(Image(T2, "enhanced/1.dcm", raw=_bytes_of(tags)))
    export.kinds[tags.SOPInstanceUID] = T2


def _item(**groups: dict[str, Any]) -> Dataset:
    """A functional group of sequences of one item."""
    item = Dataset()
    for keyword, values in groups.items():
        inner = Dataset()
        for name, value in values.items():
            setattr(inner, name, value)
        setattr(item, keyword, Sequence([inner]))
    return item


def _trailing_bytes(export: Export, rng: Rng) -> None:
    """Files filled up to whole blocks, or with what was in them before."""
    for number, image in enumerate(export.images):
        content = image.content()
        image.raw = content + (rng.bytes(333) if number % 2 else bytes(512 + -len(content) % 512))


def _odd_zip(export: Export, rng: Rng) -> None:
    """A zip as a stream writes it, of the long form, with names that lead elsewhere."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, image in enumerate(export.images):
            name = f"{('/etc/', '../../', 'C:' + chr(92))[number % 3]}{image.name}"
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(image.content())
    export.images = [Image("zip", "study.zip", raw=buffer.getvalue())]


def _xz_in_zip(export: Export, rng: Rng) -> None:
    packed = tar_of({image.name: image.content() for image in export.of(AXIAL)}, "w:xz")
    export.images = [Image("tar", "study.tar.xz", raw=packed)]


_STUDIES = ("2 studies", "studies")
_PIXEL = ("size of a pixel", "pixel spacing", "pixel size")

SHAPES = (
    Shape("clean", lambda export, rng: None),
    Shape("two exams with flat names", _second_study, refused=_STUDIES, apart=True),
    Shape("one slice of another study", _late_slice, refused=_STUDIES, apart=True),
    Shape("two patients under one study", _two_patients, refused=("patient",)),
    Shape("a patient's ID padded and absent", _padded_patient),
    Shape("a CT beside", _other_modality, notes=("CT", "not MR"), loose=False),
    Shape("no pixel spacing on sagittal series", _drop_spacing, lost=(*FORAMINA, *CANAL, *RECESSES), notes=_PIXEL),
    Shape("pixel spacing of zero", _zero_spacing, lost=(*FORAMINA, *CANAL, *RECESSES), notes=_PIXEL),
    Shape("no pixel spacing on the axial series", _drop(AXIAL, "PixelSpacing"), lost=RECESSES, notes=_PIXEL),
    Shape(
        "no orientation of the T1",
        _drop(T1, "ImageOrientationPatient"),
        lost=FORAMINA,
        notes=("orientation", "left and right"),
    ),
    Shape("no positions of the T1", _drop(T1, "ImagePositionPatient"), lost=FORAMINA, notes=("position",)),
    Shape("one position of the T1", _one_position, lost=FORAMINA, notes=("position", "place")),
    Shape("no positions of the axial series", _drop(AXIAL, "ImagePositionPatient"), lost=RECESSES, notes=("position",)),
    Shape("four files cut", _cut_files, may_lose=FORAMINA[:1], notes=("4 ",), loose=False, same=False),
    Shape("the left slices are missing", _remove_left, may_lose=FORAMINA[:1], same=False),
    Shape("every second T1 slice is missing", _remove_every_second, may_lose=FORAMINA, notes=("missing",), same=False),
    Shape("two axial slices are missing", _remove_middle, may_lose=RECESSES, same=False),
    Shape("pixels of four slices cut", _cut_pixels, may_lose=FORAMINA[:1], notes=("4 ",), loose=False, same=False),
    Shape("pixels of two inner slices cut", _cut_pixels_inside, notes=("2 ",), loose=False, same=False),
    Shape("inverted copies of the T2", _derived_copies, notes=("one place", "same place", "derived", "copies")),
    Shape("two echoes in one series", _second_echo, notes=("echo",)),
    Shape("an axial scan repeated", _two_times, notes=("time", "place")),
    Shape("exported twice", _exported_twice, loose=False),
    Shape("one series in two numbered folders", _numbered_folders),
    Shape("thumbnails beside the images", _thumbnails, loose=False),
    Shape("all series in one numbered folder", _one_folder),
    Shape("a series UID for each slice", _uid_a_slice),
    Shape(
        "a series UID for each slice, no names",
        _uid_a_slice_unnamed,
        may_lose=(*FORAMINA, *CANAL, *RECESSES),
        same=False,
    ),
    Shape("one series UID for everything", _one_uid),
    Shape("no series UID at all", _no_series_uid, not_added=("no StudyInstanceUID, SeriesInstanceUID",), loose=False),
    Shape("T1 FLAIR by name", _flair("SAG T1 FLAIR")),
    Shape("T1 FLAIR without the word", _flair("SAG")),
    Shape("a localizer in place of the T1", _localizer("localizador", True), lost=FORAMINA),
    Shape("a localizer beside the T1", _localizer("localizador", False)),
    Shape("an unnamed localizer in place of the T1", _localizer("3-pl", True), lost=FORAMINA),
    Shape("MPR in the name of the axial series", _word_in_name("MPR"), may_lose=RECESSES),
    Shape("LOC in the name of the axial series", _word_in_name("LOC"), may_lose=RECESSES),
    Shape(
        "pixels of 50 mm", _set(T2, "PixelSpacing", [50, 50]), lost=CANAL, may_lose=(*FORAMINA, *RECESSES), notes=_PIXEL
    ),
    Shape("pixels of a nanometre", _set(AXIAL, "PixelSpacing", [1e-6, 1e-6]), lost=RECESSES, notes=_PIXEL),
    Shape(
        "two inner slices crash their decoder", _crash_inside, notes=("2 of the slices", "decoder crashed"), same=False
    ),
    Shape("a STIR called IR beside the T2", _beside(T2, "Sag IR", **_STIR_TIMES)),
    Shape(
        "a T1 after contrast beside the T1",
        _beside(T1, "Sag TSE T1 Post", ContrastBolusAgent="Multihance"),
    ),
    Shape("a proton-density axial beside the T2", _beside(AXIAL, "PD AX", EchoTime=20, RepetitionTime=3000)),
    Shape("a STIR called IR in place of the T2", _renamed(T2, SeriesDescription="IR  SAG", **_STIR_TIMES)),
    Shape(
        "no weighting told at all",
        _untold,
        may_lose=(*FORAMINA, *CANAL, *RECESSES),
        notes=("headers do not say", "not stated in its headers"),
        not_added=("do not say whether",),
        same=False,
    ),
    Shape("foreign files beside the images", _foreign_files, loose=False),
    Shape("a CD with viewer and DICOMDIR", _cd, loose=False),
    Shape("a CD of two exams", _cd_of_two_exams, refused=_STUDIES, apart=True, loose=False),
    Shape("a zip in the export", _zip_in_zip, loose=False),
    Shape("two zips in the export", _two_zips, loose=False),
    Shape("a packed tar in the export", _tar_in_zip, loose=False),
    Shape("names of 300 letters", _long_names, loose=False),
    Shape(
        "one SOP instance twice, with other pixels",
        _same_instance_differs,
        notes=("show something else",),
        loose=False,
        same=False,
    ),
    Shape("the axial series again under another UID", _series_under_another_uid, loose=False),
    Shape("images of two days under one study", _two_days, notes=("2 days",)),
    Shape("a whole spine in named parts", _other_parts(named=True), notes=("cervical", "thoracic")),
    Shape("a whole spine in parts without names", _other_parts(named=False)),
    Shape(
        "a composed whole spine", _composed, may_lose=(*CANAL, *FORAMINA, *RECESSES), notes=("whole spine",), same=False
    ),  # seen coarsely
    Shape("three T1 slices", _few_slices, may_lose=FORAMINA, notes=("few slices",), same=False),
    Shape(
        "no sagittal T2 but of the neck",
        _set(T2, "SeriesDescription", "HWS t2_tse_sag"),
        lost=CANAL,
        may_lose=RECESSES,
        notes=("cervical",),
        same=False,
    ),
    Shape("decimal commas in the pixel spacing", _write(T2, "PixelSpacing", _with_commas), lost=CANAL, notes=_PIXEL),
    Shape(
        "positions that are no numbers",
        _write(T1, "ImagePositionPatient", lambda tags, number: b"NaN\\NaN\\NaN"),
        lost=FORAMINA,
        notes=("is no place",),
    ),
    Shape("numbers of instances that are text", _count_in_text, loose=False),
    Shape("one T1 slice does not say how it lies", _unplaced_slice, notes=("for 1 of them",), same=False),
    Shape("images stored the other way round", _stored_otherwise),
    Shape("axial blocks numbered from 1 each", _numbers_anew, untrue=("missing", "contradict")),
    Shape("a series for each disc", _series_a_disc, same=False),
    Shape("one slice of another patient", _slice_of_another_patient, refused=("2 patients",)),
    Shape("low is bright", _edited((T1, T2, AXIAL), _low_is_bright)),
    Shape("pixels below zero", _edited((T1, T2, AXIAL), _below_zero)),
    Shape("padding far below the image", _edited((T1, T2, AXIAL), _padded), same=False),
    Shape("a T1 in colour", _edited((T1,), _in_colour), lost=FORAMINA, notes=("in colour", "colour image")),
    Shape("screenshots in the T2", _screenshots, notes=("size of a pixel",)),
    Shape("objects without images", _objects_beside, untrue=("could not be read",), loose=False),
    Shape("an enhanced file beside classic ones", _enhanced_beside_classic),
    Shape("bytes behind the pixels", _trailing_bytes, loose=False),
    Shape("a streamed zip whose names lead elsewhere", _odd_zip, loose=False),
    Shape("a tar in a packing that is not opened", _xz_in_zip, refused=("archive", "not unpacked"), loose=False),
)
