"""The PACS end: a DICOM node that takes studies by C-STORE, has them graded, and sends the report back by C-STORE.

A study counts as complete once nothing of it has come for some seconds. Off unless it is asked for.
"""

import io
import logging
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field
from pydicom import dcmread
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    EnhancedMRColorImageStorage,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.presentation import build_context

from lumbargrade.dicom.parse import bound_reads
from lumbargrade.errors import InputError
from lumbargrade.frozen import Frozen
from lumbargrade.viewer.errors import Refusal
from lumbargrade.viewer.settings import is_loopback
from lumbargrade.viewer.studies.decode import UPLOAD
from lumbargrade.viewer.studies.job import StudyWork
from lumbargrade.viewer.studies.service import ReadingRoom

_VERIFICATION = UID("1.2.840.10008.1.1")
_KEPT = {
    MRImageStorage, EnhancedMRImageStorage, EnhancedMRColorImageStorage, LegacyConvertedEnhancedMRImageStorage,
    SecondaryCaptureImageStorage,
}  # fmt: skip
"""What can hold MR slices."""
_TAKEN = {*_KEPT, _VERIFICATION, *(UID(str(each.abstract_syntax)) for each in AllStoragePresentationContexts)}
"""A PACS sends a study's presentation states, key objects and reports with its images, and takes a refusal of one for the
failure of all: they are taken and dropped."""
_ENCODINGS = [syntax for syntax in map(UID, ALL_TRANSFER_SYNTAXES) if not syntax.is_deflated]
"""Deflated files are not taken: a header would be inflated here, outside the guarded process, without a limit."""

_OUT_OF_RESOURCES, _CANNOT_UNDERSTAND = 0xA700, 0xC000
_SUCCESS = 0x0000
_NETWORK_SECONDS = 30.0
_SEND_AGAIN_SECONDS = (0.0, 5.0, 30.0)
_MOST_REASONS = 3
_TITLE = r"^[!-\[\]-~]{1,16}$"

log = logging.getLogger(__name__)


class Node(Frozen):
    """A DICOM node elsewhere: its AE title, and its address."""

    title: str = Field(pattern=_TITLE)
    host: str
    port: int = Field(ge=1, le=65535)


class DimseSettings(Frozen):
    """The DICOM node of the reading room.

    Attributes:
        title: Its AE title; calls of another one are refused.
        report_to: Where reports go.
        peers: AE titles that may call; any, if there are none, which is allowed on this machine only.
        quiet_seconds: A study is complete when nothing of it has come for so long.
        most_waiting: Studies that are being received at a time.
    """

    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)
    title: str = Field(default="LUMBARGRADE", pattern=_TITLE)
    report_to: Node
    peers: tuple[str, ...] = ()
    quiet_seconds: float = Field(default=10, gt=0)
    most_waiting: int = Field(default=16, gt=0)


def read_node(text: str) -> Node:
    """Reads ``TITLE@host:port``.

    Raises:
        InputError: It is something else.
    """
    title, at, address = text.partition("@")
    host, _, port = address.rpartition(":")
    try:
        if not at or not host:
            raise ValueError
        return Node(title=title, host=host, port=int(port))
    except ValueError as error:
        raise InputError(
            f"{text!r} names no DICOM node", "give TITLE@host:port, such as PACS@10.0.0.7:104", "dicom-node-invalid"
        ) from error


@dataclass(eq=False)
class _Arriving:
    """A study that is being received.

    Attributes:
        study_hash: What log lines call it: the beginning of the salted hash that reports have.
        dropped: Objects of it that hold no MR slices.
    """

    work: StudyWork
    study_hash: str
    last: float
    files: int = 0
    dropped: int = 0
    size: int = 0
    complete: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class DimseNode:
    """Receives, waits for quiet, hands over to the reading room, and sends reports.

    Raises:
        InputError: Nothing can listen there, or anybody could call.
    """

    def __init__(self, room: ReadingRoom, settings: DimseSettings) -> None:
        if not settings.peers and not is_loopback(settings.host):
            raise InputError(
                f"{settings.host} can be reached from other machines",
                "name the nodes that may call with --dicom-peer",
                "dicom-peers-missing",
            )
        self._room = room
        self._settings = settings
        self._arriving: dict[str, _Arriving] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        entity = AE(ae_title=settings.title)
        entity.require_called_aet = True
        entity.require_calling_aet = list(settings.peers)
        entity.maximum_associations = settings.most_waiting
        entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = _NETWORK_SECONDS
        for kind in _TAKEN:
            entity.add_supported_context(kind, _ENCODINGS)
        try:
            server: Any = entity.start_server(
                (settings.host, settings.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
            )
        except OSError as error:
            raise InputError(
                f"{settings.host}:{settings.port} cannot be listened at ({error.strerror})",
                "give another --dicom-port",
                "port-taken",
            ) from error
        self._server = server
        self.port: int = server.socket.getsockname()[1]
        self._watcher = threading.Thread(target=self._watch, name="dicom-quiet", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Takes nothing more; what is being received is dropped."""
        self._stop.set()
        self._server.shutdown()
        self._watcher.join(timeout=5)
        for arriving in self._arriving.values():
            self._room.forget(arriving.work.id)

    def _store(self, event: Any) -> int:
        """Adds an instance to its study's zip, byte for byte as it came; what comes too late for one begins another."""
        kept = event.request.AffectedSOPClassUID in _KEPT
        try:
            data = event.encoded_dataset()
            file = bound_reads(io.BytesIO(data))
            head = dcmread(file, stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
            study_uid = str(head.get("StudyInstanceUID") or "")
        except Exception:  # whatever the peer sent: it is answered, and the association goes on
            study_uid = ""
        if not study_uid:
            return _CANNOT_UNDERSTAND if kept else _SUCCESS
        status = None
        while status is None:
            try:
                status = self._add(self._study(study_uid), data if kept else None)
            except Refusal:
                return _OUT_OF_RESOURCES
        return status

    def _add(self, arriving: _Arriving, data: bytes | None) -> int | None:
        """Writes an instance into a study's zip; None if the study has been handed over since it was looked up.

        Args:
            data: None if it is dropped.
        """
        settings = self._room.settings
        with arriving.lock:
            if arriving.complete:
                return None
            if data is None:
                arriving.dropped += 1
                arriving.last = time.monotonic()
                return _SUCCESS
            arriving.files += 1
            arriving.size += len(data)
            if arriving.files > settings.max_files or arriving.size > settings.max_bytes:
                return _OUT_OF_RESOURCES
            with zipfile.ZipFile(arriving.work.folder / UPLOAD, "a", zipfile.ZIP_STORED) as archive:
                archive.writestr(f"{arriving.files}.dcm", data)
            arriving.last = time.monotonic()
        return _SUCCESS

    def _study(self, study_uid: str) -> _Arriving:
        with self._lock:
            arriving = self._arriving.get(study_uid)
            if arriving is None:
                name = self._room.hash_study(study_uid)[:16]
                arriving = _Arriving(self._room.admit(), name, time.monotonic())
                self._arriving[study_uid] = arriving
            arriving.last = time.monotonic()
            return arriving

    def _watch(self) -> None:
        while not self._stop.wait(min(0.5, self._settings.quiet_seconds / 4)):
            for arriving in self._complete():
                if arriving.files == 0:
                    words = "study %s: nothing of it is an image that could be graded (objects: %d)"
                    log.info(words, arriving.study_hash, arriving.dropped)
                    self._room.forget(arriving.work.id)
                    continue
                try:
                    self._room.submit(arriving.work)
                except Refusal as refusal:
                    log.warning("study %s was refused: %s", arriving.study_hash, refusal.problem.what)
                    self._room.forget(arriving.work.id)
                    continue
                threading.Thread(target=self._report, args=(arriving,), name="dicom-report", daemon=True).start()

    def _complete(self) -> list[_Arriving]:
        now = time.monotonic()
        with self._lock:
            quiet = [uid for uid, one in self._arriving.items() if now - one.last > self._settings.quiet_seconds]
            complete = [self._arriving.pop(uid) for uid in quiet]
        for arriving in complete:
            with arriving.lock:  # an instance that is being written belongs to it
                arriving.complete = True
        return complete

    def _report(self, arriving: _Arriving) -> None:
        """Waits for the grades and sends the report; the study is forgotten then, and what went wrong is logged."""
        study, work = arriving.study_hash, arriving.work
        try:
            event = work.wait(self._room.settings.keep_seconds)
            if event.stage != "done":
                log.warning("study %s was not graded: %s", study, event.words)
                return
            _, _, answer = self._room.answer(work.id)
            if all(cell.grade is None for cell in answer.cells):
                reasons = list(dict.fromkeys(cell.reason for cell in answer.cells if cell.reason))[:_MOST_REASONS]
                log.warning("study %s has no report, as nothing in it could be graded: %s", study, "; ".join(reasons))
                return
            report = self._room.structured_report(work.id)
            if not any(not self._stop.wait(seconds) and self._send(report) for seconds in _SEND_AGAIN_SECONDS):
                to = self._settings.report_to.title
                log.warning("study %s: %s did not take the report; see that it runs and takes SR", study, to)
        except Refusal as refusal:
            log.warning("study %s has no report: %s", study, refusal.problem.what)
        except Exception as error:  # a thread's end is seen by nobody; the sentence quotes nothing
            log.error("study %s has no report: %s", study, type(error).__name__)
        finally:
            self._room.forget(work.id)

    def _send(self, report: bytes) -> bool:
        entity = AE(ae_title=self._settings.title)
        entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = _NETWORK_SECONDS
        entity.requested_contexts = [build_context(ComprehensiveSRStorage)]
        to = self._settings.report_to
        association = entity.associate(to.host, to.port, ae_title=to.title)
        if not association.is_established:
            return False
        try:
            status = association.send_c_store(dcmread(io.BytesIO(report)))
            return "Status" in status and status.Status == _SUCCESS
        except ValueError:  # it takes the association, and no SR in it
            return False
        finally:
            association.release()


@contextmanager
def dicom_node(room: ReadingRoom, settings: DimseSettings) -> Iterator[DimseNode]:
    """A node as long as the context lasts."""
    node = DimseNode(room, settings)
    try:
        yield node
    finally:
        node.close()
