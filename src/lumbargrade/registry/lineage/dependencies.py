"""What a version was made of: the dependencies of its record, known by their names, here and nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

CODE, DATASET, STAGE, INPUT_FILE = "code", "dataset ", "dvc stage ", "training."
"""The name of the code, and what begins the names of the dataset, of the stages that made something of it, and of the files
that parameters name. Packages have a version."""


@dataclass(frozen=True)
class Dependencies:
    """What a version was made of, each as SLSA's provenance has it."""

    parts: Sequence[Json]

    @property
    def code(self) -> Json:
        """The commit, and what differed from it."""
        return next(part for part in self.parts if part["name"] == CODE)

    @property
    def dataset(self) -> Json:
        """The dataset's version."""
        return next(iter(self._begin(DATASET)))

    @property
    def stages(self) -> list[Json]:
        """The stages of DVC."""
        return self._begin(STAGE)

    @property
    def outputs(self) -> dict[str, str]:
        """MD5 of everything that a stage of DVC made, by its path."""
        return {path: md5 for stage in self.stages for path, md5 in stage["annotations"]["outputs"].items()}

    @property
    def input_files(self) -> list[Json]:
        """The files that parameters name."""
        return self._begin(INPUT_FILE)

    @property
    def packages(self) -> list[Json]:
        """The installed distributions."""
        return [part for part in self.parts if "version" in part["annotations"]]

    def _begin(self, name: str) -> list[Json]:
        return [part for part in self.parts if part["name"].startswith(name)]


def read_dependencies(record: Json) -> Dependencies:
    """Reads them from a record."""
    return Dependencies(record["predicate"]["buildDefinition"]["resolvedDependencies"])
