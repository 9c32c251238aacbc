"""An export of a PACS that is full of what identifies patients, and what must not be found again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.datadict import DicomDictionary
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from lumbargrade.data.layout import dicom_files
from lumbargrade.deidentify.profile import KEPT

TEXT = ("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT")
NUMBERS, BYTES = ("IS", "DS"), ("OB", "UN")
SAYS = "Zacharias Quillfeather 47110815"
SECRETS = (
    "zacharias", "quillfeather", "47110815", "müllerová", "acc99881", "klinikum", "bethesda", "wolpertinger", "19620314",
    "20230517", "20230623", "111222333444", "131415.9",
)  # fmt: skip
SLICES = 3
"""Of each series; the first of them is full of secrets."""
ROOT = "1.2.276.111222333444"
"""Of all UIDs of the export."""


@dataclass
class Export:
    """Where an export lies, and what is in it."""

    folder: Path
    labels: Path
    study_uids: list[str] = field(default_factory=list)


def plant(dataset: Dataset) -> None:
    """Writes who the patient is into all that the standard knows, into private tags, overlays, and sequences of each kind.

    What grading needs stays as it was: its numbers, and the sequences of multi-frame files.
    """
    standing = {"SpecificCharacterSet", "PhotometricInterpretation", "Modality", "BurnedInAnnotation", "ConversionType"}
    nested = Dataset()
    nested.PatientName, nested.PatientComments = "Quillfeather^Zacharias", SAYS
    nested.ReferencedSOPInstanceUID = f"{ROOT}.9.9"
    inner = Dataset()
    inner.InstitutionName, inner.ImageComments = "Klinikum Bethesda", SAYS
    nested.ReferencedStudySequence = Sequence([inner])
    standard = {tag: entry for tag, entry in DicomDictionary.items() if tag < 0x60000000 and tag >> 16 not in (0, 2, 4)}
    for tag, (vr, _, _, _, keyword) in standard.items():
        if vr in TEXT and keyword not in standing:
            dataset.add_new(
                tag, vr, f"{dataset.get('SeriesDescription', '')} {SAYS}" if keyword == "SeriesDescription" else SAYS
            )
        elif vr == "PN":
            dataset.add_new(tag, vr, "Quillfeather^Zacharias^Müllerová")
        elif vr in ("DA", "DT") and keyword not in ("StudyDate", "SeriesDate", "AcquisitionDate"):
            dataset.add_new(tag, vr, "19620314")
        elif vr == "TM":
            dataset.add_new(tag, vr, "131415.926")
        elif vr == "UI" and keyword not in dataset:
            dataset.add_new(tag, vr, f"{ROOT}.7")
        elif vr in NUMBERS and keyword not in KEPT:
            dataset.add_new(tag, vr, "47110815")
        elif vr in BYTES:
            dataset.add_new(tag, vr, SAYS.ljust(32).encode())
        elif vr == "SQ" and keyword not in KEPT:
            dataset.add_new(tag, vr, Sequence([nested]))
    block = dataset.private_block(0x0029, "WOLPERTINGER", create=True)
    block.add_new(0x10, "LO", SAYS)
    block.add_new(0x11, "OB", SAYS.encode("utf-16-le"))
    block.add_new(0x12, "SQ", Sequence([inner]))
    dataset.add_new(0x60000010, "US", 8)
    dataset.add_new(0x60003000, "OW", SAYS.ljust(32).encode())
    dataset.add_new(0xFFFCFFFC, "OB", SAYS.ljust(32).encode())
    dataset.preamble = SAYS.ljust(128).encode()
    dataset.file_meta.SourceApplicationEntityTitle = "WOLPERTINGER"
    dataset.file_meta.ImplementationVersionName = "QUILLFEATHER"


def export_maker(phantom: Path, tmp_path: Path) -> Callable[..., Export]:
    """Makes exports of phantom studies: two of one patient, 37 days apart, and one of another."""

    def make(
        studies: int = 3,
        planted: bool = True,
        most: int = SLICES,
        patients: tuple[str, ...] = ("47110815", "47110815", "Q-2"),
    ) -> Export:
        folder = tmp_path / "Klinikum Bethesda"
        export = Export(folder, tmp_path / "labels.csv")
        header, *rows = (phantom / "train.csv").read_text().splitlines()
        table = ["AccessionNumber," + header.split(",", 1)[1]]
        dates = ("20230517", "20230623", "20230517")
        sound = sorted((phantom / "train_images").iterdir(), key=lambda path: int(path.name))[:studies]
        for place, source in enumerate(sound):
            study_uid = generate_uid(prefix=f"{ROOT}.{place + 1}.")
            export.study_uids.append(study_uid)
            grades = next(row.split(",", 1)[1] for row in rows if row.split(",")[0] == source.name)
            table.append(f"ACC9988{place + 1},{grades}")
            images = [path for series in sorted(source.iterdir()) for path in dicom_files(series)[:most]]
            for number, path in enumerate(images):
                dataset = dcmread(path)
                if dataset.file_meta.TransferSyntaxUID.is_compressed:
                    dataset.decompress(generate_instance_uid=False)
                description = dataset.SeriesDescription
                series = dataset.SeriesInstanceUID
                if planted and number % SLICES == 0:
                    plant(dataset)
                    dataset.SeriesDescription = f"{description} Quillfeather"
                dataset.SpecificCharacterSet = "ISO_IR 192"
                dataset.Modality = "MR"
                dataset.PatientID, dataset.PatientName = patients[place], "Quillfeather^Zacharias"
                dataset.PatientBirthDate, dataset.PatientSex = "19620314", "F"
                dataset.AccessionNumber = f"ACC9988{place + 1}"
                dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dates[place]
                if "PatientAge" in dataset:
                    del dataset.PatientAge
                dataset.StudyInstanceUID = study_uid
                dataset.SeriesInstanceUID = generate_uid(prefix=f"{ROOT}.5.", entropy_srcs=[series])
                dataset.SOPInstanceUID = generate_uid(prefix=f"{ROOT}.6.", entropy_srcs=[str(path)])
                dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
                target = folder / f"Quillfeather 47110815 {place}" / f"Zacharias{number}.IMA"
                target.parent.mkdir(parents=True, exist_ok=True)
                dataset.save_as(target, enforce_file_format=False)
        export.labels.write_text("\n".join(table) + "\n")
        return export

    return make


def secrets_in(folder: Path, *more: str) -> set[str]:
    """The secrets that some file of a folder, or its name, holds in any encoding or case."""
    found = set()
    for path in folder.rglob("*"):
        texts = [str(path.relative_to(folder)).lower().encode()]
        if path.is_file():
            texts.append(path.read_bytes().lower())
        for secret in (*SECRETS, *more):
            for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "utf-32-le"):
                wanted = secret.lower().encode(encoding, "ignore")
                spaced = " ".join(secret.lower()).encode(encoding, "ignore")
                if any(wanted in text or spaced in text for text in texts):
                    found.add(secret)
    return found
