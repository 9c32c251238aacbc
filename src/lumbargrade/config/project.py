"""Where a project keeps its files: every path is made here."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from lumbargrade.config.settings import Settings
from lumbargrade.errors import InputError

_NOT_IN_PATHS = '?{}"\\'
"""SQLAlchemy takes what follows a question mark for options, MLflow unquotes a percent sign before two digits (%20)
and writes quotation marks and backslashes into SQL as Python spells them, DVC puts words between braces."""


@dataclass(frozen=True)
class Project:
    """The folders and files of a project.

    What older projects have at the top of their folder stays there: ``served`` and ``operations``, which are in ``state``
    today.

    Attributes:
        root: The project's folder, a checkout of the code.
    """

    root: Path

    def resolve_path(self, path: str) -> Path:
        """A path of a parameter file, which is meant from the project's folder."""
        return self.root / path

    @property
    def params(self) -> Path:
        """The parameter file."""
        return self.root / "params.yaml"

    @property
    def datasets(self) -> Path:
        """Folder of the datasets, one a folder."""
        return self.root / "data"

    @property
    def dataset_list(self) -> Path:
        """The list of datasets over which ``dvc.yaml`` repeats its stages."""
        return self.datasets / "datasets.yaml"

    @property
    def dvc_stages(self) -> Path:
        """The stages of DVC."""
        return self.root / "dvc.yaml"

    @property
    def dvc_lock(self) -> Path:
        """What DVC's stages were run with, and what they gave."""
        return self.root / "dvc.lock"

    @property
    def dvc_folder(self) -> Path:
        """DVC's configuration, and its cache if that is nowhere else."""
        return self.root / ".dvc"

    @property
    def deployments(self) -> Path:
        """Prefect's deployments."""
        return self.root / "prefect.yaml"

    @property
    def prepared(self) -> Path:
        """What DVC's stages make of a dataset, a folder each: crops, views, split, located points."""
        return self.root / "prepared"

    @property
    def runs(self) -> Path:
        """Trained folds with their checkpoints, and Optuna's studies."""
        return self.root / "runs"

    @property
    def mlflow_store(self) -> Path:
        """MLflow's database and artifacts."""
        return self.root / "mlruns"

    @property
    def audit(self) -> Path:
        """The audit log and its keys, and the pseudonym key."""
        return self.root / "audit"

    @property
    def audit_log(self) -> Path:
        """What was done to models, data and aliases, each entry signed."""
        return self.audit / "log.jsonl"

    @property
    def audit_keys(self) -> Path:
        """The keys that sign."""
        return self.audit / "keys"

    @property
    def champion_lock(self) -> Path:
        """Held while the champion changes."""
        return self.audit / "champion.lock"

    @property
    def additions(self) -> Path:
        """Tables of what became of each study that was added; they name files, which may name patients."""
        return self.audit / "added"

    @property
    def served(self) -> Path:
        """What model servers answered and what readers corrected, with the salt of the studies' hashes."""
        return self._state("served")

    @property
    def prediction_log(self) -> Path:
        """What model servers answered."""
        return self.served / "answers.jsonl"

    @property
    def operations(self) -> Path:
        """What the parts of ``lumbargrade server`` keep: Prefect's database, addresses, logs, notices that were sent."""
        return self._state("operations")

    @property
    def server_lock(self) -> Path:
        """Held by the project's server."""
        return self.operations / "server.lock"

    @property
    def server_addresses(self) -> Path:
        """Where the parts of the project's server listen."""
        return self.operations / "addresses.json"

    @property
    def server_logs(self) -> Path:
        """A log a part."""
        return self.operations / "logs"

    @property
    def prefect_home(self) -> Path:
        """Prefect's database."""
        return self.operations / "prefect"

    @property
    def sent_notices(self) -> Path:
        """An empty file for each notice that was sent, and its lock."""
        return self.operations / "notices"

    @property
    def parallelism(self) -> Path:
        """How fast trainings run side by side on this machine; measured again if it is deleted."""
        return self._state("parallelism")

    def _state(self, name: str) -> Path:
        older = self.root / name
        return older if older.is_dir() else self.root / "state" / name


def check_folder_name(root: Path) -> None:
    """Checks the path of a project's folder, which MLflow, Prefect and DVC make addresses and messages of.

    Raises:
        InputError: A letter in it means something else to them.
    """
    found = sorted({letter for letter in str(root) if letter in _NOT_IN_PATHS or not letter.isprintable()})
    found += ["%"] if unquote(str(root)) != str(root) else []
    if found:
        raise InputError(
            f"a project cannot lie in {str(root)!r}, as MLflow and DVC take {' and '.join(map(repr, found))} in a path "
            "for something else",
            "rename the folder, or move the project into another",
            "project-folder-name",
        )


def current_project() -> Project:
    """The project of the environment (LUMBARGRADE_PROJECT), or of the folder that the command is run in."""
    return Project(Settings().project or Path())
