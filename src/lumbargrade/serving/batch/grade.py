"""Grades many studies: each by the code that answers over HTTP, several at a time, kept one by one.

Each process has a model of its own and grades a whole study, so that one decodes while another grades. A study that
takes too long is a fault like any other: it is told, and the others go on. One whose process died is tried once more
when the others are done, by itself: mostly the memory did not suffice for all of them, or somebody killed the process.
"""

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pebble import ProcessExpired, ProcessPool

from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.inference.grade import grade_study
from lumbargrade.inference.study import open_study
from lumbargrade.machine import count_cores, count_processes
from lumbargrade.models.bundle import LoadedModel, read_model
from lumbargrade.processes import end_with_parent
from lumbargrade.scratch import ScratchError, sweep
from lumbargrade.serving.batch.journal import GradedStudy, Journal
from lumbargrade.tree import files_below

_IMAGES = ("train_images", "test_images")


@dataclass(frozen=True)
class BatchPlan:
    """How a batch is graded.

    Attributes:
        files: Of the packaged model.
        devices: ``cpu`` or ``cuda:0``, one a process.
        threads: Of each process.
        abstain_above: As the served model has it.
        study_seconds: A study that takes longer is a fault.
    """

    files: tuple[Path, ...]
    devices: tuple[str, ...]
    threads: int
    abstain_above: int = 0
    study_seconds: float = 600


def plan_batch(files: tuple[Path, ...], abstain_above: int = 0, processes: int = 0) -> BatchPlan:
    """Plans for the devices that there are.

    Args:
        processes: 0 is one for each core that has memory, or two for each GPU, so that one decodes while the other grades.
    """
    cores, gpus = count_cores(), torch.cuda.device_count()
    processes = processes or (2 * gpus if gpus else count_processes())
    devices = tuple(f"cuda:{number % gpus}" if gpus else "cpu" for number in range(processes))
    return BatchPlan(files, devices, max(cores // processes, 1), abstain_above)


def find_studies(folder: Path) -> list[Path]:
    """Returns the studies of a folder, in the order of their names: its zips and subfolders, or those of RSNA's layout.

    Raises:
        InputError: There are none.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder} is no folder", "give one that holds a folder or a zip for each study", "studies-folder-missing"
        )
    places = [folder / name for name in _IMAGES if (folder / name).is_dir()] or [folder]
    found = [path for place in places for path in place.iterdir() if not path.name.startswith(".")]
    studies = sorted(path for path in found if _may_be_study(path))
    if not studies:
        raise InputError(
            f"{folder} holds no studies",
            "put each study's files into a folder or a zip of its own there",
            "studies-folder-empty",
        )
    return studies


def _may_be_study(path: Path) -> bool:
    """A link that leads nowhere is a study too, whose fault is told; it was one for whoever made the link."""
    return path.is_dir() or path.suffix.lower() == ".zip" or (path.is_symlink() and not path.exists())


def grade_batch(
    journal: Journal, studies: Sequence[Path], plan: BatchPlan, on_progress: Callable[[int, int], None]
) -> int:
    """Grades the studies that the journal does not have as they are now; faults of earlier runs are tried again.

    Returns:
        How many were graded or tried now; the journal has them all.

    Raises:
        ScratchError: Nothing can be unpacked: the disk is full, for example. What was graded is in the journal.
    """
    sweep()
    sources = {study: _fingerprint(study) for study in studies}
    left = [study for study in studies if not _is_done(journal, study, sources[study])]
    on_progress(len(studies) - len(left), len(studies))
    for count, (study, outcome) in enumerate(_graded(left, plan), start=1 + len(studies) - len(left)):
        fault = outcome if isinstance(outcome, str) else None
        records = () if isinstance(outcome, str) else tuple(outcome)
        journal.add(GradedStudy(study=study.name, source=sources[study], records=records, fault=fault))
        on_progress(count, len(studies))
    return len(left)


def _is_done(journal: Journal, study: Path, source: str) -> bool:
    known = journal.studies.get(study.name)
    return known is not None and known.fault is None and known.source == source


def _graded(studies: Sequence[Path], plan: BatchPlan) -> Iterator[tuple[Path, list[dict[str, Any]] | str]]:
    """The records of each study, or why there are none, as they come."""
    lost = []
    for study, outcome in _in_processes(studies, plan):
        if isinstance(outcome, ProcessExpired):
            lost.append(study)
        else:
            yield study, outcome
    alone = replace(plan, devices=plan.devices[:1], threads=plan.threads * len(plan.devices))
    for study, outcome in _in_processes(lost, alone):
        yield study, _describe_death(outcome.exitcode) if isinstance(outcome, ProcessExpired) else outcome


def _in_processes(
    studies: Sequence[Path], plan: BatchPlan
) -> Iterator[tuple[Path, list[dict[str, Any]] | str | ProcessExpired]]:
    if not studies:
        return
    context = multiprocessing.get_context("spawn")
    processes = min(len(plan.devices), len(studies))
    places = context.Queue()
    for device in plan.devices:
        places.put(device)
    start = (plan, places, os.getpid())
    with ProcessPool(processes, initializer=_start, initargs=start, context=context) as pool:
        futures: dict[Future[list[dict[str, Any]]], Path] = {
            pool.schedule(_grade, args=(study,), timeout=plan.study_seconds): study for study in studies
        }
        try:
            for future in as_completed(futures):
                yield futures.pop(future), _outcome(future.result, plan.study_seconds)
        finally:
            pool.stop()  # type: ignore[no-untyped-call]  # when it ends early; there is nothing left otherwise
    sweep()


def _outcome(result: Callable[[], list[dict[str, Any]]], seconds: float) -> list[dict[str, Any]] | str | ProcessExpired:
    try:
        return result()
    except ScratchError:  # no study's fault, and no study would fare better
        raise
    except LumbargradeError as error:
        return str(error)
    except TimeoutError:
        return f"it took longer than {seconds:g} s"
    except ProcessExpired as error:
        return error
    except Exception as error:  # a study's file may hold anything; its words may be a patient's
        return f"it could not be graded ({type(error).__name__})"


def _describe_death(exit_code: int) -> str:
    """What is known of a process that died twice over a study, the second time while no other study was graded."""
    if exit_code == -signal.SIGKILL:
        return (
            "the process that graded it was killed twice (SIGKILL), as the system does where the memory does not suffice; "
            "nothing is known against its files"
        )
    if exit_code < 0:
        return f"the process that graded it crashed twice ({signal.Signals(-exit_code).name}); its files may be damaged"
    return f"the process that graded it ended twice, with exit code {exit_code}"


@dataclass
class _Worker:
    model: LoadedModel
    abstain_above: int


_worker: _Worker
"""Of this process; set once, when it starts."""


def _start(plan: BatchPlan, places: Any, parent: int) -> None:
    global _worker
    end_with_parent(parent)
    device: str = places.get()
    places.put(device)  # a process that takes the place of one that died takes the next device in turn
    torch.set_num_threads(plan.threads)
    _worker = _Worker(read_model(plan.files).to(torch.device(device)), plan.abstain_above)


def _grade(study: Path) -> list[dict[str, Any]]:
    with open_study(study, _worker.model.config.task) as opened:
        answer = grade_study(_worker.model, opened, _worker.abstain_above)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.itertuples(index=False, name=None)]


def _fingerprint(study: Path) -> str:
    """Hash of the names, sizes and times of a study's files: it changes with the study, and is quick to make."""
    paths = files_below(study) if study.is_dir() else [study] if study.is_file() else []
    digest = hashlib.sha256()
    for path in paths:
        told = path.stat()
        digest.update(f"{path.relative_to(study)} {told.st_size} {told.st_mtime_ns}\n".encode())
    return digest.hexdigest()
