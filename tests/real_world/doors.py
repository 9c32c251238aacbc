"""The ways into the product. Each takes an export and answers a record a cell, or refuses it in words."""

import base64
import io
import json
import logging
import queue
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import highdicom as hd
import pandas as pd
import pydicom
from pynetdicom import AE, evt
from pynetdicom.sop_class import ComprehensiveSRStorage
from typer.testing import CliRunner
from urllib3.filepost import encode_multipart_formdata

from lumbargrade.cli.app import app
from lumbargrade.config.task import GradingTask
from lumbargrade.data.intake.add_studies import add_studies
from lumbargrade.data.validation.validate import check_dataset
from lumbargrade.dicom.limits import LIMITS
from lumbargrade.inference.crop_cache import CropCache
from lumbargrade.inference.grade import grade_study
from lumbargrade.inference.study import SeveralStudiesError, open_study
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.models.trained_on import state
from lumbargrade.serving.batch import grade as batch
from lumbargrade.viewer.dicom_node import DimseNode, DimseSettings, Node, dicom_node
from lumbargrade.viewer.http.app import create_app
from lumbargrade.viewer.settings import WebSettings

from .exports import Export

if TYPE_CHECKING:
    from lumbargrade.serving.pyfunc import GradingModel

Record = dict[str, Any]
DOORS = ("invocations", "command line", "batch", "page", "C-STORE", "dataset")


class RefusalError(Exception):
    """The whole study is refused, with this reason."""


class Door(Protocol):
    """A way into the product."""

    def grade(self, export: Export, folder: Path) -> list[Record]:
        """Returns a record a cell.

        Args:
            folder: An empty one.

        Raises:
            RefusalError: The study as a whole is not graded.
        """
        ...


def served_model(model: LoadedModel) -> "GradingModel":
    """The pyfunc as MLflow's server has it once it is loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MLflow warns of type hints of its own
        from lumbargrade.serving.pyfunc import GradingModel

    served = GradingModel()
    served.model, served.name, served.log, served.abstain_above = model, "lumbargrade-rsna2024/1", None, 0
    served.statement = state(model.facts).model_dump_json()
    served.turn, served.seconds, served.cache = threading.Semaphore(1), LIMITS.seconds, CropCache()
    return served


def _ask(served: "GradingModel", zipped: bytes) -> list[Record]:
    answer = served.predict(None, pd.DataFrame({"study": [zipped]}))  # type: ignore[arg-type]
    records: list[Record] = json.loads(answer.to_json(orient="records"))
    return records


class Invocations:
    """The model server's ``/invocations``."""

    def __init__(self, model: LoadedModel) -> None:
        self.served = served_model(model)

    def grade(self, export: Export, folder: Path) -> list[Record]:
        """Sends a zip; a study that is refused has the same reason in every cell."""
        records = _ask(self.served, export.zipped())
        reasons = {record["reason"] for record in records}
        if len(reasons) == 1 and None not in reasons and records[0]["study_id"] is None:
            raise RefusalError(reasons.pop())
        return records


class CommandLine:
    """``lumbargrade grade`` of a folder."""

    def grade(self, export: Export, folder: Path) -> list[Record]:
        """Runs the command in this process, on the model that stands in."""
        export.write(folder)
        result = CliRunner().invoke(app, ["grade", str(folder), "--model", "models:/stands-in/1", "--json"])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise RefusalError(str(result.exception))
        records: list[Record] = json.loads(result.stdout)
        several = len({record["study_id"] for record in records}) > 1
        return [record for record in records if not several or record["study_id"] == export.study_uid]


class Batch:
    """``lumbargrade grade FOLDER --out``: what each of its processes does."""

    def __init__(self, model: LoadedModel) -> None:
        batch._worker = batch._Worker(model, 0)

    def grade(self, export: Export, folder: Path) -> list[Record]:
        """Grades a zip as a batch's process does."""
        path = folder / "study.zip"
        path.write_bytes(export.zipped())
        outcome = batch._outcome(lambda: self._grade(path, export.study_uid), 60)
        if isinstance(outcome, str):
            raise RefusalError(outcome)
        return outcome

    def _grade(self, path: Path, study_uid: str) -> list[Record]:
        try:
            return batch._grade(path)
        except SeveralStudiesError as several:  # each is then scheduled by itself
            assert study_uid in several.study_ids
            return batch._grade(path, study_uid)


class Dataset:
    """``lumbargrade dataset add`` and ``check``, and the grades of the study that came into the dataset."""

    def __init__(self, model: LoadedModel, task: GradingTask) -> None:
        self.model, self.task = model, task

    def grade(self, export: Export, folder: Path) -> list[Record]:
        """Adds a folder to a dataset that is not there yet; what was said of files counts among the notes.

        A finding of the check that is an error is a problem of the study, and in none of these shapes it is true.
        """
        incoming, dataset = folder / "incoming", folder / "dataset"
        summary, lines = add_studies(export.write(incoming), dataset, self.task, bytes(32), workers=1)
        if not summary.added:
            raise RefusalError("; ".join(line.reason for line in lines) or "nothing was added")
        if summary.added > 1:
            raise RefusalError(f"{summary.added} studies were added, each apart")
        (study_id,) = (study.study_id for study in summary.studies if study.outcome == "added")
        report = check_dataset(dataset, self.task, workers=1)
        assert [found for found in report.findings if found.level == "error"] == []
        with open_study(dataset / "train_images" / str(study_id), self.task) as study:
            answer = grade_study(self.model, study)
        records: list[Record] = json.loads(answer.to_json(orient="records"))
        said = " ".join([*(line.reason for line in lines), *summary.warnings])
        return [{**record, "notes": f"{record['notes']} {len(lines)} {said}"} for record in records]


class Page:
    """The reading page's HTTP interface, with a model server beside it."""

    def __init__(self, app: Any) -> None:
        self.client = app.test_client()
        self.room = app.extensions["reading_room"]
        self.csrf = {"X-CSRF-Token": self.client.get("/api/session").json["csrf_token"]}

    def grade(self, export: Export, folder: Path) -> list[Record]:
        """Uploads a zip, and waits."""
        body, kind = encode_multipart_formdata([("file", ("study.zip", export.zipped()))])
        sent = self.client.post("/api/studies", data=body, content_type=kind, headers=self.csrf)
        if sent.status_code != 202:
            raise RefusalError(sent.json["error"]["what"])
        study = self._wait(sent.json["id"])
        for choice in study.get("studies", ()):
            chosen = self.client.post(f"/api/studies/{sent.json['id']}/choices/{choice['number']}", headers=self.csrf)
            one = self._wait(chosen.json["id"])
            study = one if one.get("study_hash") == self.room._hash(export.study_uid) else study
        if "cells" not in study:
            raise RefusalError(study["error"]["what"])
        words = " ".join([*study["flags"], *(each["text"] for each in study["not_graded"])])
        return [{**cell, "notes": words} for cell in study["cells"]]

    def _wait(self, study_id: str) -> Record:
        self.room.get(study_id).wait(300)
        study: Record = self.client.get(f"/api/studies/{study_id}").json
        if "studies" not in study:
            self.client.delete(f"/api/studies/{study_id}", headers=self.csrf)
        return study


class Pacs(logging.Handler):
    """A PACS that sends a study by C-STORE and takes the report; what the node logs in place of one is a refusal."""

    def __init__(self, task: GradingTask) -> None:
        super().__init__()
        self.task = task
        self.node: DimseNode
        self.heard: queue.Queue[pydicom.Dataset | str] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a line of the node's log."""
        self.heard.put(record.getMessage())

    def take(self, event: Any) -> int:
        """Takes a report."""
        self.heard.put(event.dataset)
        return 0

    def grade(self, export: Export, folder: Path) -> list[Record]:
        """Sends the files one by one, and waits for the report."""
        datasets = [pydicom.dcmread(io.BytesIO(image.content())) for image in export.images]
        entity = AE(ae_title="SCANNER")
        entity.dimse_timeout = entity.acse_timeout = entity.network_timeout = 300  # a busy machine is no fault
        for kind, syntax in {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in datasets}:
            entity.add_requested_context(kind, syntax)
        association = entity.associate("127.0.0.1", self.node.port, ae_title="LUMBARGRADE")
        assert association.is_established
        for dataset in datasets:
            association.send_c_store(dataset)
        association.release()
        while not isinstance(heard := self.heard.get(timeout=300), str):
            if heard.StudyInstanceUID == export.study_uid:
                return self._records(hd.sr.ComprehensiveSR.from_dataset(heard))
        raise RefusalError(heard)

    def _records(self, report: hd.sr.ComprehensiveSR) -> list[Record]:
        content = report.content
        notes = " ".join(str(item.value) for item in content[0].ContentSequence if item.value_type.name == "TEXT")
        groups = [*content.get_planar_roi_measurement_groups(), *content.get_image_measurement_groups()]
        labels = {f"{c.condition.label} {c.level}": (c.condition.name, c.level) for c in self.task.cells}
        records = []
        for group in groups:
            condition, level = labels[group.tracking_identifier]
            grade = group.get_qualitative_evaluations()[0].value.meaning
            reasons = [str(item.value) for item in group[0].ContentSequence if item.value_type.name == "TEXT"]
            graded = None if grade == "Not graded" else grade
            reason = None if graded else " ".join(reasons)
            records.append({"condition": condition, "level": level, "grade": graded, "reason": reason, "notes": notes})
        return records


@contextmanager
def pacs(app: Any, task: GradingTask) -> Iterator[Pacs]:
    """A PACS beside the page's DICOM node."""
    peer = Pacs(task)
    entity = AE(ae_title="PACS")
    entity.add_supported_context(ComprehensiveSRStorage)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, peer.take)])
    log = logging.getLogger("lumbargrade.viewer.dicom_node")
    log.addHandler(peer)
    to = Node(title="PACS", host="127.0.0.1", port=server.socket.getsockname()[1])
    try:
        with dicom_node(app.extensions["reading_room"], DimseSettings(port=0, report_to=to, quiet_seconds=1)) as node:
            peer.node = node
            yield peer
    finally:
        log.removeHandler(peer)
        server.shutdown()


@contextmanager
def model_server(model: LoadedModel) -> Iterator[str]:
    """Serves the pyfunc over HTTP as MLflow does; yields the address."""
    served = served_model(model)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._send(b"\n")

        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            zipped = base64.b64decode(question["dataframe_split"]["data"][0][0])
            self._send(json.dumps({"predictions": _ask(served, zipped)}).encode())

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def page(model: LoadedModel, task: GradingTask, folder: Path) -> Iterator[Any]:
    """The reading page's application on the model that stands in."""
    from lumbargrade.viewer.schemas import ModelPage

    with model_server(model) as url:
        settings = WebSettings(task=task, model_url=url, data=folder / "data", spool=folder / "spool")
        app = create_app(settings, ModelPage(name="lumbargrade-rsna2024", version="1", alias="champion", run_id="r1"))
        try:
            yield app
        finally:
            app.extensions["reading_room"].close()
