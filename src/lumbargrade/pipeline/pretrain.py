"""Pretrains a grader on phantoms of the same task, for machines that cannot have ImageNet's weights."""

import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
from pydantic import BaseModel

from lumbargrade.config.code_digest import PHANTOM, TRAINING, code_digest
from lumbargrade.config.params import Params
from lumbargrade.config.project import current_project
from lumbargrade.config.task import load_task
from lumbargrade.console import Show, bars, say
from lumbargrade.data.layout import open_dataset
from lumbargrade.errors import InputError
from lumbargrade.files import file_sha256, replaced_file
from lumbargrade.models.storage import PRETRAINED_ON, mark_network
from lumbargrade.phantom import generate
from lumbargrade.preprocessing.pack import PackedCrops, pack_crops
from lumbargrade.training.jobs.devices import find_devices
from lumbargrade.training.jobs.process import run_fold
from lumbargrade.training.jobs.spec import MODEL, AnySpec, Epoch, FoldSpec

_VALIDATED = 8
"""One study of so many is not trained on, so that people see whether anything general is learned."""


class Pretrained(BaseModel):
    """Weights that a training can begin with.

    Attributes:
        phantoms: Studies that were drawn; one in eight validated.
        validation_loss: Weighted as the official score is, of those.
    """

    weights: Path
    sha256: str
    task: str
    phantoms: int
    epochs: int
    validation_loss: float

    def lines(self) -> list[tuple[str, str]]:
        """The summary for people."""
        return [
            ("weights", f"{self.weights}, SHA-256 {self.sha256}"),
            ("learned", f"{self.task}, from {self.phantoms} phantoms; epochs: {self.epochs}"),
            ("validation loss", f"{self.validation_loss:.4f} on phantoms that were not trained on"),
            ("next", f"lumbargrade run --set training.weights={self.weights}"),
        ]


def pretrain(weights: Path, params: Params, studies: int, folder: Path | None = None) -> Pretrained:
    """Draws phantoms, trains a grader on them as ``training`` says, from random weights, and writes its weights.

    What is done is not done again, and what was killed goes on.

    Args:
        weights: File to write, of the grader whole.
        studies: Phantoms to draw, with ``params.seed``.
        folder: Holds crops and training, by what they depend on, the code too; in the project's runs if not given.

    Raises:
        InputError: The task is none that phantoms can be graded for, the file is none that weights can be read from, or there
            are too few studies.
        LumbargradeError: The training failed or was stopped.
    """
    if weights.suffix != ".safetensors":
        raise InputError(
            f"{weights} cannot hold weights", "give a name that ends in .safetensors", "weights-name-invalid"
        )
    if studies < _VALIDATED:
        raise InputError(
            f"{studies} phantoms are too few to learn from", f"ask for at least {_VALIDATED}", "phantoms-too-few"
        )
    task = load_task(params.task)
    training = params.training.model_copy(update={"weights": "none", "suspects": None})
    code = code_digest(PHANTOM, TRAINING)
    key = [params.prepare.model_dump(mode="json"), params.task, studies, params.seed, code]
    folder = folder or current_project().runs / "pretrained"
    place = folder / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
    with bars() as add:
        if not (place / "crops").is_dir():
            _draw(place, params, studies, add("phantoms drawn"))
        shutil.rmtree(place / "phantom", ignore_errors=True)
        index = PackedCrops(place / "crops").index
        ids = sorted(index["study_id"].unique())
        split = pd.DataFrame({"study_id": ids, "fold": [int(number % _VALIDATED == 0) for number in range(len(ids))]})
        split.to_csv(place / "split.csv", index=False)
        spec = FoldSpec(
            task=task,
            prepare=params.prepare,
            training=training,
            crops=(place / "crops").resolve(),
            split=(place / "split.csv").resolve(),
            fold=1,
            seed=params.seed,
            folder=(place / "grader").resolve(),
        )
        spec.folder.mkdir(exist_ok=True)
        show = add("epochs")

        def each(spec: AnySpec, epoch: Epoch) -> None:
            show(epoch.epoch, training.epochs)

        result = run_fold(spec, find_devices(training.threads), each)
    weights.parent.mkdir(parents=True, exist_ok=True)
    with replaced_file(weights) as temporary:
        shutil.copyfile(spec.folder / MODEL, temporary)
        mark_network(temporary, {PRETRAINED_ON: "synthetic"})
    return Pretrained(
        weights=weights,
        sha256=file_sha256(weights),
        task=task.name,
        phantoms=len(ids),
        epochs=result.epochs,
        validation_loss=result.validation_loss,
    )


def _draw(folder: Path, params: Params, studies: int, show: Show) -> None:
    """Draws phantoms and packs their crops."""
    images = folder / "phantom"
    generate(images, studies, params.seed, workers=params.workers, progress=show, task=params.task, crops_only=True)
    dataset = open_dataset(images, load_task(params.task))
    packed = pack_crops(dataset, folder / "crops", params.prepare, show, params.workers)
    say(f"packed {packed.crops} crops of {packed.studies} phantoms")
