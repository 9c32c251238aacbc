"""What a reader gets of a graded study."""

import base64
import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from lumbargrade.config.task import GradingTask
from lumbargrade.dicom.headers import read_headers
from lumbargrade.dicom.pixels import read_pixels
from lumbargrade.viewer.image_index import SeriesIndex, SliceIndex, StudyIndex
from lumbargrade.viewer.schemas import Cell, Place
from lumbargrade.viewer.studies.present import build_heat, find_slice

from ..reading import HEAT, MakeApp, ModelServer, Reader, edited


@pytest.fixture
def answer(reader: Reader, zipped: bytes) -> dict[str, Any]:
    return reader.graded(zipped)


def test_slices_are_the_scanners_pixels_where_the_geometry_says(
    reader: Reader, answer: dict[str, Any], loose: list[bytes], tmp_path: Path
) -> None:
    seen = 0
    for number, data in enumerate(loose):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(data)
        header = read_headers(path)[0]
        for series in answer["series"]:
            for index, piece in enumerate(series["geometry"]):
                same = np.allclose(piece["origin_mm"], header.plane.position) and np.allclose(
                    piece["row_dir"], header.plane.row_direction
                )
                if same and header.plane.shape == (series["rows"], series["columns"]):
                    response = reader.get(f"/api/studies/{answer['id']}/series/{series['id']}/slices/{index}")
                    values = np.frombuffer(response.data, "<u2").reshape(series["rows"], series["columns"])
                    told = values * float(response.headers["X-Scale"]) + float(response.headers["X-Offset"])
                    if np.allclose(told, read_pixels(header), atol=float(response.headers["X-Scale"])):
                        seen += 1
    assert seen == len(loose)


def test_slices_are_in_their_order_in_the_patient(answer: dict[str, Any]) -> None:
    axes = {"sagittal": 0, "coronal": 1, "axial": 2}
    assert {series["title"] for series in answer["series"]} >= {"Sagittal T1", "Sagittal T2", "Axial T2"}
    for series in answer["series"]:
        assert len(series["geometry"]) == series["slices"]
        middle = [
            np.array(piece["origin_mm"])
            + np.array(piece["column_dir"]) * series["pixel_mm"][0] * (series["rows"] - 1) / 2
            + np.array(piece["row_dir"]) * series["pixel_mm"][1] * (series["columns"] - 1) / 2
            for piece in series["geometry"]
        ]
        along = [place[axes[series["plane"]]] for place in middle]
        assert along == sorted(along)


def test_a_slice_is_packed_and_kept_by_the_browser(reader: Reader, answer: dict[str, Any]) -> None:
    path = f"/api/studies/{answer['id']}/series/{answer['series'][0]['id']}/slices/0"
    plain = reader.get(path)
    packed = reader.get(path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert "private" in plain.headers["Cache-Control"]
    assert reader.get(path, headers={"If-None-Match": plain.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("path", ["series/s9/slices/0", "series/s0/slices/999", "series/..%2f..%2fetc/slices/0"])
def test_a_slice_that_is_not_there_is_told(reader: Reader, answer: dict[str, Any], path: str) -> None:
    assert reader.get(f"/api/studies/{answer['id']}/{path}").status_code == 404


def test_the_place_is_on_the_slice_that_the_model_named(answer: dict[str, Any]) -> None:
    for cell in answer["cells"]:
        place = cell["place"]
        assert (place is None) == (cell["grade"] is None)
        if place is not None:
            series = next(series for series in answer["series"] if series["id"] == place["series_id"])
            assert series["geometry"][place["slice"]]["origin_mm"] == pytest.approx(place["mm"])


def test_progress_is_streamed_to_its_end(reader: Reader, zipped: bytes, model_server: ModelServer) -> None:
    study_id = reader.upload(zipped).json["id"]
    text = reader.get(f"/api/studies/{study_id}/events").get_data(as_text=True)
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    stages = [event["stage"] for event in events]
    order = ["received", "checking", "reading", "grading", "done"]
    assert stages == sorted(stages, key=order.index)
    assert stages[-1] == "done"
    assert [event["percent"] for event in events] == sorted(event["percent"] for event in events)
    again = reader.get(f"/api/studies/{study_id}/events").get_data(as_text=True)
    assert again.count("data: ") == 1
    assert "done" in again


def test_a_study_at_work_says_how_far_it_is(reader: Reader, zipped: bytes, model_server: ModelServer) -> None:
    model_server.seconds = 3
    study_id = reader.upload(zipped).json["id"]
    response = reader.get(f"/api/studies/{study_id}")
    assert (response.status_code, response.json["stage"] in ("received", "checking", "reading", "grading")) == (
        202,
        True,
    )
    assert reader.get(f"/api/studies/{study_id}/report.pdf").status_code == 409


def test_the_model_servers_words_are_never_passed_on(reader: Reader, zipped: bytes, model_server: ModelServer) -> None:
    model_server.status = 400
    study_id = reader.upload(zipped).json["id"]
    assert reader.wait(study_id) == "failed"
    response = reader.get(f"/api/studies/{study_id}")
    assert response.status_code == 422
    assert response.json["error"]["what"] == "The model server does not answer."
    assert b"echo" not in response.data
    assert b"echo" not in reader.get(f"/api/studies/{study_id}/events").data


def test_the_model_server_may_be_down_and_come_back(
    make_app: MakeApp, zipped: bytes, model_server: ModelServer
) -> None:
    model_server.status = 503
    reader = Reader(make_app())
    assert reader.get("/readyz").status_code == 503
    assert reader.get("/healthz").status_code == 200
    assert reader.wait(reader.upload(zipped).json["id"]) == "failed"
    model_server.status = 200
    reader.graded(zipped)


def test_a_heat_map_is_asked_for_once(reader: Reader, answer: dict[str, Any], model_server: ModelServer) -> None:
    assert model_server.explained == []
    for cell in (*answer["cells"][:2], answer["cells"][0]):
        heat = reader.get(
            f"/api/studies/{answer['id']}/heat", query_string={"condition": cell["condition"], "level": cell["level"]}
        ).json
        assert heat["side_mm"] == 44
        assert {name: heat[name] for name in ("series_id", "slice", "x", "y")} == {
            name: cell["place"][name] for name in ("series_id", "slice", "x", "y")
        }
        assert cell["grade"] in heat["words"]
        assert "not evidence" in heat["words"]
    assert model_server.explained == ["spinal_canal_stenosis_l1_l2", "spinal_canal_stenosis_l2_l3"]
    model_server.model = "lumbargrade-rsna2024/8"
    other = answer["cells"][2]
    changed = reader.get(
        f"/api/studies/{answer['id']}/heat", query_string={"condition": other["condition"], "level": other["level"]}
    )
    assert (changed.status_code, changed.json["error"]["what"]) == (409, "Another version of the model answers now.")
    unseen = reader.get(
        f"/api/studies/{answer['id']}/heat", query_string={"condition": "right_subarticular_stenosis", "level": "L1/L2"}
    )
    assert unseen.status_code == 404


def test_a_heat_map_sends_the_study_again_only_if_the_model_server_no_longer_has_it(
    reader: Reader, answer: dict[str, Any], model_server: ModelServer
) -> None:
    def heat(number: int) -> Any:
        cell = answer["cells"][number]
        where = {"condition": cell["condition"], "level": cell["level"]}
        return reader.get(f"/api/studies/{answer['id']}/heat", query_string=where)

    (zipped,) = model_server.asked
    assert heat(0).status_code == 200
    assert model_server.asked == [zipped]
    model_server.kept.clear()
    assert heat(1).status_code == 200
    assert model_server.asked == [zipped, zipped]
    assert heat(2).status_code == 200
    assert model_server.asked == [zipped, zipped]


def test_a_model_that_keeps_nothing_is_sent_the_study(
    reader: Reader, answer: dict[str, Any], model_server: ModelServer
) -> None:
    model_server.keeps = False
    cell = answer["cells"][0]
    where = {"condition": cell["condition"], "level": cell["level"]}
    assert reader.get(f"/api/studies/{answer['id']}/heat", query_string=where).status_code == 200
    assert len(model_server.asked) == 2


@pytest.mark.parametrize(
    ("row", "column", "turn"),
    [
        ((0, 1, 0), (0, 0, -1), lambda heat: heat),
        ((0, -1, 0), (0, 0, -1), lambda heat: heat[:, ::-1]),
        ((0, 1, 0), (0, 0, 1), lambda heat: heat[::-1]),
        ((0, 0, -1), (0, 1, 0), lambda heat: heat.T),
        ((0, 0, 1), (0, 1, 0), lambda heat: heat.T[:, ::-1]),
        ((1, 0, 0), (0, 1, 0), lambda heat: heat),
        ((-1, 0, 0), (0, 1, 0), lambda heat: heat[:, ::-1]),
    ],
)
def test_a_heat_map_is_turned_as_its_slice_is_stored(row: Any, column: Any, turn: Any) -> None:
    index = index_of(SliceIndex(sop_uid="1", frame=None, origin_mm=(0, 0, 0), row_dir=row, column_dir=column))
    place = Place(series_id="s0", slice=0, x=1, y=1, mm=(0, 0, 0), confidence=None)
    cell = Cell(
        condition="c", level="l", grade="Severe", probabilities=None, possible_grades=(), reason=None, correction=None,
        place=place,
    )  # fmt: skip
    heat = build_heat({"heat_map": HEAT, "heat_map_mm": 44.0}, cell, place, index)
    assert heat is not None
    assert (pixels(heat.png) == turn(pixels(HEAT))).all()


def pixels(png: str) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(base64.b64decode(png))))


def index_of(*slices: SliceIndex) -> StudyIndex:
    series = SeriesIndex(
        id="s0", title="", plane="sagittal", weighting="T2", rows=8, columns=8, window=(1, 1), pixel_mm=(1, 1), offset=0,
        scale=1, geometry_known=True, unreadable=0, slices=slices,
    )  # fmt: skip
    return StudyIndex(study_uid="1", series=(series,), identifiers=None, members={})


def test_of_the_frames_of_one_file_the_nearest_is_meant() -> None:
    frames = [
        SliceIndex(sop_uid="1", frame=n, origin_mm=(4.0 * n, 0, 0), row_dir=(0, 1, 0), column_dir=(0, 0, -1))
        for n in range(5)
    ]
    found = find_slice(index_of(*frames), "1", (12.3, 50, 60))
    assert found is not None
    assert found[1] == 3
    assert find_slice(index_of(*frames), "2", (0, 0, 0)) is None


def test_who_the_patient_is_stays_out_unless_it_is_wanted(
    make_app: MakeApp,
    loose: list[bytes],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    planted = {"PatientName": "Meyer^Anna", "PatientID": "SECRET42", "SeriesDescription": "Sag T2 Meyer"}
    files = [edited(data, **planted) for data in loose]
    quiet, open_room = Reader(make_app()), None
    answer = quiet.graded(*files, part="files")
    assert answer["identifiers"] is None
    quiet.correct(answer["id"], condition="spinal_canal_stenosis", level="L4/L5", grade="Severe")
    told = json.dumps(answer) + quiet.get("/metrics").get_data(as_text=True)
    for report in ("csv", "json"):
        told += quiet.get(answer["report"][report]).get_data(as_text=True)
    told += "".join(path.read_text() for path in (tmp_path / "data").iterdir() if path.suffix == ".jsonl")
    out, err = capfd.readouterr()
    for secret in ("Meyer", "SECRET42", pydicom.dcmread(io.BytesIO(loose[0])).StudyInstanceUID):
        assert secret not in told + out + err + caplog.text
    open_room = Reader(make_app(show_identifiers=True, spool=tmp_path / "other"))
    shown = open_room.graded(*files, part="files")["identifiers"]
    assert (shown["patient_name"], shown["patient_id"]) == ("Meyer^Anna", "SECRET42")


def test_a_damaged_slice_is_left_out_and_told(reader: Reader, loose: list[bytes], rsna: GradingTask) -> None:
    damaged = bytearray(loose[5])
    damaged = damaged[: len(damaged) - 3000]
    answer = reader.graded(*loose[:5], bytes(damaged), *loose[6:], part="files")
    assert sum(series["slices"] for series in answer["series"]) == len(loose) - 1
    assert any("1 slice of" in flag and "could not be decoded" in flag for flag in answer["flags"])
