"""The answer as a DICOM Structured Report (Comprehensive SR, TID 1500), for a PACS to file with the study.

It needs the study's patient module, or no PACS could file it. That is read from the upload when the report is asked for,
in a guarded process, and goes into the report only: nothing of it is kept or logged.

Codes are SNOMED CT's and DICOM's where pydicom's dictionary has them, else of the private scheme 99LUMBARGRADE.
"""

import base64
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid
from pydicom.valuerep import DA, TM

import lumbargrade
from lumbargrade.archives.unpack import unpack_members
from lumbargrade.config.task import Condition, GradingTask
from lumbargrade.dicom.limits import LIMITS, within_limits
from lumbargrade.inference.schema import MIN_PLACE_CONFIDENCE
from lumbargrade.inference.series_table import describe_row
from lumbargrade.viewer.errors import sentence
from lumbargrade.viewer.reports.evidence import Evidence, read_evidence, stand_in
from lumbargrade.viewer.schemas import Cell, Place, StudyReport

SCHEME = "99LUMBARGRADE"
TITLE = "Lumbargrade"

_LEVELS = {
    "L1/L2": codes.SCT.LevelOfL1L2IntervertebralDisc,
    "L2/L3": codes.SCT.LevelOfL2L3IntervertebralDisc,
    "L3/L4": codes.SCT.LevelOfL3L4IntervertebralDisc,
    "L4/L5": codes.SCT.LevelOfL4L5IntervertebralDisc,
    "L5/S1": codes.SCT.LevelOfL5S1IntervertebralDisc,
}
_GRADES = {"Moderate": codes.SCT.Moderate, "Severe": codes.SCT.Severe}
_UNCERTAIN_PLACE = (
    f"Place uncertain: it was found with a confidence below {100 * MIN_PLACE_CONFIDENCE:.0f} %, so the grade may be of "
    "another place."
)
_PROCEDURE = codes.LN.MRIUnspecifiedBodyRegion
_SIDES = {"left": codes.SCT.Left, "right": codes.SCT.Right}
_Group = hd.sr.MeasurementsAndQualitativeEvaluations | hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations
Frames = Mapping[str, tuple[str, int | None]]


def structured_report(
    folder: str,
    archive: str,
    report: str,
    places: Frames,
    members: Mapping[str, int],
    task: str,
    tell: Callable[[int, int], None],
) -> str:
    """Makes the report of a study in a spool folder; runs in a guarded process.

    Args:
        archive: Name of the study's zip there.
        report: A :class:`lumbargrade.viewer.schemas.StudyReport` as JSON.
        places: SOPInstanceUID and frame by ``<condition> <level>``.
        members: Where each image's file lies among those of the zip, by SOPInstanceUID.
        task: The grading task as JSON.

    Returns:
        A DICOM file, base64.

    Raises:
        InputError: None of the images that it would refer to can be read.
    """
    grading_task = GradingTask.model_validate_json(task)
    answer = StudyReport.model_validate_json(report)
    wanted = {sop_uid for sop_uid, _ in places.values()}
    cited = [sop_uid for sop_uid in members if sop_uid in wanted] or list(members)[:1]
    with within_limits(LIMITS), TemporaryDirectory(prefix="unpacked-", dir=folder) as place:
        paths = unpack_members(Path(folder) / archive, [members[sop_uid] for sop_uid in cited], Path(place))
        evidence = read_evidence({sop_uid: paths[members[sop_uid]] for sop_uid in cited}, answer.study_hash)
    return base64.b64encode(write_report(build_report(answer, evidence, places, grading_task))).decode("ascii")


def write_report(document: hd.sr.ComprehensiveSR) -> bytes:
    """Returns the document as a DICOM file."""
    buffer = io.BytesIO()
    with _unwarned():
        document.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@contextmanager
def _unwarned() -> Iterator[None]:
    """Keeps back warnings of highdicom and pydicom: they quote names, and the log is no place for these."""
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def build_report(report: StudyReport, evidence: Evidence, places: Frames, task: GradingTask) -> hd.sr.ComprehensiveSR:
    """Builds the document. The same answer, with the same corrections, makes the same document."""
    with _unwarned():
        return _build(report, evidence, places, task)


def _build(report: StudyReport, evidence: Evidence, places: Frames, task: GradingTask) -> hd.sr.ComprehensiveSR:
    images = evidence.images
    groups = [_group(cell, report, task.condition(cell.condition), task, places, images) for cell in report.cells]
    content = hd.sr.MeasurementReport(
        observation_context=_observer(report),
        procedure_reported=_PROCEDURE,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    root = content[0]
    texts = [(codes.DCM.Comment, report.research_strip)] if report.research_strip else []
    texts += [(codes.DCM.Comment, text) for text in (*report.trained_on.lines, *report.flags)]
    texts += [(codes.DCM.Comment, each.words) for each in report.not_graded]
    texts += [(codes.DCM.Comment, sentence(note.text)) for note in evidence.notes]
    texts += [(codes.DCM.Comment, describe_row(row, task)) for row in report.series_table]
    texts += [(codes.DCM.Finding, level.text) for level in report.sentences]
    for place, (name, text) in enumerate(texts, start=len(root.ContentSequence) - 1):  # read before the measurements
        root.ContentSequence.insert(place, _text(name, text))
    strip = f" ({report.research_strip.lower()})" if report.research_strip else ""
    document = hd.sr.ComprehensiveSR(
        evidence=list(images.values()) or [stand_in(evidence.about)],
        content=root,
        series_instance_uid=_uid("series", report.request_id),
        series_number=9000,
        sop_instance_uid=_uid("report", report.model_dump_json()),
        instance_number=1,
        manufacturer=TITLE,
        is_complete=True,
        is_final=False,
        is_verified=False,
        software_versions=lumbargrade.__version__,
        series_description=f"{TITLE} gradings{strip}"[:64],
    )
    if not images:
        del document.CurrentRequestedProcedureEvidenceSequence
    graded = datetime.fromisoformat(report.graded_at)
    document.ContentDate, document.ContentTime = DA(graded.date()), TM(graded.time())
    document.TimezoneOffsetFromUTC = "+0000"
    texts_in_ascii = (str(element.value).isascii() for element in document.iterall() if element.VR != "SQ")
    if not all(texts_in_ascii):  # whatever the images' own character set is, UTF-8 has its letters
        document.SpecificCharacterSet = "ISO_IR 192"
    return document


def _observer(report: StudyReport) -> hd.sr.ObservationContext:
    model = report.model
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=_uid("device", f"{model.name}/{model.version}"),
        name=f"{model.name}/{model.version}",
        manufacturer_name=TITLE,
        model_name=model.name,
        serial_number=model.version,
    )
    return hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=device
        )
    )


def _group(
    cell: Cell,
    report: StudyReport,
    condition: Condition,
    task: GradingTask,
    places: Frames,
    images: Mapping[str, Dataset],
) -> _Group:
    """A measurement group (TID 1410 where the model looked at a place, else TID 1501)."""
    key = f"{cell.condition} {cell.level}"
    evaluations = [hd.sr.QualitativeEvaluation(codes.SCT.Severity, _grade(cell.grade))]
    if cell.correction is not None:
        name = _private("reader_grade", "Grade by a reader")
        evaluations.append(hd.sr.QualitativeEvaluation(name, _grade(cell.correction.grade)))
    shared: dict[str, Any] = {
        "tracking_identifier": hd.sr.TrackingIdentifier(
            uid=_uid("cell", f"{report.request_id} {key}"), identifier=f"{condition.label} {cell.level}"
        ),
        "finding_type": _private(condition.name, condition.label),
        "finding_sites": [
            hd.sr.FindingSite(
                _LEVELS.get(cell.level) or _private(cell.level.lower(), cell.level),
                laterality=_SIDES[condition.side] if condition.side else None,
            )
        ],
        "algorithm_id": hd.sr.AlgorithmIdentification(
            name=report.model.name, version=report.model.version, parameters=[f"request {report.request_id}"]
        ),
        "measurements": _probabilities(cell, task),
        "qualitative_evaluations": evaluations,
    }
    where = places.get(key)
    if cell.place is None or where is None or where[0] not in images:
        group: _Group = hd.sr.MeasurementsAndQualitativeEvaluations(**shared)
    else:
        region = _region(cell, images[where[0]], where[1])
        group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=region, **shared)
    comments = [cell.reason] if cell.reason else []
    comments += [_read_on(cell.place)] if cell.place is not None and cell.place.series_name is not None else []
    comments += [_UNCERTAIN_PLACE] if cell.place_uncertain else []
    for comment in comments:
        group[0].ContentSequence.append(_text(codes.DCM.Comment, comment))
    return group


def _read_on(place: Place) -> str:
    """On which slice a cell was graded, in words."""
    number = f" (series {place.series_number})" if place.series_number is not None else ""
    instance = f", image {place.instance_number}" if place.instance_number is not None else ""
    return f"Read on {place.series_name}{number}{instance}, SOP Instance UID {place.sop_instance_uid}."


def _region(cell: Cell, image: Dataset, frame: int | None) -> hd.sr.ImageRegion:
    """The point that the model looked at; in a report a pixel's centre is at one half (PS3.3 C.18.6.1.2)."""
    assert cell.place is not None
    source = hd.sr.SourceImageForRegion(
        image.SOPClassUID, image.SOPInstanceUID, referenced_frame_numbers=None if frame is None else [frame + 1]
    )
    return hd.sr.ImageRegion(
        graphic_type=hd.sr.GraphicTypeValues.POINT,
        graphic_data=np.array([[cell.place.x + 0.5, cell.place.y + 0.5]]),
        source_image=source,
    )


def _probabilities(cell: Cell, task: GradingTask) -> list[hd.sr.Measurement]:
    names = zip(task.grades, task.grade_columns, strict=True)
    return [
        hd.sr.Measurement(
            name=_private(f"probability_{column}", f"Probability of {grade}"),
            value=round(cell.probabilities[grade], 4),
            unit=codes.UCUM.NoUnits,
        )
        for grade, column in names
        if cell.probabilities is not None
    ]


def _grade(grade: str | None) -> Code:
    if grade is None:
        return _private("not_graded", "Not graded")
    return _GRADES.get(grade) or _private(grade.lower().replace("/", "_"), grade)


def _private(value: str, meaning: str) -> Code:
    """A code of our own; values have 16 characters at most (SH), so a longer one is known by its end."""
    return Code(_short(value), SCHEME, meaning[:64].rstrip())


def _short(value: str) -> str:
    words = value.split("_")
    return value if len(value) <= 16 else "".join(word[:4] for word in words)[:16]


def _text(name: Code, text: str) -> hd.sr.TextContentItem:
    return hd.sr.TextContentItem(name=name, value=text, relationship_type=hd.sr.RelationshipTypeValues.CONTAINS)


def _uid(kind: str, of: str) -> str:
    return str(generate_uid(entropy_srcs=["lumbargrade", kind, of]))
