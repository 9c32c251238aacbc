"""The model card of a version: what it is for, what it learned from, how good it is and on whom it is worse."""

from lumbargrade.config.task import GradingTask
from lumbargrade.evaluation.metrics import Evaluation
from lumbargrade.evaluation.pages import render_page
from lumbargrade.evaluation.performance import summarize_performance
from lumbargrade.models.trained_on import facts_of_story, state
from lumbargrade.registry.lineage.dependencies import Json, read_dependencies

_WORSE = 0.05


def card_html(record: Json) -> str:
    """Writes the card from a lineage record."""
    story = record["lumbargrade"]
    build = record["predicate"]["buildDefinition"]
    evaluation = Evaluation.model_validate(story["evaluation"])
    holdout = story["gate"]["candidate"]
    task = GradingTask.model_validate(build["externalParameters"]["task"])
    scored = [("cross-validated", evaluation)]
    if holdout:
        scored.append(("frozen holdout", Evaluation.model_validate(holdout)))
    return render_page(
        "lumbargrade.registry.lineage",
        "card.html.j2",
        story=story,
        task=task,
        params=build["externalParameters"]["params"],
        dataset=read_dependencies(record).dataset,
        scored=scored,
        weak=_weak(evaluation),
        trained_on=state(facts_of_story(story)),
        worst_found=[summarize_performance(each, task) for _, each in scored],
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
