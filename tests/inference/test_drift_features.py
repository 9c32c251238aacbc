"""What is kept of a study is small, tells the scanner and the images, and nobody's name."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from lumbargrade.config.task import GradingTask
from lumbargrade.inference.drift_features import EMBEDDING, Features, embed
from lumbargrade.inference.grade import grade_with_crops
from lumbargrade.inference.schema import STUDY_COLUMN
from lumbargrade.inference.study import open_study
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.serving.records.prediction_log import SERVING_LOG, Answered, ServingLog, answered_cells


@pytest.fixture
def features(model: LoadedModel, zipped: bytes, rsna: GradingTask) -> Features:
    with open_study(zipped, rsna) as study:
        return grade_with_crops(model, study).features()


def test_a_study_is_told_by_its_scanner_and_its_images(features: Features, rsna: GradingTask) -> None:
    assert features.maker in {"siemens", "ge", "philips", "toshiba"} and features.field_strength in {1.5, 3.0}
    assert sorted((facts.orientation, facts.contrast) for facts in features.series) == [
        ("axial", "T2"), ("sagittal", "T1"), ("sagittal", "T2"),
    ]  # fmt: skip
    for facts in features.series:
        assert facts.thickness and facts.echo_time and facts.repetition_time and facts.slices > 5
        seen = facts.intensities
        assert seen is not None and 0 < seen.noise < 0.1 and 0 < seen.mean < 1
        assert sorted(seen.percentiles) == list(seen.percentiles)
    assert {group: len(values) for group, values in features.embedding.items()} == dict.fromkeys(rsna.groups, EMBEDDING)


def test_a_record_is_small_and_names_nobody(
    model: LoadedModel, zipped: bytes, rsna: GradingTask, study_id: int
) -> None:
    with open_study(zipped, rsna) as study:
        graded = grade_with_crops(model, study)
        record = Answered(
            time="", request_id="", model="", study="", input_sha256="",
            cells=answered_cells(graded.answer, rsna), features=graded.features(),
        ).model_dump_json()  # fmt: skip
    assert len(record) < 10_000
    assert str(study_id) not in record and "phantom" not in record.lower()


def test_distances_between_embeddings_are_those_between_features(rsna: GradingTask) -> None:
    rng = np.random.default_rng(0)
    index = pd.DataFrame({"condition": [rsna.conditions[0].name] * 3})
    middle = rng.standard_normal(1024).astype(np.float32)
    away = rng.standard_normal(1024).astype(np.float32)
    group = rsna.conditions[0].group

    def of(step: float) -> np.ndarray:  # type: ignore[type-arg]
        return np.array(embed(index, [np.tile(middle + step * away, (3, 1))] * 2, rsna)[group])

    near, far = np.linalg.norm(of(0.1) - of(0)), np.linalg.norm(of(1.0) - of(0))
    assert far / near == pytest.approx(10, rel=0.01)
    assert far == pytest.approx(np.sqrt(2) * np.linalg.norm(away), rel=0.5)
    assert list(embed(index, [np.tile(middle, (3, 1))], rsna)) == [group]


def test_a_served_model_keeps_the_features_of_what_it_opened(
    model_folder: Path, features: Features, zipped: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "served/answers.jsonl"
    monkeypatch.setenv(SERVING_LOG, str(log))
    served = mlflow.pyfunc.load_model(str(model_folder))
    served.predict(pd.DataFrame({STUDY_COLUMN: [zipped, b"no zip"]}))
    opened, refused = ServingLog(log).answers()
    assert opened.features is not None and refused.features is None
    assert opened.features.series == features.series
    for group, values in features.embedding.items():
        assert opened.features.embedding[group] == pytest.approx(values, rel=1e-3, abs=1e-3)
