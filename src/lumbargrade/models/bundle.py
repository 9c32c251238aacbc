"""A packaged model: its networks and their calibration, read from its files without any pickle."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from pydantic import ValidationError

from lumbargrade.errors import InputError
from lumbargrade.files import files_sha256
from lumbargrade.models.calibration import Calibration
from lumbargrade.models.grader import Grader, GraderConfig, load_grader
from lumbargrade.models.locator import Locator, load_locator
from lumbargrade.models.trained_on import ModelFacts

GRADER, LOCATOR, CALIBRATION_NAME, FACTS_NAME = "grader-", "locator-", "calibration", "facts"


"""How the files of a packaged model begin."""


class UnreadableModelError(InputError):
    """A registered model has another form than this version of Lumbargrade reads."""


@dataclass(frozen=True)
class LoadedModel:
    """A registered model: its networks, with one configuration, and how sure they may be.

    Attributes:
        locators: None if the task has none; then studies must carry their points.
        facts: None if it was registered before they were kept.
        name: Registered name and version; MLflow's id of a model that was not fetched by its name.
    """

    graders: list[Grader]
    locators: list[Locator]
    locators_sha256: str
    calibration: Calibration
    facts: ModelFacts | None = None
    name: str = ""

    def to(self, device: torch.device) -> Self:
        """Moves the networks to a device."""
        for network in (*self.graders, *self.locators):
            network.to(device)
        return self

    @property
    def config(self) -> GraderConfig:
        """What the graders were built with."""
        return self.graders[0].config


def read_model(files: Iterable[Path], name: str = "the model") -> LoadedModel:
    """Reads a model from its packaged files.

    Raises:
        UnreadableModelError: Some are missing, or are of another version of Lumbargrade.
    """
    by_name = {file.stem: file for file in sorted(files)}
    graders, locators = (
        [file for stem, file in by_name.items() if stem.startswith(kind)] for kind in (GRADER, LOCATOR)
    )
    if not graders or CALIBRATION_NAME not in by_name:
        raise _unreadable(name, "it holds no graders or no calibration")
    facts = by_name.get(FACTS_NAME)
    try:
        return LoadedModel(
            graders=[load_grader(file) for file in graders],
            locators=[load_locator(file) for file in locators],
            locators_sha256=files_sha256(locators),
            calibration=Calibration.model_validate_json(by_name[CALIBRATION_NAME].read_text(encoding="utf-8")),
            facts=ModelFacts.model_validate_json(facts.read_text(encoding="utf-8")) if facts else None,
        )
    except (InputError, ValidationError) as error:
        raise _unreadable(name, "a file of it has another form") from error


def _unreadable(name: str, reason: str) -> UnreadableModelError:
    return UnreadableModelError(
        f"{name} was made by another version of Lumbargrade ({reason})",
        "use it with that version (tag git.commit), or train a new one with `lumbargrade run`",
        "model-of-another-version",
    )
