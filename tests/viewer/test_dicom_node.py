"""A PACS sends a study by C-STORE and gets the report back by C-STORE. The peer is pynetdicom's."""

import io
import queue
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import highdicom as hd
import pydicom
import pytest
from flask import Flask
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    EnhancedMRColorImageStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    LegacyConvertedEnhancedMRImageStorage,
    RawDataStorage,
    Verification,
)

from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError
from lumbargrade.viewer.dicom_node import DimseNode, DimseSettings, Node, dicom_node, read_node
from lumbargrade.viewer.errors import Refusal

from .reading import edited, expected_grade


@pytest.fixture
def reports() -> Iterator[tuple[queue.Queue[pydicom.Dataset], int]]:
    """A PACS that takes reports."""
    taken: queue.Queue[pydicom.Dataset] = queue.Queue()

    def keep(event: Any) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        taken.put(dataset)
        return 0

    entity = AE(ae_title="PACS")
    entity.require_called_aet = True
    entity.add_supported_context(ComprehensiveSRStorage)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    yield taken, server.socket.getsockname()[1]
    server.shutdown()


@pytest.fixture
def node(app: Flask, reports: tuple[Any, int]) -> Iterator[DimseNode]:
    settings = DimseSettings(
        port=0, report_to=Node(title="PACS", host="127.0.0.1", port=reports[1]), peers=("SCANNER",), quiet_seconds=6
    )
    with dicom_node(app.extensions["reading_room"], settings) as node:
        yield node


def send(node: DimseNode, *files: bytes, title: str = "SCANNER", called: str = "LUMBARGRADE") -> list[int] | None:
    """Sends files as they are; returns their statuses, or nothing if the node did not want the association."""
    datasets = [pydicom.dcmread(io.BytesIO(data)) for data in files]
    entity = AE(ae_title=title)
    kinds = dict.fromkeys((dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID) for dataset in datasets)
    for kind, syntax in kinds:
        entity.add_requested_context(kind, syntax)
    association = entity.associate("127.0.0.1", node.port, ae_title=called)
    if not association.is_established:
        return None
    try:
        return [association.send_c_store(dataset).Status for dataset in datasets]
    finally:
        association.release()


def undeflated(files: list[bytes]) -> list[bytes]:
    return [data for data in files if not pydicom.dcmread(io.BytesIO(data)).file_meta.TransferSyntaxUID.is_deflated]


@pytest.mark.slow
def test_a_study_is_graded_and_its_report_sent_back(
    node: DimseNode,
    app: Flask,
    reports: tuple[queue.Queue[pydicom.Dataset], int],
    loose: list[bytes],
    rsna: GradingTask,
) -> None:
    files = undeflated(loose)
    assert len(files) > 10
    half = len(files) // 2
    assert send(node, *files[:half]) == [0] * half
    assert send(node, *files[half:]) == [0] * (len(files) - half)  # another association, the same study
    report = hd.sr.ComprehensiveSR.from_dataset(reports[0].get(timeout=300))
    image = pydicom.dcmread(io.BytesIO(files[0]))
    assert (report.StudyInstanceUID, report.PatientID) == (image.StudyInstanceUID, image.PatientID)
    groups = report.content.get_planar_roi_measurement_groups()
    assert len(groups) == 24
    grades = {group.tracking_identifier: group.get_qualitative_evaluations()[0].value.meaning for group in groups}
    expected = expected_grade(rsna, str(image.StudyInstanceUID), "spinal_canal_stenosis", "L4/L5")
    assert grades["Spinal Canal Stenosis L4/L5"] == expected
    spool = app.extensions["reading_room"].settings.spool
    deadline = time.monotonic() + 120
    while (left := list(spool.glob("study-*"))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
    assert reports[0].empty()


@pytest.mark.slow
def test_two_studies_that_come_mixed_are_two_reports(
    node: DimseNode, reports: tuple[queue.Queue[pydicom.Dataset], int], loose: list[bytes]
) -> None:
    files = undeflated(loose)[:6]
    other = [edited(data, StudyInstanceUID="1.2.826.77") for data in files]
    mixed = [data for pair in zip(files, other, strict=True) for data in pair]
    assert send(node, *mixed) == [0] * 12
    uids = {str(reports[0].get(timeout=300).StudyInstanceUID) for _ in range(2)}
    assert uids == {str(pydicom.dcmread(io.BytesIO(files[0])).StudyInstanceUID), "1.2.826.77"}


def test_strangers_are_not_answered(node: DimseNode, loose: list[bytes]) -> None:
    assert send(node, undeflated(loose)[0], title="STRANGER") is None
    assert send(node, undeflated(loose)[0], called="ANOTHER") is None


def test_an_echo_is_answered(node: DimseNode) -> None:
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", node.port, ae_title="LUMBARGRADE")
    assert association.send_c_echo().Status == 0
    association.release()


def test_an_instance_without_a_study_is_refused(node: DimseNode, loose: list[bytes]) -> None:
    assert send(node, edited(undeflated(loose)[0], StudyInstanceUID="")) == [0xC000]


def instance(kind: str, **tags: str) -> bytes:
    """An object of a study, without an image."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = kind, pydicom.uid.generate_uid()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


BESIDE = (
    GrayscaleSoftcopyPresentationStateStorage, KeyObjectSelectionDocumentStorage, ComprehensiveSRStorage,
    EncapsulatedPDFStorage, RawDataStorage,
)  # fmt: skip


def test_what_comes_beside_the_images_is_taken_and_dropped(node: DimseNode, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    beside = [instance(kind, StudyInstanceUID="1.2.3", PatientName="SECRET") for kind in BESIDE]
    assert send(node, *beside, instance(RawDataStorage)) == [0] * 6
    arriving = node._arriving["1.2.3"]
    assert (arriving.files, arriving.dropped) == (0, 5)
    arriving.last -= 3600
    deadline = time.monotonic() + 60
    while "nothing of it is an image" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert arriving.study_hash in caplog.text
    assert "SECRET" not in caplog.text


def test_every_kind_of_mr_image_is_kept(node: DimseNode) -> None:
    kinds = (EnhancedMRColorImageStorage, LegacyConvertedEnhancedMRImageStorage)
    assert send(node, *(instance(kind, StudyInstanceUID="1.2.4") for kind in kinds)) == [0, 0]
    assert node._arriving["1.2.4"].files == 2


@pytest.mark.parametrize(
    ("graded", "failure", "line"),
    [
        (False, None, "has no report, as nothing in it could be graded: no image is of a spine"),
        (True, Refusal(422, "It cannot be made.", "", "report"), "has no report: It cannot be made."),
        (True, RuntimeError("SECRET"), "has no report: RuntimeError"),
    ],
    ids=["nothing graded", "refused", "unforeseen"],
)
def test_a_study_without_a_report_is_logged_by_its_hash(
    graded: bool,
    failure: Exception | None,
    line: str,
    node: DimseNode,
    reports: tuple[queue.Queue[pydicom.Dataset], int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = node._room
    arriving = node._study("1.2.5")
    cells = (SimpleNamespace(grade="Severe" if graded else None, reason="no image is of a spine"),)
    monkeypatch.setattr(room, "answer", lambda _: (None, None, SimpleNamespace(cells=cells)))
    monkeypatch.setattr(room, "structured_report", Mock(side_effect=failure))
    arriving.work.tell(stage="done", percent=100, words="The study is graded.")
    node._report(arriving)
    assert f"study {room.hash_study('1.2.5')[:16]} {line}" in caplog.text
    assert "SECRET" not in caplog.text
    assert reports[0].empty()


def test_beyond_this_machine_peers_must_be_named(app: Flask) -> None:
    settings = DimseSettings(host="0.0.0.0", port=0, report_to=Node(title="PACS", host="h", port=104))
    with pytest.raises(InputError, match="name the nodes that may call with --dicom-peer"):
        DimseNode(app.extensions["reading_room"], settings)


def test_a_node_is_read_from_its_address() -> None:
    assert read_node("PACS@10.0.0.7:104") == Node(title="PACS", host="10.0.0.7", port=104)
    for text in ("PACS", "10.0.0.7:104", "PACS@host", "PACS@host:0", "A TITLE THAT IS TOO LONG@host:104"):
        with pytest.raises(InputError, match="names no DICOM node"):
            read_node(text)


@pytest.mark.slow
def test_two_patients_of_one_study_get_no_report(
    node: DimseNode,
    reports: tuple[queue.Queue[pydicom.Dataset], int],
    loose: list[bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    files = undeflated(loose)[:4]
    other = [edited(data, PatientID="SECRET", SOPInstanceUID=f"1.2.{n}") for n, data in enumerate(files)]
    assert send(node, *files, *other) == [0] * 8
    deadline = time.monotonic() + 300
    while "was not graded" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "2 patients" in caplog.text
    assert "SECRET" not in caplog.text
    assert reports[0].empty()


def test_a_slice_that_comes_after_its_study_was_handed_over_is_not_added_to_it(
    node: DimseNode, loose: list[bytes]
) -> None:
    arriving = node._study("1.2.3")
    arriving.last -= 3600
    assert arriving in node._complete() or arriving.complete
    assert node._add(arriving, loose[0]) is None
    assert node._study("1.2.3") is not arriving
