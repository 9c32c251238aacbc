"""Measures the watch: how soon it sees that a scanner changed, and how often it cries for nothing.

    python benchmarks/drift.py serve FOLDER --model models:/lumbargrade-rsna2024@champion
    python benchmarks/drift.py replay FOLDER [--replays 100]

`serve` draws phantom studies as they usually are (five makers) and of changed scanners, and grades each once as a server
does; it goes on where it was stopped. `replay` puts what was kept of them in other orders, before the watch's eyes.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from lumbargrade.dataset.layout import IMAGES
from lumbargrade.dataset.phantom import generate
from lumbargrade.dataset.phantom import study as scanning
from lumbargrade.dataset.phantom.protocol import Protocol, Station, draw_protocol
from lumbargrade.dataset.phantom.scanner import Coil, draw_coil
from lumbargrade.dataset.phantom.tissues import Contrast, varied
from lumbargrade.dataset.phantom.writer import write_study
from lumbargrade.registry.models import LoadedModel, load_model
from lumbargrade.serving.grade import grade_with_crops
from lumbargrade.serving.log import Answered, answered_cells
from lumbargrade.serving.study import open_study
from lumbargrade.task import load_task

USUAL = "usual"
SEED, CHANGED_SEED = 3_000, 4_000


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
    told = parser.parse_args()
    torch.set_num_threads(1)
    serve_all(told.folder, load_model(told.model), told.usual, told.changed)


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


def draw_study(change: Change, seed: int, index: int, folder: Path) -> None:
    """Scans a phantom on a changed scanner; the folder appears when it is complete."""
    with ExitStack() as stack:
        for name, drawn in _ways(change).items():
            stack.enter_context(patch.object(scanning, name, drawn))
        study = scanning.build_study(seed, index, load_task("rsna2024"))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        write_study(replace(study, station=change.station or study.station), Path(place))
        (Path(place) / IMAGES / str(study.study_id)).rename(folder)


def _ways(change: Change) -> dict[str, Callable[..., object]]:
    """What the phantom draws a study's scanner by, for a changed one."""

    def coil(rng: np.random.Generator) -> Coil:
        usual = draw_coil(rng)
        return replace(usual, noise=usual.noise * change.noise)

    def protocol(
        rng: np.random.Generator, description: str, like: Protocol | None = None, stir: bool = False
    ) -> Protocol:
        usual = draw_protocol(rng, description, like, stir)
        rows, columns = (usual.spacing if like is None else like.spacing)
        finer = 1.0 if like is not None else change.spacing
        shape = usual.shape if like is not None else tuple(round(side / change.spacing / 8) * 8 for side in usual.shape)
        spacing = (round(rows * finer, 4), round(columns * finer, 4))
        return replace(usual, shape=shape, spacing=spacing, echo_time=round(usual.echo_time * change.echo, 1))

    def contrast(usual: Contrast, rng: np.random.Generator) -> Contrast:
        return {tissue: value**change.flatness for tissue, value in varied(usual, rng).items()}

    return {"draw_coil": coil, "draw_protocol": protocol, "varied": contrast}


if __name__ == "__main__":
    main()
