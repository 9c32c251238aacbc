"""Many studies, their time, and what is left of them."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from lumbargrade.config.task import GradingTask
from lumbargrade.data.study_zip import zip_study
from lumbargrade.errors import InputError
from lumbargrade.viewer.studies.spool import Spool

from ..reading import MakeApp, ModelServer, Reader, expected_grade, study_uid


def studies(settings_spool: Path) -> list[Path]:
    return [path for path in settings_spool.iterdir() if path.name.startswith("study-")]


@pytest.mark.slow
def test_twenty_uploads_at_once_are_not_mixed_up(
    app: Flask, phantom: Path, study_ids: list[int], rsna: GradingTask
) -> None:
    archives = [zip_study(phantom, study_id, with_points=False) for study_id in study_ids]
    answers: dict[int, dict] = {}

    def read(number: int) -> None:
        answers[number] = Reader(app).graded(archives[number % len(archives)])

    threads = [threading.Thread(target=read, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 20
    assert len({answer["id"] for answer in answers.values()}) == 20
    assert len({answer["request_id"] for answer in answers.values()}) == 20
    for number, answer in answers.items():
        uid = study_uid(archives[number % len(archives)])
        for cell in answer["cells"]:
            if cell["grade"] is not None:
                assert cell["grade"] == expected_grade(rsna, uid, cell["condition"], cell["level"])
    hashes = [{answers[n]["study_hash"] for n in range(k, 20, len(archives))} for k in range(len(archives))]
    assert all(len(same) == 1 for same in hashes)
    assert len(set.union(*hashes)) == len(archives)


@pytest.mark.slow
def test_those_that_wait_are_told_their_place(make_app: MakeApp, zipped: bytes, model_server: ModelServer) -> None:
    model_server.seconds = 2
    reader = Reader(make_app(workers=1))
    ids = [reader.upload(zipped).json["id"] for _ in range(3)]
    last = reader.get(f"/api/studies/{ids[2]}").json
    assert (last["stage"], last["words"]) == ("received", "1 study is waiting before this one.")
    for study_id in ids:
        assert reader.wait(study_id) == "done"


def test_a_study_is_forgotten_after_its_time(make_app: MakeApp, zipped: bytes) -> None:
    reader = Reader(make_app(keep_seconds=2))
    answer = reader.graded(zipped)
    spool = reader.room.settings.spool
    assert len(studies(spool)) == 1
    give_up = time.monotonic() + 120
    while studies(spool) and time.monotonic() < give_up:
        time.sleep(0.2)
    assert studies(spool) == []
    response = reader.get(f"/api/studies/{answer['id']}")
    assert (response.status_code, response.json["error"]["do"]) == (404, "Send it again.")
    assert response.json["error"]["code"] == "study-gone"
    assert reader.get(answer["report"]["pdf"]).status_code == 404


def test_a_study_is_forgotten_when_it_is_asked_for(reader: Reader, zipped: bytes) -> None:
    answer = reader.graded(zipped)
    assert reader.client.delete(f"/api/studies/{answer['id']}", headers=reader.csrf).status_code == 204
    assert studies(reader.room.settings.spool) == []
    assert reader.get(f"/api/studies/{answer['id']}").status_code == 404


def test_the_id_of_a_study_is_not_on_the_disk(reader: Reader, zipped: bytes) -> None:
    answer = reader.graded(zipped)
    assert not [path for path in reader.room.settings.spool.rglob("*") if answer["id"] in str(path)]


def test_what_an_earlier_process_left_is_removed(make_app: MakeApp, settings) -> None:
    left = settings.spool / "study-0123"
    left.mkdir(parents=True)
    (left / "upload.zip").write_bytes(b"x")
    make_app()
    assert studies(settings.spool) == []


def test_two_rooms_do_not_share_a_spool(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    with pytest.raises(InputError, match="is used by another reading room"):
        Spool(tmp_path)
    first.close()


@pytest.fixture
def closed(make_app: MakeApp, zipped: bytes) -> Iterator[Path]:
    app = make_app()
    reader = Reader(app)
    reader.graded(zipped)
    app.extensions["reading_room"].close()
    return reader.room.settings.spool


def test_the_spool_is_empty_in_the_end(closed: Path) -> None:
    assert studies(closed) == []
