"""The model card of a version: what it is for, what it learned from, how good it is and on whom it is worse."""

from lumbargrade.registry.evidence.page import render
from lumbargrade.registry.evidence.record import Json
from lumbargrade.task import GradingTask
from lumbargrade.training.metrics import Evaluation

_WORSE = 0.05


def card_html(record: Json) -> str:
    """Writes the card from a lineage record."""
    story = record["lumbargrade"]
    build = record["predicate"]["buildDefinition"]
    evaluation = Evaluation.model_validate(story["evaluation"])
    holdout = story["gate"]["candidate"]
    return render(
        "card.html.j2",
        story=story,
        task=GradingTask.model_validate(build["externalParameters"]["task"]),
        params=build["externalParameters"]["params"],
        dataset=next(part for part in build["resolvedDependencies"] if part["name"].startswith("dataset ")),
        scored=[("cross-validated", evaluation)]
        + ([("frozen holdout", Evaluation.model_validate(holdout))] if holdout else []),
        weak=_weak(evaluation),
        made=record["predicate"]["runDetails"]["metadata"]["finishedOn"],
    )


def _weak(evaluation: Evaluation) -> list[tuple[str, str, float, int]]:
    """Parts of the cells on which it is right less often, by more than 5 %: kind, name, accuracy, cells."""
    found = [
        (kind, name, part.accuracy, part.cells)
        for kind, parts in evaluation.parts.items()
        for name, part in parts.items()
        if part.accuracy < evaluation.accuracy - _WORSE
    ]
    return sorted(found, key=lambda part: part[2])
