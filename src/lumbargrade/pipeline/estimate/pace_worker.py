"""Measures how fast trainings run side by side: ``python -m`` this module, with the question on standard input.

It imports torch once and forks, so it must not compute before: OpenMP's threads do not survive a fork.
"""

import json
import multiprocessing
import os
import sys
import time
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier

import torch

from lumbargrade.config.params import Params
from lumbargrade.config.task import load_task
from lumbargrade.pipeline.estimate.throughput import make_grader, make_locator, training_steps
from lumbargrade.processes import end_with_parent

_SECONDS = 2.0
"""How long steps are timed; at least two are."""
_PATIENCE_SECONDS = 120.0
"""How long a process waits for the others to be ready; one of them may have died, of too little memory say."""

_fork = multiprocessing.get_context("fork")


def main() -> None:
    """Answers each option with its pace, in the order of the question."""
    asked = json.load(sys.stdin)
    params = Params.model_validate(asked["params"])
    answers = [
        {**option, "images_per_second": _pace(params, asked["network"], option["processes"], option["threads"])}
        for option in asked["options"]
    ]
    json.dump(answers, sys.stdout)


def _pace(params: Params, network: str, processes: int, threads: int) -> float:
    """Images per second of so many processes together, all at work at the same time."""
    together = _fork.Barrier(processes)
    paces: SimpleQueue[float] = _fork.SimpleQueue()
    children = [
        _fork.Process(target=_train, args=(params, network, threads, together, paces), daemon=True)
        for _ in range(processes)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    if any(child.exitcode for child in children):
        sys.exit(1)
    return sum(paces.get() for _ in children)


def _train(params: Params, network: str, threads: int, together: Barrier, paces: "SimpleQueue[float]") -> None:
    end_with_parent(os.getppid())  # a question that was given up leaves nobody who trains on
    torch.set_num_threads(threads)
    made = (make_locator if network == "locator" else make_grader)(params, load_task(params.task))
    steps = training_steps(made, torch.device("cpu"))
    next(steps)
    together.wait(_PATIENCE_SECONDS)
    begun, count = time.monotonic(), 0
    while count < 2 or time.monotonic() - begun < _SECONDS:
        next(steps)
        count += 1
    paces.put(count * made.training.batch_size / (time.monotonic() - begun))


if __name__ == "__main__":
    main()
