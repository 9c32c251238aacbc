"""Where the graders looked: over the slice as it is displayed, on request only, beside an unchanged answer."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from lumbargrade.cli.app import app
from lumbargrade.config.params import PrepareParams
from lumbargrade.config.task import GradingTask
from lumbargrade.inference import explain
from lumbargrade.inference.explain import Look, explain_study, with_heat_maps
from lumbargrade.inference.figures import CAUTION, look_figure
from lumbargrade.inference.grade import grade_study, refuse_study
from lumbargrade.inference.schema import ANSWER_HEAT, STUDY_COLUMN
from lumbargrade.inference.study import open_study
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.models.calibration import Calibration
from lumbargrade.models.explain import explain_crops
from lumbargrade.models.grader import Grader, GraderConfig
from lumbargrade.preprocessing.crop import cut_crop
from lumbargrade.preprocessing.series import SeriesImages
from lumbargrade.serving.mlflow_server import ask, ask_kept
from lumbargrade.serving.records.prediction_log import SERVING_LOG
from tests.served import served_model

pytestmark = pytest.mark.slow

ONE = "left_neural_foraminal_narrowing_l4_l5"


class LeftEdge(Grader):
    """Says Severe by what it sees at the left of its input."""

    def describe(self, images: Tensor) -> Tensor:
        return images[:, :, :, :4].square().mean((1, 2, 3))[:, None]

    def judge(self, described: Tensor, cells: Tensor, studies: Tensor | None = None) -> Tensor:
        return torch.cat([-described, torch.zeros_like(described), described], dim=1)


@pytest.fixture
def left_edge(rsna: GradingTask) -> Grader:
    return LeftEdge(GraderConfig(task=rsna, prepare=PrepareParams(), crop_mm=44, image_pixels=32)).eval()


def warm_side(heat: NDArray[np.float32]) -> str:
    left, right = heat[:, :64].sum(), heat[:, 64:].sum()
    assert min(left, right) == 0 < max(left, right)
    return "left" if left else "right"


def test_heat_and_crop_are_the_way_the_slice_is_displayed(zipped: bytes, left_edge: Grader, rsna: GradingTask) -> None:
    with open_study(zipped, rsna) as study:
        answer, looks = explain_study(LoadedModel([left_edge], [], "", Calibration.identity(rsna)), study)
        assert len(looks) == 25
        for record in answer.to_dict("records"):
            condition = rsna.condition(record["condition"])
            look = looks[record["condition"], record["level"]]
            reflected = condition.name == "right_subarticular_stenosis"  # sagittal crops keep their columns
            assert warm_side(look.heat) == ("right" if reflected else "left")
            images = SeriesImages(study.series[record["series"]], left_edge.config.prepare.percentiles)
            stack, place = images.find(record["instance_number"])
            shown = cut_crop(images, stack, place, (record["x"], record["y"]), False, left_edge.config.prepare)
            np.testing.assert_array_equal(look.grey, shown[1])


def test_the_answer_is_the_same_with_an_explanation(zipped: bytes, model: LoadedModel, rsna: GradingTask) -> None:
    with open_study(zipped, rsna) as study:
        assert study.points is not None
        study = replace(study, points=study.points[study.points["level"] != "L3/L4"])
        plain = grade_study(model, study)
        answer, looks = explain_study(model, study)
    pd.testing.assert_frame_equal(plain, answer)
    graded = answer["grade"].notna()
    assert graded.sum() == 20
    assert set(looks) == set(zip(answer["condition"][graded], answer["level"][graded], strict=True))


def test_where_nothing_is_graded_nothing_is_explained(
    phantom: Path, study_id: int, model: LoadedModel, rsna: GradingTask
) -> None:
    with open_study(phantom / "train_images" / str(study_id), rsna) as study:
        answer, looks = explain_study(model, study)
    assert looks == {}
    assert answer["grade"].isna().all()


def test_the_heat_map_column_is_a_png_of_the_heat(rsna: GradingTask) -> None:
    heat = np.linspace(0, 1, 128 * 128, dtype=np.float32).reshape(128, 128)
    answer = refuse_study(rsna, "it is no zip")
    look = Look(np.zeros((128, 128), np.uint8), heat)
    told = with_heat_maps(answer, {("spinal_canal_stenosis", "L2/L3"): look}, PrepareParams())
    assert list(told.columns) == [*answer.columns, *ANSWER_HEAT]
    assert told.loc[1, "heat_map_mm"] == 64
    np.testing.assert_array_equal(decoded(told.loc[1, "heat_map"]), np.round(heat * 255))
    others = told.drop(index=1)
    assert all(value is None for name in ANSWER_HEAT for value in others[name])


def decoded(text: object) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(base64.b64decode(str(text))))
    assert (image.format, image.mode) == ("PNG", "L")
    return np.asarray(image)


def test_mlflow_explains_on_request_only(model_folder: Path, zipped: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    model = mlflow.pyfunc.load_model(str(model_folder))
    asked: list[int] = []
    monkeypatch.setattr(explain, "explain_crops", lambda *told: asked.append(len(told[1])) or explain_crops(*told))
    studies = pd.DataFrame({STUDY_COLUMN: [zipped, b"no zip"]})
    plain = model.predict(studies)
    assert asked == []
    assert not set(ANSWER_HEAT) & set(plain.columns)
    told = model.predict(studies, params={"explain": "all"})
    assert asked == [25]
    pd.testing.assert_frame_equal(told[plain.columns].drop(columns="request_id"), plain.drop(columns="request_id"))
    for row, text in enumerate(told["heat_map"]):
        assert (text is None) == (row >= 25)
        if text is not None:
            assert decoded(text).shape == (128, 128)
            assert decoded(text).max() in {0, 255}
    assert told["heat_map_mm"].tolist() == [64.0] * 25 + [None] * 25
    one = model.predict(studies, params={"explain": ONE})
    assert asked == [25, 1]
    explained = one[one["heat_map"].notna()]
    assert [*explained[["condition", "level"]].iloc[0]] == ["left_neural_foraminal_narrowing", "L4/L5"]
    assert explained["heat_map"].tolist() == told["heat_map"][explained.index].tolist()
    some = "give all, or one cell such as spinal_canal_stenosis_l1_l2"
    with pytest.raises(mlflow.MlflowException, match=rf"^params.explain names no cell of task rsna2024; {some}$"):
        model.predict(studies, params={"explain": "perhaps"})


def test_the_server_explains_on_request_only(
    model_folder: Path, zipped: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model_folder.parent)
    with served_model(str(model_folder)) as address:
        plain, told = ask(address, zipped), ask(address, zipped, explain=ONE)
        assert ask_kept(address, "another", ONE) == []
        kept = ask_kept(address, plain[0]["request_id"], ONE)
    assert kept == [{**record, "request_id": plain[0]["request_id"]} for record in told]
    others = dict.fromkeys((*ANSWER_HEAT, "request_id"))
    assert [{**record, **others} for record in plain] == [{**record, **others} for record in told]
    assert not set(ANSWER_HEAT) & set(plain[0])
    (explained,) = [record for record in told if record["heat_map"] is not None]
    assert (explained["condition"], explained["level"]) == ("left_neural_foraminal_narrowing", "L4/L5")
    assert decoded(explained["heat_map"]).shape == (128, 128)
    assert explained["heat_map_mm"] == 64.0


def test_an_answer_is_explained_from_what_was_kept_of_it(
    model_folder: Path, zipped: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SERVING_LOG, str(tmp_path / "answers.jsonl"))
    model = mlflow.pyfunc.load_model(str(model_folder))
    studies, nothing = pd.DataFrame({STUDY_COLUMN: [zipped]}), pd.DataFrame({STUDY_COLUMN: []}, dtype=object)
    told = model.predict(studies, params={"explain": ONE})
    request_id = told["request_id"][0]
    graded = model.predict(studies)["request_id"][0]
    logged = (tmp_path / "answers.jsonl").read_bytes()
    kept = model.predict(nothing, params={"explain": ONE, "request_id": graded})
    pd.testing.assert_frame_equal(kept.drop(columns="request_id"), told.drop(columns="request_id"))
    assert set(kept["request_id"]) == {graded}
    other = "spinal_canal_stenosis_l1_l2"
    first = model.predict(studies, params={"explain": other})
    second = model.predict(nothing, params={"explain": other, "request_id": request_id})
    pd.testing.assert_frame_equal(first.drop(columns="request_id"), second.drop(columns="request_id"))
    assert kept["heat_map"].notna().sum() == second["heat_map"].notna().sum() == 1
    assert len(model.predict(nothing, params={"explain": ONE, "request_id": "another"})) == 0
    assert len(model.predict(nothing)) == 0
    another = mlflow.pyfunc.load_model(str(model_folder))
    assert len(another.predict(nothing, params={"explain": ONE, "request_id": request_id})) == 0
    assert (tmp_path / "answers.jsonl").read_bytes().count(b"\n") == logged.count(b"\n") + 1  # of `first` alone


def test_what_was_kept_is_explained_in_its_turn(model_folder: Path, zipped: bytes) -> None:
    served = mlflow.pyfunc.load_model(str(model_folder))
    request_id = served.predict(pd.DataFrame({STUDY_COLUMN: [zipped]}))["request_id"][0]
    model = served.unwrap_python_model()
    model.seconds = 0.01
    asked = {"explain": ONE, "request_id": request_id}
    with model.turn:
        refused = served.predict(pd.DataFrame({STUDY_COLUMN: []}, dtype=object), params=asked)
    assert refused["reason"].str.startswith("the model server was busy with other studies").all()
    assert refused["heat_map"].isna().all()
    assert set(refused["request_id"]) == {request_id}


def test_the_command_writes_a_picture_a_graded_cell(
    model_folder: Path, zipped: bytes, study_id: int, rsna: GradingTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.zip").write_bytes(zipped)
    grade = ["grade", "study.zip", "--model", str(model_folder), "--json"]
    told = CliRunner().invoke(app, [*grade, "--explain", "pictures"])
    assert told.exit_code == 0, told.output
    monkeypatch.setattr(explain, "explain_crops", None)
    plain = CliRunner().invoke(app, grade)
    assert json.loads(told.stdout) == json.loads(plain.stdout)
    assert "wrote 25 pictures into pictures" in told.stderr
    assert "wrote" not in plain.stderr
    files = {path.name: path for path in (tmp_path / "pictures").iterdir()}
    assert set(files) == {f"{cell.condition.name}_{cell.level.replace('/', '_')}.png" for cell in rsna.cells}
    for path in files.values():
        image = Image.open(path)
        image.load()
        assert set(image.info) <= {"Software", "dpi"}
        assert str(study_id).encode() not in path.read_bytes()


def test_a_picture_says_what_it_is_and_shows_the_heat() -> None:
    heat = np.zeros((128, 128), np.float32)
    heat[:40] = 1
    figure = look_figure(Look(np.full((128, 128), 100, np.uint8), heat), "spinal canal stenosis L4/L5\nSevere, 0.87")
    (axes,) = figure.axes
    assert axes.get_title() == "spinal canal stenosis L4/L5\nSevere, 0.87"
    assert [text.get_text() for text in axes.texts] == [CAUTION] == ["explanation, not evidence"]
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    pixels = np.asarray(Image.open(buffer).convert("RGB")).astype(int)
    box = axes.get_window_extent()
    column = pixels[int(len(pixels) - box.y1) : int(len(pixels) - box.y0), int((box.x0 + box.x1) / 2)]
    cold, warm = column[-len(column) // 4], column[len(column) // 8]
    assert cold.tolist() == [100, 100, 100]
    assert np.ptp(warm) > 50
