import re
from pathlib import Path

import pytest

from lumbargrade.config.task import GradingTask

from ..reading import MakeApp, ModelServer, Reader, edited, expected_grade, study_uid
from ..uploads import bomb, encrypted, zip_of


def test_a_zip_is_graded_as_it_was_sent(
    reader: Reader, zipped: bytes, model_server: ModelServer, rsna: GradingTask
) -> None:
    answer = reader.graded(zipped)
    assert model_server.asked == [zipped]
    uid = study_uid(zipped)
    for cell in answer["cells"]:
        if cell["reason"] is None:
            assert cell["grade"] == expected_grade(rsna, uid, cell["condition"], cell["level"])
            assert sum(cell["probabilities"].values()) == pytest.approx(1)
        else:
            assert (cell["condition"], cell["level"], cell["grade"]) == ("right_subarticular_stenosis", "L1/L2", None)
    assert len(answer["cells"]) == 25


def test_loose_files_are_one_study(reader: Reader, loose: list[bytes], zipped: bytes) -> None:
    together = reader.graded(*loose, b"not DICOM, such as a .DS_Store", part="files")
    alone = reader.graded(zipped)
    assert together["study_hash"] == alone["study_hash"]
    assert [series["slices"] for series in together["series"]] == [series["slices"] for series in alone["series"]]


def test_names_in_a_zip_are_never_paths(reader: Reader, loose: list[bytes], tmp_path: Path) -> None:
    answer = reader.graded(zip_of(**{f"../../../../tmp/evil{n}.dcm": data for n, data in enumerate(loose)}))
    assert sum(series["slices"] for series in answer["series"]) > 10
    assert not list(tmp_path.rglob("*evil*"))
    assert not list(Path("/tmp").glob("*evil*"))


def test_what_is_no_study_is_refused_at_once_in_plain_words(reader: Reader, zipped: bytes, loose: list[bytes]) -> None:
    cases = {
        "The upload is no zip and holds no DICOM file.": ([b"hello"], 415),
        "The upload holds no DICOM file.": ([zip_of(note=b"no images here")], 415),
        "The study's zip is encrypted.": ([encrypted(zipped)], 415),
        "The study's zip unpacks to 300 MiB from 0 MiB, which no real study does.": ([bomb()], 415),
        "The study is not a zip file that can be unpacked.": ([b"PK\x03\x04" + bytes(100)], 415),
        "The study is a 7z archive, which is not unpacked here.": ([b"7z\xbc\xaf\x27\x1c" + bytes(600)], 415),
        "The upload has more than 300 files.": ([loose[0]] * 301, 413),
        "The study's zip holds 301 files; at most 300 are taken": (
            [zip_of(**{f"f{n}": b"x" for n in range(301)})], 415,
        ),
        "The upload is larger than 67 MB.": ([bytes(65 << 20)], 413),
    }  # fmt: skip
    for what, (files, status) in cases.items():
        response = reader.upload(*files)
        error = response.json["error"]
        assert response.status_code == status, what
        assert error["what"] == what.partition("; ")[0].rstrip(".") + "."
        assert error["do"].endswith(".")
        assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)+", error["code"]), what
    assert not [path for path in reader.room.settings.spool.iterdir() if path.name.startswith("study-")]


def test_an_empty_post_is_refused(reader: Reader) -> None:
    response = reader.client.post("/api/studies", headers=reader.csrf)
    assert (response.status_code, response.json["error"]["what"]) == (415, "Nothing was uploaded.")
    assert response.json["error"]["code"] == "nothing-uploaded"


def test_a_body_that_ends_early_is_refused(reader: Reader) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nPK\x03\x04 and then nothing'
    response = reader.client.post(
        "/api/studies", data=body, content_type="multipart/form-data; boundary=b", headers=reader.csrf
    )
    assert (response.status_code, response.json["error"]["what"]) == (400, "The upload did not arrive as a whole.")


@pytest.mark.parametrize(
    ("tags", "what"),
    [
        ({"Modality": "CT"}, "The study holds CT images, not MR."),
        ({"Modality": "MEYER ANNA"}, "The study holds images of another kind, not MR."),
    ],
)
def test_another_modality_is_refused(reader: Reader, loose: list[bytes], tags: dict[str, str], what: str) -> None:
    study_id = reader.upload(*(edited(data, **tags) for data in loose[:3]), part="files").json["id"]
    assert reader.wait(study_id) == "failed"
    response = reader.get(f"/api/studies/{study_id}")
    assert (response.status_code, response.json["error"]["what"]) == (422, what)


def test_of_two_studies_each_can_be_chosen(
    reader: Reader, loose: list[bytes], zipped: bytes, model_server: ModelServer
) -> None:
    """The answer to a choice is what the study alone is answered; nothing is graded before."""
    late = [edited(data, StudyInstanceUID="1.2.3", StudyDate="20991231") for data in loose[:2]]
    upload = reader.upload(*loose, *late, part="files").json["id"]
    assert reader.wait(upload) == "choose"
    response = reader.get(f"/api/studies/{upload}")
    assert (response.status_code, response.json["error"]["what"]) == (300, "The upload holds 2 studies.")
    first, second = response.json["studies"]
    assert (first["images"], second["images"], second["date"]) == (len(loose), 2, "2099-12-31")
    assert first["shows"] and first["series"] == 3
    assert not model_server.asked
    chosen = reader.choose(upload, first["number"])
    assert reader.wait(chosen) == "done"
    answer = reader.get(f"/api/studies/{chosen}").json
    assert answer["study_hash"] == reader.graded(zipped)["study_hash"]
    assert reader.choose(upload, first["number"]) == chosen
    other = reader.choose(upload, second["number"])
    assert reader.wait(other) == "done"
    assert reader.get(f"/api/studies/{other}").json["study_hash"] != answer["study_hash"]
    assert reader.client.delete(f"/api/studies/{upload}", headers=reader.csrf).status_code == 204
    assert reader.get(f"/api/studies/{chosen}").status_code == 200


def test_what_cannot_be_chosen_is_refused(reader: Reader, loose: list[bytes], zipped: bytes) -> None:
    done = reader.graded(zipped)["id"]
    upload = reader.upload(loose[0], edited(loose[1], StudyInstanceUID="1.2.3"), part="files").json["id"]
    assert reader.wait(upload) == "choose"
    for study, number in ((done, 1), (upload, 3), (upload, 0), ("unknown", 1)):
        path = f"/api/studies/{study}/choices/{number}"
        assert reader.client.post(path, headers=reader.csrf).status_code == 404
    assert reader.client.post(f"/api/studies/{upload}/choices/1").status_code == 403


def test_archives_beside_loose_files_are_looked_into(reader: Reader, loose: list[bytes]) -> None:
    """A CD's folder with its viewer, and a part of the study in a zip of its own."""
    viewer = zip_of(**{"Viewer.class": b"\xca\xfe", "manifest": b"Main-Class: Viewer"})
    part = zip_of(**{f"f{n}": data for n, data in enumerate(loose[10:])})
    answer = reader.graded(viewer, *loose[:10], b"[autorun]", part, part="files")
    assert sum(series["slices"] for series in answer["series"]) == len(loose)


def test_images_of_another_kind_are_not_shown(reader: Reader, loose: list[bytes]) -> None:
    picture = edited(loose[0], Modality="OT", SOPInstanceUID="1.2.3.4", SeriesInstanceUID="1.2.3")
    answer = reader.graded(*loose[1:], picture, part="files")
    assert sum(series["slices"] for series in answer["series"]) == len(loose) - 1


def test_the_room_is_full(make_app: MakeApp, zipped: bytes) -> None:
    reader = Reader(make_app(max_studies=1))
    first = reader.graded(zipped)
    refused = reader.upload(zipped)
    assert (refused.status_code, refused.json["error"]["what"]) == (503, "The reading room is full.")
    assert reader.client.delete(f"/api/studies/{first['id']}", headers=reader.csrf).status_code == 204
    reader.graded(zipped)
