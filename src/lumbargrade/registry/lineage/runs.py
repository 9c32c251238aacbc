"""What MLflow holds of a version's runs, written down when it is registered, and compared with it later."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from lumbargrade.frozen import Frozen
from lumbargrade.tracking.mlflow_tracker import Tracker

_NO_RUN = "RESOURCE_DOES_NOT_EXIST"
_OURS = "lumbargrade."


class RunFacts(Frozen):
    """A run's rows.

    Attributes:
        metrics: By name and step, as Python writes the number: no number is one too, and none is rounded.
    """

    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, dict[int, str]]


def read_runs(tracker: Tracker, run_ids: Iterable[str]) -> dict[str, RunFacts]:
    """Reads the rows of some runs."""
    return {run_id: _facts(tracker, tracker.client.get_run(run_id)) for run_id in run_ids}


def run_problems(tracker: Tracker, known: dict[str, RunFacts]) -> Iterator[str]:
    """Names each row that is not as it was, a sentence each.

    Raises:
        MlflowException: The store cannot be read.
    """
    for run_id, then in known.items():
        where = f"MLflow run {run_id}"
        try:
            run = tracker.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != _NO_RUN:
                raise  # the store could not be read, which says nothing of the run
            yield f"{where} is gone"
            continue
        now = _facts(tracker, run)
        yield from differences(f"{where}: parameter", then.params, now.params)
        yield from differences(f"{where}: tag", then.tags, now.tags)
        for name in sorted({*then.metrics, *now.metrics}):
            steps, changed = then.metrics.get(name, {}), now.metrics.get(name, {})
            before, after = (
                {f"{name} of step {step}": value for step, value in each.items()} for each in (steps, changed)
            )
            yield from differences(f"{where}: metric", before, after)
        for name, steps in then.metrics.items():
            shown = repr(run.data.metrics.get(name))
            if shown != steps[max(steps)]:
                yield f"{where}: the latest {name} is shown as {shown}; it was {steps[max(steps)]}"


def differences(what: str, then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Names each value that is gone, was added or is another."""
    for name in sorted({*then, *now}):
        if name not in now:
            yield f"{what} {name} is gone; it was {then[name]}"
        elif name not in then:
            yield f"{what} {name} was added: {now[name]}"
        elif then[name] != now[name]:
            yield f"{what} {name} is {now[name]}; it was {then[name]}"


def _facts(tracker: Tracker, run: Run) -> RunFacts:
    names: dict[str, Any] = run.data.metrics
    return RunFacts(
        params=dict(run.data.params),
        tags={name: value for name, value in run.data.tags.items() if name.startswith(_OURS)},
        metrics={
            name: {point.step: repr(point.value) for point in tracker.client.get_metric_history(run.info.run_id, name)}
            for name in names
        },
    )
