from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from lumbargrade.config.task import load_task
from tests.faulty_decoders import faulty_decoders

from .doors import Batch, CommandLine, Dataset, Door, Invocations, Page, pacs, page
from .exports import make_dataset
from .oracle import AnatomyOracle

if TYPE_CHECKING:
    from lumbargrade.models.bundle import LoadedModel
    from lumbargrade.models.grader import Grader

SEED, STUDIES = 4711, 5


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantoms that the shapes are made of; made once for all test processes."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if shared.name.startswith("popen-") else shared
    folder = shared / "real-world"
    with FileLock(shared / "real-world.lock"):
        make_dataset(folder, SEED, STUDIES)
    return folder


@pytest.fixture(scope="session")
def shape_of_spines(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from lumbargrade.config.params import PrepareParams, ViewParams
    from lumbargrade.data.layout import open_dataset
    from lumbargrade.preprocessing.pack_views import PackedViews, pack_views
    from lumbargrade.training.locator.targets import learn_shape

    task = load_task("rsna2024")
    folder = tmp_path_factory.mktemp("spines") / "views"
    pack_views(open_dataset(exported, task), folder, PrepareParams(), ViewParams(), workers=1)
    packed = PackedViews(folder)
    return learn_shape(packed, task, packed.studies)


@pytest.fixture(scope="module")
def oracle(shape_of_spines: Any) -> Iterator[AnatomyOracle]:
    """In the place of the locators' networks, as long as the module's tests run."""
    oracle = AnatomyOracle(load_task("rsna2024"), shape_of_spines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lumbargrade.localization.localize.look_at", oracle.look_at)
        yield oracle


@pytest.fixture(scope="module")
def model(graders: list["Grader"], oracle: AnatomyOracle) -> "LoadedModel":
    from lumbargrade.models.bundle import LoadedModel
    from lumbargrade.models.calibration import Calibration

    return LoadedModel(graders[:1], oracle.locators, "", Calibration.identity(load_task("rsna2024")))


@pytest.fixture(scope="module")
def doors(model: "LoadedModel", tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Door]]:
    """Every way into the product, opened once."""
    task = load_task("rsna2024")
    with (
        pytest.MonkeyPatch.context() as patch,
        faulty_decoders(tmp_path_factory.mktemp("decoders"), patch),
        page(model, task, tmp_path_factory.mktemp("page")) as app,
        pacs(app, task) as peer,
    ):
        verified = SimpleNamespace(loaded=model, abstain_above=0)
        patch.setattr("lumbargrade.serving.verified_model.open_model", lambda uri: verified)
        yield {
            "command line": CommandLine(),
            "batch": Batch(model),
            "invocations": Invocations(model),
            "page": Page(app),
            "C-STORE": peer,
            "dataset": Dataset(model, task),
        }
