"""The served model: whatever is sent, the next one has its turn, and each cell says why it was not graded."""

import io
import os
import signal
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import psutil
import pytest
import requests

from lumbargrade.errors import LumbargradeError
from lumbargrade.scratch import scratch_root
from lumbargrade.serving.mlflow_server import ask, is_ready
from lumbargrade.serving.records.prediction_log import SERVING_LOG, ServingLog
from tests.served import served_model
from tests.zips import damaged, far_file, huge_offset, images, not_utf8, other_local_name, rezip, wrong_crc

pytestmark = pytest.mark.slow


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv(SERVING_LOG, str(tmp_path / "answers.jsonl"))
    return folder


@pytest.fixture
def served(model_folder: Path, temporary: Path) -> Any:
    """The model as MLflow loads it into its server's process."""
    return mlflow.pyfunc.load_model(str(model_folder))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Decoding takes long until the event is set."""
    from lumbargrade.preprocessing import series

    decode, over = series.read_pixels, threading.Event()

    def read(header: Any) -> Any:
        over.wait(0.3)
        return decode(header)

    monkeypatch.setattr(series, "read_pixels", read)
    yield over
    over.set()


def answer(served: Any, study: bytes) -> pd.DataFrame:
    return served.predict(pd.DataFrame({"study": [study]}))


def test_a_study_that_takes_too_long_is_refused_and_the_next_one_answered(
    served: Any, zipped: bytes, slow: threading.Event, temporary: Path
) -> None:
    model = served.unwrap_python_model()
    model.seconds = 0.5
    refused = answer(served, zipped)
    assert set(refused["reason"].str.partition(";")[0]) == {"the study was not graded within 0 s"}
    slow.set()
    model.seconds = 600
    assert answer(served, zipped)["grade"].notna().all()
    assert not list(temporary.rglob("*.dcm"))


def test_who_waits_too_long_for_another_study_is_answered(served: Any, zipped: bytes, temporary: Path) -> None:
    model = served.unwrap_python_model()
    model.seconds = 0.2
    with model.turn:
        refused = answer(served, zipped)
    assert refused["reason"].str.startswith("the model server was busy with other studies").all()
    model.seconds = 600
    assert answer(served, zipped)["grade"].notna().all()


def test_a_full_disk_is_said_without_the_folder_and_logged_with_it(
    served: Any, zipped: bytes, temporary: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TMPDIR", str(temporary / "gone"))
    refused = answer(served, zipped)
    assert refused["reason"].str.contains("folder for temporary files is full or cannot be written").all()
    assert not refused["reason"].str.contains("gone").any()
    assert str(temporary / "gone") in caplog.text


def test_an_error_that_nobody_thought_of_quotes_nothing(
    served: Any, zipped: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*some: object, **more: object) -> None:
        raise KeyError("MEYER^ANNA")

    monkeypatch.setattr("lumbargrade.inference.study.read_study_points", fail)
    refused = answer(served, zipped)
    assert set(refused["reason"]) == {"the study could not be graded (KeyError)"}
    assert "MEYER" not in caplog.text


def test_several_studies_are_answered_though_one_is_damaged(served: Any, zipped: bytes) -> None:
    both = served.predict(pd.DataFrame({"study": [b"no zip", zipped]}))
    assert both["reason"].notna().tolist() == [True] * 25 + [False] * 25


def test_a_real_server_answers_odd_zips_and_leaves_nothing(model_folder: Path, zipped: bytes, temporary: Path) -> None:
    first = images(zipped)[0]
    everything = rezip(zipped, lambda name: None if name == "points.csv" else name)
    zeros = io.BytesIO()
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.dcm", bytes(128) + b"DICM" + bytes(100 << 20))
    whole = {
        "odd name": not_utf8(zipped, first),
        "two names": other_local_name(zipped, first),
        "lzma": damaged(zipped, first, zipfile.ZIP_LZMA),
        "crc": wrong_crc(zipped, first),
        "far": far_file(zipped, first),
        "long name": rezip(zipped, lambda name: f"1/{'2' * 300}.dcm" if name == first else name),
    }
    lost = {"offset": huge_offset(everything), "empty": b"", "zeros": zeros.getvalue()}
    with served_model(str(model_folder)) as address:
        for what, study in whole.items():
            records = ask(address, study)
            assert sum(record["grade"] is not None for record in records) > 15, what
        for what, study in lost.items():
            records = ask(address, study)
            assert len(records) == 25 and all(record["reason"] for record in records), what
        assert is_ready(address)
        assert not list(temporary.rglob("*.dcm"))
    answers = list(ServingLog(Path(os.environ[SERVING_LOG])).answers())
    assert len(answers) == len(whole) + len(lost)


@pytest.mark.long
def test_a_killed_server_leaves_nothing_behind_its_next_start(
    model_folder: Path, zipped: bytes, temporary: Path
) -> None:
    with served_model(str(model_folder)) as address:
        port = int(address.rsplit(":", 1)[1])
        failed = threading.Thread(target=_fail_to_ask, args=(address, zipped))
        failed.start()
        end = time.monotonic() + 60
        while not list(temporary.rglob("*.dcm")):
            assert time.monotonic() < end
        os.kill(_listener(port), signal.SIGKILL)
        failed.join()
        assert list(temporary.rglob("*.dcm"))
    with served_model(str(model_folder)):
        assert not list(temporary.rglob("*.dcm"))
        assert [path.name for path in scratch_root().iterdir()] == [".lock"]


def _fail_to_ask(address: str, study: bytes) -> None:
    with pytest.raises((LumbargradeError, requests.RequestException)):
        ask(address, study)


def _listener(port: int) -> int:
    """The process that scores: it listens there."""
    return next(
        process.pid
        for process in psutil.process_iter()
        for connection in _connections(process)
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    )


def _connections(process: psutil.Process) -> list[Any]:
    try:
        return process.net_connections()
    except psutil.Error:
        return []
