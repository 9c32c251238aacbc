"""What is one study is the same at every door: the command, a batch, and the model server."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pydicom
import pytest
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from lumbargrade.cli.app import app
from lumbargrade.inference.schema import STUDY_COLUMN
from lumbargrade.serving.batch.run import run_batch

pytestmark = pytest.mark.slow

Door = Callable[[bytes], tuple[set[str], set[str]]]


@pytest.fixture(params=["command", "batch", "model server"])
def door(request: pytest.FixtureRequest, model_folder: Path, tmp_path: Path) -> Door:
    """Grades a zip; returns the reasons and the notes of the answer."""

    def command(zipped: bytes) -> tuple[set[str], set[str]]:
        (tmp_path / "study.zip").write_bytes(zipped)
        told = CliRunner().invoke(app, ["grade", str(tmp_path / "study.zip"), "--model", str(model_folder), "--json"])
        if told.exit_code:
            return {str(told.exception)}, set()
        return words(pd.DataFrame(json.loads(told.stdout)))

    def batch(zipped: bytes) -> tuple[set[str], set[str]]:
        (tmp_path / "studies").mkdir()
        (tmp_path / "studies" / "study.zip").write_bytes(zipped)
        out = tmp_path / "out.parquet"
        summary = run_batch(tmp_path / "studies", out, str(model_folder), 1, lambda done, total: None)
        if summary.faults:
            return set(pd.read_csv(tmp_path / "out.faults.csv")["fault"]), set()
        return words(pd.read_parquet(out))

    def server(zipped: bytes) -> tuple[set[str], set[str]]:
        return words(mlflow.pyfunc.load_model(str(model_folder)).predict(pd.DataFrame({STUDY_COLUMN: [zipped]})))

    return {"command": command, "batch": batch, "model server": server}[request.param]


def words(answer: pd.DataFrame) -> tuple[set[str], set[str]]:
    return set(answer["reason"].dropna()), set(answer["notes"].dropna())


def joined(*zips: bytes, edit: Callable[[pydicom.Dataset], Any] = lambda dataset: None) -> bytes:
    """The images of some zips in one, under names that say nothing; the last zip's are edited."""
    buffer, count = io.BytesIO(), 0
    with zipfile.ZipFile(buffer, "w") as new:
        for place, zipped in enumerate(zips):
            with zipfile.ZipFile(io.BytesIO(zipped)) as old:
                for name in old.namelist():
                    if not name.endswith(".dcm"):
                        continue
                    dataset, changed = pydicom.dcmread(io.BytesIO(old.read(name))), io.BytesIO()
                    if place == len(zips) - 1:
                        edit(dataset)
                    dataset.save_as(changed)
                    new.writestr(f"IM{(count := count + 1):05d}", changed.getvalue())
    return buffer.getvalue()


def test_two_studies_are_answered_apart_but_by_the_server(
    door: Door, zipped: bytes, request: pytest.FixtureRequest
) -> None:
    """Its answer is of one study; the model here looks nowhere, so that each study has the reason of its own."""
    two = joined(zipped, zipped, edit=lambda dataset: setattr(dataset, "StudyInstanceUID", "1.2.3"))
    (reason,), _ = door(two)
    refused = request.node.callspec.params["door"] == "model server"
    assert reason.startswith("the files belong to 2 studies" if refused else "the model has no locator")


def test_two_patients_are_refused_at_each_door(door: Door, zipped: bytes) -> None:
    def change(dataset: pydicom.Dataset) -> None:
        dataset.PatientID, dataset.SOPInstanceUID = "SECRET", generate_uid()

    (reason,), _ = door(joined(zipped, zipped, edit=change))
    assert "are of 2 patients" in reason
    assert "SECRET" not in reason


def test_what_is_left_out_is_said_at_each_door(door: Door, zipped: bytes) -> None:
    def change(dataset: pydicom.Dataset) -> None:
        dataset.Modality, dataset.SOPInstanceUID = "US", generate_uid()

    _, (note,) = door(joined(zipped, zipped, edit=change))
    assert "US images left out" in note


def test_lost_files_are_said_at_each_door(door: Door, zipped: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(zipped)) as old, zipfile.ZipFile(buffer, "w") as new:
        for place, name in enumerate(old.namelist()):
            data = old.read(name)
            new.writestr(name, data[:200] if place in (1, 2) else data)
    _, (note,) = door(buffer.getvalue())
    assert "2 files beside series" in note
