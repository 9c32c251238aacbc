"""Measures the watch: how soon it sees that a scanner changed, and how often it cries for nothing.

    python benchmarks/drift.py serve FOLDER --model models:/lumbargrade-rsna2024@champion
    python benchmarks/drift.py replay FOLDER [--replays 100]

`serve` draws phantom studies as they usually are (five makers) and of changed scanners, and grades each once as a server
does; it goes on where it was stopped. `replay` puts what was kept of them in other orders, before the watch's eyes.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lumbargrade.config.params import WatchParams
from lumbargrade.config.task import load_task
from lumbargrade.data.layout import IMAGES
from lumbargrade.inference.grade import grade_with_crops
from lumbargrade.inference.study import open_study
from lumbargrade.models.bundle import LoadedModel
from lumbargrade.monitoring.feature_groups import family_tables
from lumbargrade.monitoring.mmd import Family, follow, measure_null
from lumbargrade.phantom import generate
from lumbargrade.phantom import study as scanning
from lumbargrade.phantom.protocol import Protocol, Station, draw_protocol
from lumbargrade.phantom.scanner import Coil, draw_coil
from lumbargrade.phantom.tissues import Contrast, varied
from lumbargrade.phantom.writer import write_study
from lumbargrade.registry.resolve import load_model
from lumbargrade.serving.records.prediction_log import Answered, answered_cells

USUAL = "usual"
SEED, CHANGED_SEED = 3_000, 4_000
AFTER = 60
"""Changed studies at the end of a stream."""
LEAST = 10
"""A change with fewer graded studies is left out."""


@dataclass(frozen=True)
class Change:
    """What is other on a changed scanner.

    Attributes:
        station: The one machine that all studies come from; any if not given.
        spacing: Times the usual one.
        noise: Times the usual one.
        flatness: Power that the tissues' brightness is taken to; below 1 the images are flatter.
        echo: Times the usual echo time.
    """

    station: Station | None = None
    spacing: float = 1.0
    noise: float = 1.0
    flatness: float = 1.0
    echo: float = 1.0


CHANGES: Mapping[str, Change] = {
    "scanner": Change(Station("GE MEDICAL SYSTEMS", "SIGNA", 3.0), 0.9, 1.6, 0.8, 0.9),
    "spacing": Change(spacing=0.8),
    "contrast": Change(flatness=0.8),
    "noise": Change(noise=1.8),
}


def main() -> None:
    """Parses the command line and does what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    serve = kinds.add_parser("serve")
    serve.add_argument("folder", type=Path)
    serve.add_argument("--model", required=True)
    serve.add_argument("--usual", type=int, default=200, help="Studies as they usually are.")
    serve.add_argument("--changed", type=int, default=40, help="Studies of each changed scanner.")
    replay = kinds.add_parser("replay")
    replay.add_argument("folder", type=Path)
    replay.add_argument("--replays", type=int, default=100)
    replay.add_argument("--picture", type=Path, help="PNG of how high the watch goes.")
    told = parser.parse_args()
    torch.set_num_threads(1)
    if told.kind == "serve":
        serve_all(told.folder, load_model(told.model), told.usual, told.changed)
    else:
        print(json.dumps(replay_all(told.folder, told.replays, told.picture), indent=2))


def serve_all(folder: Path, model: LoadedModel, usual: int, changed: int) -> None:
    """Draws and grades the studies that have not been graded yet."""
    generate(folder / USUAL, usual, SEED)
    images = sorted((folder / USUAL / IMAGES).iterdir())
    for index in range(max(usual, changed)):
        if index < usual:
            grade_once(model, images[index], index, folder / f"{USUAL}.jsonl")
        for number, (name, change) in enumerate(CHANGES.items()):
            if index < changed:
                place = folder / name / str(index)
                if not place.exists():
                    draw_study(change, CHANGED_SEED + number, index, place)
                grade_once(model, place, index, folder / f"{name}.jsonl")


def grade_once(model: LoadedModel, images: Path, index: int, records: Path) -> None:
    """Grades a study unless its record is there, and adds what a server would have kept of it."""
    known = records.read_text().splitlines() if records.exists() else []
    if any(Answered.model_validate_json(line).request_id == str(index) for line in known):
        return
    task = model.config.task
    with open_study(images, task) as study:
        graded = grade_with_crops(model, study)
        record = Answered(
            time=datetime.now(UTC).isoformat(),
            request_id=str(index),
            model="",
            study=study.study_id,
            input_sha256="",
            cells=answered_cells(graded.answer, task),
            features=graded.features(),
        )
    with records.open("a", encoding="utf-8") as file:
        file.write(record.model_dump_json() + "\n")


def replay_all(folder: Path, replays: int, picture: Path | None) -> dict[str, object]:
    """Replays streams of usual studies that end with changed ones; none of them is in the replay's reference.

    Streams are drawn with repetition, as there are fewer studies than a stream is long.
    """
    task, params = load_task("rsna2024"), WatchParams()
    usual = _records(folder / f"{USUAL}.jsonl")
    changed = {name: found for name in CHANGES if len(found := _records(folder / f"{name}.jsonl")) >= LEAST}
    every = [*usual, *(record for records in changed.values() for record in records)]
    tables = family_tables(every, task)
    starts = np.cumsum([len(usual), *map(len, changed.values())])
    rng = np.random.default_rng(0)
    alarms = 0
    delays: dict[str, list[int | None]] = {name: [] for name in changed}
    raised_by: dict[str, Counter[str]] = {name: Counter() for name in changed}
    tops: dict[str, list[NDArray[np.float64]]] = {name: [] for name in changed}
    for number in range(replays):
        order = rng.permutation(len(usual))
        reference, rest = order[: params.reference], order[params.reference :]
        before = rng.choice(rest, params.horizon)
        null = None
        for name, start, size in zip(changed, starts, map(len, changed.values()), strict=False):
            stream = np.concatenate([before, start + rng.choice(size, AFTER)])
            families = {key: Family.of(table.iloc[reference], table.iloc[stream]) for key, table in tables.items()}
            null = null or measure_null(families, params, number)
            course = follow(families, null, params.window)
            above = course.heights > course.threshold
            tops[name].append(course.heights.max(axis=0) / course.threshold)
            looks = np.flatnonzero(above.any(axis=0)) + params.window - params.horizon
            delays[name].append(int(looks[looks > 0][0]) if (looks > 0).any() else None)
            if (looks > 0).any():
                at = int(looks[looks > 0][0]) + params.horizon - params.window
                raised_by[name].update(key for key, hit in zip(course.names, above[:, at], strict=True) if hit)
        alarms += bool((looks <= 0).any())
    if picture is not None:
        _draw(tops, params).savefig(picture, dpi=110)
    return {
        "studies": {USUAL: len(usual), **{name: len(records) for name, records in changed.items()}},
        "replays": replays,
        "replays with a false alarm": alarms,
        "changes": {name: _summary(delays[name], raised_by[name]) for name in changed},
    }


def _draw(tops: Mapping[str, list[NDArray[np.float64]]], params: WatchParams) -> Figure:
    """The highest family over the threshold, by changed studies: the median replay, and nine in ten."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for name, found in tops.items():
        low, middle, high = np.quantile(np.stack(found), (0.05, 0.5, 0.95), axis=0)
        studies = np.arange(len(middle)) + params.window - params.horizon
        axes.plot(studies, middle, label=name)
        axes.fill_between(studies, low, high, alpha=0.15)
    axes.axhline(1, color="black", linestyle="--", linewidth=1)
    axes.axvline(0, color="grey", linewidth=1)
    axes.set_xlim(-90, AFTER)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_xlabel("Studies since the change")
    axes.set_ylabel("Height of the highest family / threshold")
    axes.legend()
    return figure


def _records(path: Path) -> list[Answered]:
    return [Answered.model_validate_json(line) for line in path.read_text().splitlines()] if path.exists() else []


def _summary(delays: list[int | None], raised_by: Counter[str]) -> dict[str, object]:
    """How many changed studies it took; a replay in which nothing was raised counts as none."""
    found = [delay for delay in delays if delay is not None]
    return {
        "raised within 50": sum(delay <= 50 for delay in found) / len(delays),
        "studies, median": float(np.median(found)) if found else None,
        "studies, 95th percentile": float(np.percentile(found, 95)) if found else None,
        "raised by": dict(raised_by.most_common()),
    }


def draw_study(change: Change, seed: int, index: int, folder: Path) -> None:
    """Scans a phantom on a changed scanner; the folder appears when it is complete."""
    with ExitStack() as stack:
        for name, drawn in ways(change).items():
            stack.enter_context(patch.object(scanning, name, drawn))
        study = scanning.build_study(seed, index, load_task("rsna2024"))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        write_study(replace(study, station=change.station or study.station), Path(place))
        (Path(place) / IMAGES / str(study.study_id)).rename(folder)


def ways(change: Change) -> dict[str, Callable[..., object]]:
    """What the phantom draws a study's scanner by, for a changed one."""

    def coil(rng: np.random.Generator) -> Coil:
        usual = draw_coil(rng)
        return replace(usual, noise=usual.noise * change.noise)

    def protocol(
        rng: np.random.Generator, description: str, like: Protocol | None = None, stir: bool = False
    ) -> Protocol:
        usual = draw_protocol(rng, description, like, stir)
        rows, columns = usual.spacing if like is None else like.spacing
        finer = 1.0 if like is not None else change.spacing
        shape = usual.shape if like is not None else tuple(round(side / change.spacing / 8) * 8 for side in usual.shape)
        spacing = (round(rows * finer, 4), round(columns * finer, 4))
        return replace(usual, shape=shape, spacing=spacing, echo_time=round(usual.echo_time * change.echo, 1))

    def contrast(usual: Contrast, rng: np.random.Generator) -> Contrast:
        return {tissue: value**change.flatness for tissue, value in varied(usual, rng).items()}

    return {"draw_coil": coil, "draw_protocol": protocol, "varied": contrast}


if __name__ == "__main__":
    main()
