"""Answers as a server keeps them, of studies that are drawn and not scanned."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from lumbargrade.config.params import WatchParams
from lumbargrade.config.task import GradingTask, series_kind
from lumbargrade.inference.drift_features import Features, Intensities, SeriesFacts
from lumbargrade.serving.records.prediction_log import Answered, AnsweredCell

MODEL = "lumbargrade-rsna2024/1"
QUICK = WatchParams(false_alarms=0.02, replays=250, horizon=150)
Answer = Callable[..., list[Answered]]


def answer_drawer(rsna: GradingTask) -> Answer:
    """Draws so many answered studies."""

    def draw(
        number: int, seed: int = 0, noise: float = 0.01, maker: str = "siemens", sure: float = 0.0, **other: str
    ) -> list[Answered]:
        rng = np.random.default_rng(seed)
        start = datetime(2026, 11, 1, tzinfo=UTC)
        return [
            Answered(
                time=(start + timedelta(hours=index)).isoformat(),
                request_id=f"{seed}-{index}",
                model=other.get("model", MODEL),
                study=f"{seed}-{index}",
                input_sha256="",
                cells=_cells(rng, rsna, sure),
                features=_features(rng, rsna, noise, maker),
            )
            for index in range(number)
        ]

    return draw


def _cells(rng: np.random.Generator, task: GradingTask, sure: float) -> tuple[AnsweredCell, ...]:
    cells = []
    for cell in task.cells:
        told = rng.dirichlet((6 + sure, 2, 1))
        cells.append(
            AnsweredCell(
                condition=cell.condition.name,
                level=cell.level,
                grade=task.grades[int(told.argmax())],
                probabilities=tuple(told.tolist()),
                confidence=float(rng.uniform(0.4, 0.9)),
                reason=None,
            )
        )
    return tuple(cells)


def _features(rng: np.random.Generator, task: GradingTask, noise: float, maker: str) -> Features:
    series = []
    for name in sorted({condition.series for condition in task.conditions}):
        kind = series_kind(name)
        grey = float(rng.uniform(0.15, 0.2))
        seen = Intensities(
            white=float(rng.uniform(500, 1800)),
            mean=grey,
            deviation=0.24,
            percentiles=(0.01, grey / 3, 0.57),
            noise=noise * float(rng.uniform(0.7, 1.3)),
        )
        series.append(
            SeriesFacts(
                orientation=kind.orientation,
                contrast=kind.contrast,
                slices=int(rng.integers(11, 16)),
                spacing=(float(rng.uniform(0.8, 1.1)),) * 2,
                between=4.4,
                thickness=4.0,
                echo_time=float(rng.uniform(85, 115)),
                repetition_time=4000.0,
                intensities=seen,
            )
        )
    embedding = {group: tuple(rng.standard_normal(16).tolist()) for group in task.groups}
    return Features(maker=maker, field_strength=1.5, series=tuple(series), embedding=embedding)
