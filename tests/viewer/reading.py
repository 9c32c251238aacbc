"""A reader at the page, and a small model server, which answers as the real one does, by what it is sent."""

import base64
import hashlib
import io
import json
import threading
import time
import uuid
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pydicom
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from urllib3.filepost import encode_multipart_formdata

from lumbargrade.config.task import GradingTask
from lumbargrade.models.trained_on import ModelFacts, Performance, TrainedOn
from lumbargrade.notes import Note, join_notes, write_notes_json
from lumbargrade.viewer.schemas import ModelPage

UNSEEN = ("right_subarticular_stenosis", "L1/L2")
"""The cell that the model server says it cannot grade."""


def expected_grade(task: GradingTask, study_uid: str, condition: str, level: str) -> str:
    """What the model server answers for a cell: it depends on the study that was sent, and on nothing else."""
    digest = hashlib.sha256(f"{study_uid} {condition} {level}".encode()).digest()
    return task.grades[digest[0] % len(task.grades)]


class ModelServer:
    """Answers /ping and /invocations; can be slow, down, or answer as MLflow answers what it does not like.

    It keeps what it was sent by request id and version, as the real one keeps crops, unless it is of an older time.
    """

    def __init__(self, task: GradingTask) -> None:
        self.task = task
        self.asked: list[bytes] = []
        self.keeps = True
        self.kept: dict[tuple[str, str], pydicom.Dataset] = {}
        self.explained: list[str] = []
        self.seconds = 0.0
        self.model = ""
        self.trained_on: str | None = None
        self.notes: list[Note] = []
        self.answers_codes = True
        self.confidence = 0.8
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._send(200 if outer.status == 200 else 503, b"\n")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(outer.seconds)
                if outer.status != 200:
                    self._send(outer.status, b"echo " + body)
                    return
                question = json.loads(body)
                if not question["dataframe_split"]["data"] and not outer.keeps:
                    self._send(400, b"No objects to concatenate")
                    return
                self._send(200, json.dumps({"predictions": outer.answer(question)}).encode())

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, question: dict[str, Any]) -> list[dict[str, Any]]:
        assert question["dataframe_split"]["columns"] == ["study"]
        explain = question.get("params", {}).get("explain", "")
        self.explained += [explain] if explain else []
        if not question["dataframe_split"]["data"]:
            request_id = question["params"]["request_id"]
            kept = self.kept.get((request_id, self.model))
            return [] if kept is None else self._records(kept, explain, request_id)
        archive = base64.b64decode(question["dataframe_split"]["data"][0][0], validate=True)
        self.asked.append(archive)
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            names = [name for name in zipped.namelist() if name.endswith(".dcm")]
            image = pydicom.dcmread(io.BytesIO(zipped.read(names[0])), stop_before_pixels=True)
        request_id = uuid.uuid4().hex
        self.kept[request_id, self.model] = image
        return self._records(image, explain, request_id)

    def _records(self, image: pydicom.Dataset, explain: str, request_id: str) -> list[dict[str, Any]]:
        cells = [(cell.condition.name, cell.level) for cell in self.task.cells]
        return [self._record(image, *cell, explain) | {"request_id": request_id} for cell in cells]

    def _record(self, image: pydicom.Dataset, condition: str, level: str, explain: str) -> dict[str, Any]:
        record: dict[str, Any] = {"study_id": str(image.StudyInstanceUID), "condition": condition, "level": level}
        nothing = dict.fromkeys(("series", "instance_number", "sop_instance_uid", "x", "y", "x_mm", "y_mm", "z_mm"))
        record |= dict.fromkeys((*self.task.grade_columns, "grade", "possible_grades", "confidence")) | nothing
        record |= {"reason": None, "notes": join_notes(self.notes), "model": self.model}
        if self.answers_codes:
            record |= {"reason_code": None, "notes_json": write_notes_json(self.notes)}
        record |= {} if self.trained_on is None else {"trained_on": self.trained_on}
        if explain:
            record |= {"heat_map": None, "heat_map_mm": None}
        if (condition, level) == UNSEEN:
            return record | {"reason": "no Axial T2 slice passes through L1/L2"}
        grade = expected_grade(self.task, str(image.StudyInstanceUID), condition, level)
        likely = self.task.grades.index(grade)
        values = [0.7 if number == likely else 0.15 for number in range(len(self.task.grades))]
        record |= dict(zip(self.task.grade_columns, values, strict=True))
        x, y, z = (float(value) for value in image.ImagePositionPatient)
        record |= {"grade": grade, "possible_grades": grade, "confidence": self.confidence, "x": 0.0, "y": 0.0}
        record |= {"series": str(image.SeriesInstanceUID), "instance_number": int(image.InstanceNumber)}
        record |= {"sop_instance_uid": str(image.SOPInstanceUID), "x_mm": x, "y_mm": y, "z_mm": z}
        if f"{condition}_{level.lower().replace('/', '_')}" == explain:
            record |= {"heat_map": HEAT, "heat_map_mm": 44.0}
        return record

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _png(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


HEAT = _png(np.arange(64, dtype=np.uint8).reshape(8, 8))


PAGE = ModelPage(name="lumbargrade-rsna2024", version="3", alias="champion", run_id="r1")

FACTS = ModelFacts(
    trained_on=TrainedOn(datasets=("phantom",), task="rsna2024", studies=38, synthetic_studies=38),
    cross_validation=Performance(
        studies=38, cells=950, accuracy=0.778, accuracy_majority=0.778, majority="Normal/Mild", worst="Severe",
        worst_found=3, worst_cells=24,
    ),
    coverage=0.9,
)  # fmt: skip
"""Of a model that knows synthetic spines only and is no better than answering the commonest grade."""

MakeApp = Callable[..., Flask]


class Reader:
    """A browser: it keeps cookies and sends the CSRF token."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()
        self.room = app.extensions["reading_room"]
        self.csrf = {"X-CSRF-Token": self.client.get("/api/session").json["csrf_token"]}

    def upload(self, *files: bytes, part: str = "file") -> Any:
        parts = [(part, (f"../../{number}.dcm", data)) for number, data in enumerate(files)]
        body, kind = encode_multipart_formdata(parts)
        return self.client.post("/api/studies", data=body, content_type=kind, headers=self.csrf)

    def graded(self, *files: bytes, part: str = "file") -> dict[str, Any]:
        """Uploads a study and waits for its answer."""
        response = self.upload(*files, part=part)
        assert response.status_code == 202, response.json
        assert self.wait(response.json["id"]) == "done"
        answer: dict[str, Any] = self.client.get(f"/api/studies/{response.json['id']}").json
        return answer

    def choose(self, upload: str, number: int) -> str:
        """Chooses one of an upload's studies; its id."""
        response = self.client.post(f"/api/studies/{upload}/choices/{number}", headers=self.csrf)
        assert response.status_code == 202, response.json
        return str(response.json["id"])

    def wait(self, study_id: str) -> str:
        stage: str = self.room.get(study_id).wait(300).stage
        return stage

    def get(self, path: str, **options: Any) -> Any:
        return self.client.get(path, **options)

    def correct(self, study_id: str, **body: Any) -> Any:
        return self.client.put(f"/api/studies/{study_id}/corrections", json=body, headers=self.csrf)


def study_uid(zipped: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        return str(pydicom.dcmread(io.BytesIO(archive.read(archive.namelist()[0]))).StudyInstanceUID)


def edited(data: bytes, **tags: Any) -> bytes:
    """A DICOM file with other tags."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    for name, value in tags.items():
        setattr(dataset, name, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()
