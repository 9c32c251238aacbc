"""Compares a version that was made again with its record: the data, what was prepared of them, the weights, the scores."""

import json
from collections.abc import Iterator, Sequence
from typing import Literal

from lumbargrade.frozen import Frozen
from lumbargrade.registry.lineage.dependencies import STAGE, Json, read_dependencies
from lumbargrade.registry.lineage.environment import Package

OWN = "lumbargrade"
"""This package; its own files are compared with the commit, not with what is installed."""

Verdict = Literal["identical", "within tolerance", "different"]

_WEIGHTS = "artifacts/"
_TRAINED_STAGE = f"{STAGE}located@"
"""Its crops are cut where the locators look, so that they follow from trained weights."""


class Compared(Frozen):
    """Something that was made again.

    Attributes:
        then: Its hash or value as it was recorded.
        now: None if it was not made again.
        trained: Whether it follows from trained weights, whose bits differ between kinds of GPUs.
    """

    what: str
    then: str
    now: str | None
    trained: bool

    @property
    def same(self) -> bool:
        """Whether it came out as it was."""
        return self.then == self.now

    @property
    def words(self) -> str:
        """How it came out."""
        return "the same" if self.same else "not made" if self.now is None else "different"


def verdict_of(compared: Sequence[Compared], score_difference: float | None, tolerance: float) -> Verdict:
    """Says how well a version came out again.

    Args:
        score_difference: None if there is no score to compare.

    Returns:
        ``identical`` if all is the same. ``within tolerance`` if all was made, what does not follow from trained weights is
        the same, and the score differs by no more than the tolerance. Else ``different``.
    """
    if all(each.same for each in compared):
        return "identical"
    may_differ = all(each.same or (each.trained and each.now is not None) for each in compared)
    close = score_difference is not None and abs(score_difference) <= tolerance
    return "within tolerance" if may_differ and close else "different"


def compare_records(then: Json, now: Json) -> list[Compared]:
    """Compares everything that must come out the same."""
    before, after = _results(then), _results(now)
    return [
        Compared(what=what, then=value, now=after[what][0] if what in after else None, trained=trained)
        for what, (value, trained) in before.items()
    ]


def score_difference(then: Json, now: Json) -> float:
    """How far the official score is off, cross-validated or on the holdout, whichever is farther."""

    def scores(record: Json) -> list[float]:
        evaluations = record["lumbargrade"]["evaluation"], record["lumbargrade"]["gate"]["candidate"]
        return [evaluation["score"] for evaluation in evaluations if evaluation is not None]

    return max((new - old for old, new in zip(scores(then), scores(now), strict=False)), key=abs)


def environment_differences(record: Json, packages: Sequence[Package]) -> Iterator[str]:
    """Packages that are not those with which a version was made: the hash is of all their files."""
    now = {package.name: package for package in packages if package.name.lower() != OWN}
    then = {part["name"]: part for part in read_dependencies(record).packages if part["name"].lower() != OWN}
    for name in sorted({*now, *then}):
        if name not in now:
            yield f"{name} {then[name]['annotations']['version']} is not installed"
        elif name not in then:
            yield f"{name} {now[name].version} was not installed"
        elif then[name]["annotations"]["version"] != now[name].version:
            yield f"{name} is {now[name].version}; it was {then[name]['annotations']['version']}"
        elif then[name]["digest"].get("sha256", "") != now[name].sha256:
            yield f"{name} {now[name].version} has other files than it had"


def _results(record: Json) -> dict[str, tuple[str, bool]]:
    """Hashes and values of what was prepared, the weights, and how good they are; and whether each follows from weights."""
    story, made_of = record["lumbargrade"], read_dependencies(record)
    found = {made_of.dataset["name"]: (made_of.dataset["digest"]["sha256"], False)}
    for stage in made_of.stages:
        trained = stage["name"].startswith(_TRAINED_STAGE)
        found |= {path: (md5, trained) for path, md5 in stage["annotations"]["outputs"].items()}
    found |= {part["name"]: (part["digest"]["sha256"], False) for part in made_of.input_files}
    for file in record["subject"]:
        if file["name"].startswith(_WEIGHTS):
            found[file["name"]] = file["digest"]["sha256"], True
    found["cross-validated evaluation"] = json.dumps(story["evaluation"], sort_keys=True), True
    if story["gate"]["candidate"] is not None:
        found["evaluation on the holdout"] = json.dumps(story["gate"]["candidate"], sort_keys=True), True
    return found
