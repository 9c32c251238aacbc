"""Measures what pruning between folds saves, and how often it loses the best trial. Nothing is trained.

    python benchmarks/pruning.py FOLDER [FOLDER ...] [--studies 60 400 2000] [--searches 300] [--trials 20] [--devices 1]

FOLDER holds trained folds anywhere below it, such as a search's folder in ``runs/`` or that of ``benchmarks/grader.py``; a
trial is a set of folds of one training and seed. From these trials it learns how far trials differ in the mean, how far a
fold of a trial is off as a whole (its studies share one network, so they are not independent), and what is left for each
study. Searches are drawn from that: trials in random order, each with a loss a study, stopped by the rules of
``search.pruning`` after each batch of folds. The best trial is the one that would win if nothing were stopped. Prints JSON.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from lumbargrade.evaluation.align import truth_table
from lumbargrade.preprocessing.pack import PackedCrops
from lumbargrade.search.pruning import study_losses
from lumbargrade.training.jobs.spec import FoldSpec, read_result, read_spec

Losses = NDArray[np.float64]
COVERAGE = 0.9
THRESHOLDS = (0.1, 0.01, 0.001, 0.0001)


@dataclass(frozen=True)
class Spread:
    """What trained trials tell about how losses vary.

    Attributes:
        trials: Standard deviation of the trials' means.
        folds: Of a fold of a trial around them, beyond what its studies explain.
        study: Mean loss of each study, (studies,).
        rest: What is left of each trial and study, (trials, studies).
    """

    trials: float
    folds: float
    study: Losses
    rest: Losses


def main() -> None:
    """Parses the command line and prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--studies", type=int, nargs="+", default=[60, 400, 2000])
    parser.add_argument("--searches", type=int, default=300)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--fold-spread", type=float, default=1.0, help="so many times what the trained folds show")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    table = losses_of(told.folders)
    spread = learn_spread(table)
    print(
        json.dumps(
            {
                "trials": table.shape[1] - 1,
                "studies": len(table),
                "spread of trials": round(spread.trials, 4),
                "spread of folds": round(spread.folds, 4),
                "spread of studies": round(float(spread.rest.std()), 4),
            }
        )
    )
    for studies in told.studies:
        rng = np.random.default_rng([told.seed, studies])
        print(json.dumps({"studies": studies, "rules": simulate(spread, studies, told, rng)}), flush=True)


def losses_of(folders: list[Path]) -> pd.DataFrame:
    """Losses of the trials that have all folds: a row a study with its ``fold``, a column a trial."""
    columns: dict[str, dict[int, pd.Series]] = defaultdict(dict)
    for path in sorted(path for folder in folders for path in folder.rglob("result.json")):
        spec, result = read_spec(path.parent), read_result(path.parent)
        if not isinstance(spec, FoldSpec) or result is None:
            continue
        index = PackedCrops(spec.crops).index
        split = pd.read_csv(spec.split)
        studies = split.loc[split["fold"] == spec.fold, "study_id"].tolist()
        said = result.predictions()
        said = said[said["points"] == ("located" if spec.located else "labelled")]
        trial = f"{spec.training.model_dump_json()} {spec.seed}"
        columns[trial][spec.fold] = study_losses(spec.task, truth_table(index), said, COVERAGE, studies)
    most = max(map(len, columns.values()), default=0)
    trials = [pd.concat(folds.values()) for folds in columns.values() if len(folds) == most]
    if len(trials) < 2:
        raise SystemExit(f"{len(trials)} trials with all folds under {', '.join(map(str, folders))}; two are needed")
    first = next(folds for folds in columns.values() if len(folds) == most)
    fold = pd.concat([pd.Series(number, index=losses.index) for number, losses in first.items()])
    return pd.concat([fold.rename("fold"), *trials], axis=1, join="inner")


def learn_spread(table: pd.DataFrame) -> Spread:
    """Parts of the variance: between trials, of a trial's folds, of its studies."""
    fold, losses = table["fold"].to_numpy(), table.drop(columns="fold").to_numpy().T
    study = losses.mean(axis=0)
    mean = losses.mean(axis=1, keepdims=True)
    off = losses - study - (mean - mean.mean())
    sizes = np.array([(fold == number).sum() for number in np.unique(fold)])
    of_fold = np.stack([off[:, fold == number].mean(axis=1) for number in np.unique(fold)], axis=1)
    rest = off - of_fold[:, np.unique(fold, return_inverse=True)[1]]
    by_chance = np.mean(
        [rest[:, fold == number].var() / size for number, size in zip(np.unique(fold), sizes, strict=True)]
    )
    folds = np.sqrt(max(of_fold.var() - by_chance, 0.0))
    by_folds = folds**2 / len(sizes) + rest.var() / len(study)
    return Spread(float(np.sqrt(max(mean.var(ddof=1) - by_folds, 0.0))), float(folds), study, rest)


class Drawn:
    """The losses of a search's trials, and what rules ask of them.

    Attributes:
        losses: (trials, studies), the studies of a fold side by side.
        scores: Of the folds, (trials, folds).
    """

    def __init__(self, losses: Losses, folds: int) -> None:
        self.losses = losses
        parts = np.array_split(losses, folds, axis=1)
        self.scores = np.stack([part.mean(axis=1) for part in parts], axis=1)
        self.ends = np.cumsum([part.shape[1] for part in parts])
        self.means = losses.mean(axis=1)
        self.p_value = cache(self.p_value)  # type: ignore[method-assign]

    def p_value(self, trial: int, best: int, folds: int) -> float:
        """Of Wilcoxon's test that a trial's studies, in its first folds, have larger losses than the best trial's."""
        end = self.ends[folds - 1]
        return larger(self.losses[trial, :end], self.losses[best, :end])

    def worse(self, trial: int, best: int, folds: int, p: float) -> bool:
        """Optuna's pruner: the test, unless the mean so far is no worse than the best trial's over all studies."""
        so_far = self.losses[trial, : self.ends[folds - 1]].mean()
        return bool(so_far > self.means[best]) and self.p_value(trial, best, folds) < p

    def worse_on_folds(self, trial: int, best: int, folds: int) -> bool:
        """The same at Optuna's default threshold, where each step is a fold's score."""
        ours = self.scores[trial, :folds]
        return folds > 1 and bool(ours.mean() > self.means[best]) and larger(ours, self.scores[best, :folds]) < 0.1


def larger(ours: Losses, theirs: Losses) -> float:
    """The p value of Wilcoxon's signed-rank test, as Optuna's pruner calls it."""
    return float(wilcoxon(ours - theirs, alternative="greater", zero_method="zsplit").pvalue)


RULES: dict[str, Callable[[Drawn, int, int, int], bool]] = {
    **{f"wilcoxon {p:g}": partial(Drawn.worse, p=p) for p in THRESHOLDS},
    "wilcoxon 0.1 on folds": Drawn.worse_on_folds,
}
"""The rules of ``search.pruning`` as Optuna applies them, and its pruner with folds for steps. Trial, best, folds so far."""


def simulate(spread: Spread, studies: int, told: argparse.Namespace, rng: np.random.Generator) -> dict[str, object]:
    """Each rule over many searches: folds saved, best trials lost, and what that costs in score."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for losses in drawn(spread, studies, told, rng):
        search = Drawn(losses, told.folds)
        for name, rule in RULES.items():
            found[name].append(searched(search, told.devices, rule))
    return {
        name: {
            "folds saved": round(float(np.mean([saved for saved, _ in each])), 3),
            "best trial lost": round(float(np.mean([cost > 0 for _, cost in each])), 3),
            "score lost": round(float(np.mean([cost for _, cost in each])), 5),
        }
        for name, each in found.items()
    }


def drawn(spread: Spread, studies: int, told: argparse.Namespace, rng: np.random.Generator) -> Iterator[Losses]:
    """Losses of the trials of a search, (trials, studies); folds are as long as can be, one after another."""
    kept, count = spread.rest.shape
    for _ in range(told.searches):
        which = rng.integers(count, size=studies)
        trials = spread.trials * rng.standard_normal((told.trials, 1))
        folds = told.fold_spread * spread.folds * rng.standard_normal((told.trials, told.folds))
        rest = spread.rest[rng.integers(kept, size=(told.trials, studies)), which]
        yield spread.study[which] + trials + folds[:, np.arange(studies) * told.folds // studies] + rest


def searched(search: Drawn, devices: int, rule: Callable[[Drawn, int, int, int], bool]) -> tuple[float, float]:
    """Share of the folds that a rule saves in one search, and how much worse the winner is than the best trial."""
    trials, folds = search.scores.shape
    best, trained = 0, folds
    for trial in range(1, trials):
        stops = (done for done in range(devices, folds, devices) if rule(search, trial, best, done))
        done = next(stops, folds)
        if done == folds and search.means[trial] < search.means[best]:
            best = trial
        trained += done
    return 1 - trained / (folds * trials), float(search.means[best] - search.means.min())


if __name__ == "__main__":
    main()
