"""The training process of one fold: ``python -m lumbargrade.training.worker FOLDER``, where FOLDER holds ``spec.json``.

It needs no server and no parent; but if it has a parent that dies, it ends too.
"""

import json
import os
import sys
from pathlib import Path

import torch
from filelock import FileLock

from lumbargrade.errors import LumbargradeError, system_error
from lumbargrade.files import write_text
from lumbargrade.machine import count_cores
from lumbargrade.processes import end_with_parent
from lumbargrade.training.grader.distill import train_student
from lumbargrade.training.grader.fit import train_fold
from lumbargrade.training.jobs.memory import does_not_fit, is_out_of_memory
from lumbargrade.training.jobs.spec import (
    ERROR,
    AnySpec,
    FoldSpec,
    LocatorSpec,
    StudentSpec,
    WorkerSettings,
    read_result,
    read_spec,
)
from lumbargrade.training.locator.fit import train_locator

LOCK = "fold.lock"


def main(folder: Path) -> int:
    """Trains the fold described in a folder and returns the exit code of :mod:`lumbargrade.errors`."""
    if parent := WorkerSettings().parent:  # a killed flow must not leave training behind on its devices
        end_with_parent(parent)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", count_cores())))
    spec = read_spec(folder)
    try:
        with FileLock(folder / LOCK, is_singleton=False):  # a machine that was given up may still train it
            if read_result(folder) is None:
                _train(spec)
    except LumbargradeError as error:
        _write_error(folder, error)
        return error.exit_code
    except Exception as error:
        told = _error_of(error, spec)
        if told is None:
            raise
        _write_error(folder, told)
        return told.exit_code
    return 0


def _error_of(error: Exception, spec: AnySpec) -> LumbargradeError | None:
    """What the machine was in the way of; None for a fault of the code, which is left to its traceback."""
    if is_out_of_memory(error):
        return does_not_fit(spec, WorkerSettings().device or "cpu")
    return system_error(error, spec.name) if isinstance(error, OSError) else None


def _write_error(folder: Path, error: LumbargradeError) -> None:
    write_text(folder / ERROR, json.dumps(error.parts))


def _train(spec: AnySpec) -> None:
    match spec:
        case FoldSpec():
            train_fold(spec)
        case StudentSpec():
            train_student(spec)
        case LocatorSpec():
            train_locator(spec)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
