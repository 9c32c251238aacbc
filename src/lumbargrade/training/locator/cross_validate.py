"""Cross-validated locating: every study is located by networks that have not seen it.

The studies of a fold are located by that fold's locator, those of the frozen holdout by all of them together, as a
served model does it.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from lumbargrade.config.code_digest import TRAINING, code_digest
from lumbargrade.config.params import Params
from lumbargrade.config.project import current_project
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import LumbargradeError
from lumbargrade.files import files_sha256, replaced_file
from lumbargrade.localization.localize import locate_views
from lumbargrade.models.locator import Locator, load_locator
from lumbargrade.preprocessing.pack_views import PackedViews
from lumbargrade.preprocessing.split.split import HOLDOUT
from lumbargrade.tracking.mlflow_tracker import Tracker
from lumbargrade.tracking.run_lock import owned_runs
from lumbargrade.training.jobs.executor import FoldPool
from lumbargrade.training.jobs.spec import AnySpec, Epoch, FoldResult, LocatorSpec
from lumbargrade.training.locator.evaluate import compare_points, locator_metrics, worst_figure


@dataclass(frozen=True)
class LocatorPlan:
    """What the locator learns from.

    Attributes:
        data: Hashes of what it sees.
        views: Folder of the packed views.
        split: Table of studies and folds.
        folder: Where training keeps its folds.
    """

    params: Params
    task: GradingTask
    data: dict[str, str]
    views: Path
    split: Path
    folder: Path = field(default_factory=lambda: current_project().runs)

    @cached_property
    def name(self) -> str:
        """Name of the training; it follows from data, parameters and code."""
        settings = self.params.model_dump(mode="json", include={"seed", "prepare", "views", "split", "locator"})
        code = code_digest(TRAINING)
        told = json.dumps([settings, self.task.model_dump(mode="json"), self.data, code], sort_keys=True)
        return f"{self.task.name}-locator-{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    def specs(self) -> list[LocatorSpec]:
        """The folds."""
        return [
            LocatorSpec(
                task=self.task,
                prepare=self.params.prepare,
                views=self.params.views,
                training=self.params.locator,
                packed=self.views.resolve(),
                split=self.split.resolve(),
                fold=fold,
                seed=self.params.seed,
                folder=(self.folder / self.name / f"fold-{fold}").resolve(),
            )
            for fold in range(self.params.split.folds)
        ]


@dataclass(frozen=True)
class LocatorOutcome:
    """Trained locators and what they found.

    Attributes:
        located: The points of all studies, as :mod:`lumbargrade.localization` gives them, with ``error_mm``.
        metrics: How far they are off, for the studies outside the holdout.
        run_ids: MLflow's ids of the training and of its folds.
    """

    name: str
    folds: list[FoldResult]
    located: pd.DataFrame
    metrics: dict[str, float]
    run_ids: tuple[str, ...]


def train_locators(
    plan: LocatorPlan,
    tracker: Tracker,
    pool: FoldPool,
    tell: Callable[[str], None] = print,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> LocatorOutcome:
    """Trains a locator a fold, unless it is trained, and locates every study.

    Args:
        pool: Trains the folds.
        tell: Told a line at the end.
        on_progress: Told the epochs that are done, and those that there are, after each.

    Raises:
        InputError: The views or points do not allow any training.
        LumbargradeError: Another process trains this locator, or a process failed.
    """
    with owned_runs(plan.folder / plan.name, tracker, "locator"):
        return _train_locators(plan, tracker, pool, tell, on_progress)


def _train_locators(
    plan: LocatorPlan,
    tracker: Tracker,
    pool: FoldPool,
    tell: Callable[[str], None],
    on_progress: Callable[[int, int], None],
) -> LocatorOutcome:
    with tracker.run(f"locator {plan.name}", plan.name, tags={"lumbargrade.kind": "locator"}) as run_id:
        tracker.log_params(run_id, {"locator": plan.params.locator.model_dump(mode="json")})
        tracker.set_tags(run_id, {f"lumbargrade.{key}": value for key, value in plan.data.items()})
        results, fold_runs = _train_folds(plan, tracker, pool, run_id, on_progress)
        packed = PackedViews(plan.views)
        located = compare_points(_locate_all(plan, results, packed), packed, plan.task)
        seen = located[located["fold"] != HOLDOUT]
        split = pd.read_csv(plan.split)
        metrics = locator_metrics(seen, packed, plan.task, split.loc[split["fold"] != HOLDOUT, "study_id"])
        if "error_mm.median" not in metrics:
            raise LumbargradeError(
                f"the locator found none of the places in {len(packed.studies)} studies",
                f"raise locator.epochs (now {plan.params.locator.epochs}) or locator.epoch_slices, or add studies",
                "locator-found-nothing",
            )
        tracker.log_metrics(run_id, metrics)
        tracker.log_figure(run_id, worst_figure(seen, packed, plan.task), "worst.png")
    tell(
        f"locator: typically {metrics['error_mm.median']:.1f} mm from the label, {metrics['within_5_mm']:.1%} within 5 mm, "
        f"all levels right in {metrics['studies_right']:.1%} of the studies"
    )
    return LocatorOutcome(plan.name, results, located, metrics, (run_id, *fold_runs))


def _train_folds(
    plan: LocatorPlan, tracker: Tracker, pool: FoldPool, run_id: str, on_progress: Callable[[int, int], None]
) -> tuple[list[FoldResult], list[str]]:
    """Trains the folds, each with a run of its own; returns both."""
    specs = plan.specs()
    tags = {"lumbargrade.kind": "locator_fold"}
    with ExitStack() as runs:
        fold_runs = [
            runs.enter_context(tracker.run(f"fold {s.fold}", f"{plan.name}/{s.fold}", run_id, tags)) for s in specs
        ]
        logged = {run: tracker.last_step(run, "train_loss") for run in fold_runs}
        done = dict.fromkeys(fold_runs, 0)

        def log(spec: AnySpec, epoch: Epoch) -> None:
            run = fold_runs[spec.fold]
            if epoch.epoch > logged[run]:
                tracker.log_metrics(run, epoch.model_dump(exclude={"epoch"}), step=epoch.epoch)
                logged[run] = epoch.epoch
            done[run] = epoch.epoch
            on_progress(sum(done.values()), sum(spec.training.epochs for spec in specs))

        return pool.train(specs, log), fold_runs


def save_located(located: pd.DataFrame, path: Path) -> None:
    """Writes located points; the same points give the same bytes, and then the file is not touched."""
    rounded = located.round(4)
    if path.is_file() and pd.read_parquet(path).equals(rounded):
        return
    with replaced_file(path) as temporary:
        rounded.to_parquet(temporary, index=False)


def _locate_all(plan: LocatorPlan, results: Sequence[FoldResult], packed: PackedViews) -> pd.DataFrame:
    parts = [result.predictions().assign(fold=result.fold) for result in results]
    split = pd.read_csv(plan.split)
    held = sorted(set(split.loc[split["fold"] == HOLDOUT, "study_id"]) & set(packed.studies))
    if held:
        parts.append(_locate_holdout(plan, results, packed, held).assign(fold=HOLDOUT))
    return pd.concat(parts, ignore_index=True).sort_values(["study_id", "condition", "level"], ignore_index=True)


def _locate_holdout(
    plan: LocatorPlan, results: Sequence[FoldResult], packed: PackedViews, studies: Sequence[int]
) -> pd.DataFrame:
    """Located once by the same networks: another number of threads gives other last digits, and so another search."""
    networks = files_sha256(result.model for result in results)
    path = plan.folder / plan.name / f"holdout-{networks[:12]}.parquet"
    if not path.is_file():
        locators: list[Locator] = [load_locator(result.model) for result in results]
        located = pd.concat([locate_views(locators, study, packed.stacks[study]) for study in studies])
        with replaced_file(path) as temporary:
            located.to_parquet(temporary, index=False)
    return pd.read_parquet(path)
