"""What several folders of tests share: small datasets, and a small model."""

import os
import shutil
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pydicom
import pytest
from filelock import FileLock
from hypothesis import settings

from lumbargrade.config.task import GradingTask, load_task
from lumbargrade.data.study_zip import zip_study
from lumbargrade.phantom import generate

from .skips import describe_skips

if TYPE_CHECKING:  # torch and MLflow take seconds, and most tests need none
    from lumbargrade.models.bundle import LoadedModel
    from lumbargrade.models.grader import Grader
    from lumbargrade.registry.champion import Champion
    from lumbargrade.tracking.mlflow_tracker import Tracker
    from lumbargrade.training.jobs.spec import FoldSpec

    from .answers import Answer
    from .exports import Export
    from .projects import Project

os.environ.setdefault("OMP_NUM_THREADS", "1")

# A change is judged by the same examples each time; `pytest --hypothesis-profile=default` draws other ones.
settings.register_profile("same examples", derandomize=True)
settings.load_profile("same examples")

SPIDER = Path(__file__).parents[2] / "shared" / "data" / "spider"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-study", action="store_true", help="Try each real-world shape on all studies, not on one.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules with slow tests come first, so that no process has a long one left when the others are done."""
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("browser")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Says at the end what was skipped, and what to install that it is not."""
    yield
    if skipped := terminalreporter.stats.get("skipped"):
        terminalreporter.line(describe_skips(report.longrepr[2].removeprefix("Skipped: ") for report in skipped))


@pytest.fixture
def rsna() -> GradingTask:
    return load_task("rsna2024")


@pytest.fixture
def disc() -> GradingTask:
    return load_task("disc_degeneration")


@pytest.fixture
def spider() -> Path:
    """64 real studies; they are not part of the project."""
    if not SPIDER.is_dir():
        pytest.skip("the SPIDER studies are not beside this checkout")
    return SPIDER


@contextmanager
def shared_path(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A path that all test processes have in common; who finds nothing there makes it while the others wait."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with FileLock(folder / f"{name}.lock"):
        yield folder / name


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six phantom studies, made once for all test processes; not to be changed."""
    with shared_path(tmp_path_factory, "phantom") as folder:
        generate(folder, studies=6, seed=11, workers=1)
    return folder


@pytest.fixture
def study_id(phantom: Path, rsna: GradingTask) -> int:
    """A phantom study with a point for each of its 25 cells."""
    points = pd.read_csv(phantom / "train_label_coordinates.csv").groupby("study_id").size()
    return int(points[points >= len(rsna.cells)].index[0])


@pytest.fixture
def zipped(phantom: Path, study_id: int) -> bytes:
    return zip_study(phantom, study_id)


@pytest.fixture
def lax() -> Iterator[None]:
    """What scanners write is not always valid."""
    before = pydicom.config.settings.writing_validation_mode
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    with pydicom.config.disable_value_validation():
        yield
    pydicom.config.settings.writing_validation_mode = before


@pytest.fixture
def make_export(lax: None, phantom: Path, tmp_path: Path) -> Callable[..., "Export"]:
    from .exports import export_maker

    return export_maker(phantom, tmp_path)


@pytest.fixture
def answers(rsna: GradingTask) -> "Answer":
    from .answers import answer_drawer

    return answer_drawer(rsna)


@pytest.fixture
def packed(tmp_path: Path, disc: GradingTask) -> Path:
    """Crops whose brightness is their grade."""
    from .crops import pack_crops

    return pack_crops(tmp_path, disc)


@pytest.fixture
def spec(packed: Path, disc: GradingTask) -> "FoldSpec":
    """A fold that trains in seconds."""
    from .crops import make_fold

    return make_fold(packed, disc)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For what trains: torch with one thread, and as it was afterwards."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session")
def graders() -> list["Grader"]:
    """Two untrained graders whose weights are far from each other."""
    import torch

    from lumbargrade.config.params import PrepareParams
    from lumbargrade.models.grader import Grader, GraderConfig

    config = GraderConfig(task=load_task("rsna2024"), prepare=PrepareParams(), crop_mm=44, image_pixels=32)
    made = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        grader = Grader(config).eval()
        torch.nn.init.normal_(grader.cell_bias.weight)
        made.append(grader)
    return made


@pytest.fixture(scope="session")
def model_folder(graders: list["Grader"], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graders as a model that MLflow wrote."""
    import mlflow

    from lumbargrade.config.code_digest import PACKAGE
    from lumbargrade.models.bundle import CALIBRATION_NAME, GRADER
    from lumbargrade.models.calibration import Calibration
    from lumbargrade.models.grader import save_grader
    from lumbargrade.registry.package import signature

    folder = tmp_path_factory.mktemp("saved")
    paths = {f"{GRADER}{number:02d}": folder / f"{GRADER}{number:02d}.safetensors" for number in range(len(graders))}
    for grader, path in zip(graders, paths.values(), strict=True):
        save_grader(grader, path)
    paths[CALIBRATION_NAME] = folder / f"{CALIBRATION_NAME}.json"
    paths[CALIBRATION_NAME].write_text(Calibration.identity(graders[0].config.task).model_dump_json(), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MLflow warns of type hints of its own
        mlflow.pyfunc.save_model(
            folder / "model",
            python_model=str(PACKAGE / "serving" / "pyfunc.py"),
            artifacts={name: str(path) for name, path in paths.items()},
            model_config={"threads": 1},
            signature=signature(graders[0].config.task),
            pip_requirements=[],
        )
    return folder / "model"


@pytest.fixture
def model(graders: list["Grader"], rsna: GradingTask) -> "LoadedModel":
    """The graders, without a locator."""
    from lumbargrade.models.bundle import LoadedModel
    from lumbargrade.models.calibration import Calibration

    return LoadedModel(graders, [], "", Calibration.identity(rsna))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database without runs, made once for all test processes, as MLflow takes seconds for its tables."""
    from lumbargrade.tracking.mlflow_tracker import make_database

    with shared_path(tmp_path_factory, "store") as folder:
        make_database(f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"


@pytest.fixture
def empty_project(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a database of MLflow in which there are no runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlruns").mkdir()
    shutil.copy(empty_store, tmp_path / "mlruns/mlflow.db")
    return tmp_path


@pytest.fixture
def tracker(empty_project: Path) -> "Tracker":
    from lumbargrade.tracking.mlflow_tracker import Tracker

    from .projects import NAME

    return Tracker(NAME)


@pytest.fixture
def register(tracker: "Tracker", tmp_path: Path) -> Callable[..., str]:
    """Registers a version that the gate has judged; it has no networks, as what moves between versions needs none."""
    from .projects import NAME

    tracker.client.create_registered_model(NAME)

    def make(decision: str | None = "needs approval", **tags: str) -> str:
        run = tracker.start_run("search", "search")
        if decision is not None:
            tags |= {"gate.decision": decision, "gate.reason": "as it was told"}
        return str(tracker.client.create_model_version(NAME, str(tmp_path / "model"), run, tags=tags).version)

    return make


@pytest.fixture
def open_champion(tracker: "Tracker", rsna: GradingTask) -> Callable[[], "Champion"]:
    """Opens the champion as the next command would."""
    from lumbargrade.audit.log import AuditLog
    from lumbargrade.registry.champion import Champion

    return lambda: Champion(tracker, rsna, AuditLog())


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> "Project":
    """A project with a champion, made once for a test process; tests ask for ``project``."""
    from .projects import make_project

    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def project(whole: "Project", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Project"]:
    """As it was made, whatever the last test did to it."""
    from lumbargrade.audit.keys import SIGNING_KEY

    from .projects import restore_folder

    monkeypatch.chdir(whole.folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv(SIGNING_KEY, raising=False)
    shutil.copytree(whole.folder, tmp_path / "kept")
    yield whole
    restore_folder(whole.folder, tmp_path / "kept")
