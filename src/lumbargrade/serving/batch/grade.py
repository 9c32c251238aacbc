"""Grades many studies: each by the code that answers over HTTP, several at a time, kept one by one.

Each process has a model of its own and grades a whole study, so that one decodes while another grades. A study that
takes too long is a fault like any other: it is noted, and the others go on. One whose process died is tried once more
when the others are done, by itself: mostly the memory did not suffice for all of them, or somebody killed the process.
"""

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import torch
from pebble import ProcessExpired, ProcessPool

from lumbargrade.archives.formats import ARCHIVES, OTHER_ARCHIVES, is_archive
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.inference.grade import grade_study
from lumbargrade.inference.study import SeveralStudiesError, open_study
from lumbargrade.machine import count_cores, count_processes
from lumbargrade.models.bundle import LoadedModel, read_model
from lumbargrade.processes import end_with_parent
from lumbargrade.scratch import ScratchError, sweep
from lumbargrade.serving.batch.journal import GradedStudy, Journal, part_name
from lumbargrade.tree import files_below, shown_name

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
    """A link that leads nowhere is a study too, whose fault is noted; it was one for whoever made the link."""
    if path.is_dir() or path.name.lower().endswith((*ARCHIVES, *OTHER_ARCHIVES)):
        return True
    return not path.exists() if path.is_symlink() else not path.suffix and is_archive(path)


def grade_batch(
    journal: Journal, studies: Sequence[Path], plan: BatchPlan, on_progress: Callable[[int, int], None]
) -> int:
    """Grades the studies that the journal does not have as they are now; faults of earlier runs are tried again.

    Args:
        studies: Folders and archives; each study of one that holds several is graded by itself.

    Returns:
        How many were graded or tried now; the journal has them all.

    Raises:
        ScratchError: Nothing can be unpacked: the disk is full, for example. What was graded is in the journal.
    """
    sweep()
    sources = {study: _fingerprint(study) for study in studies}
    works = [work for study in studies for work in _works(journal, study, sources[study])]
    left, total = [work for work in works if not _is_done(journal, work, sources[work.path])], len(works)
    tried = 0
    on_progress(total - len(left), total)
    for work, outcome in _graded(left, plan):
        graded = GradedStudy(study=work.name, source=sources[work.path])
        if isinstance(outcome, SeveralStudiesError):
            journal.add(graded.model_copy(update={"parts": outcome.study_ids}))
            total += len(outcome.study_ids) - 1
            continue
        found: dict[str, Any] = {"fault": outcome} if isinstance(outcome, str) else {"records": tuple(outcome)}
        journal.add(graded.model_copy(update=found))
        tried += 1
        on_progress(total - len(left) + tried, total)
    return tried


def journal_name(study: Path) -> str:
    """How the journal and the tables call a folder or archive."""
    return shown_name(PurePath(study.name))


class _Work(NamedTuple):
    """A folder or an archive, or one of the studies in it."""

    path: Path
    study_id: str | None = None

    @property
    def name(self) -> str:
        name = journal_name(self.path)
        return name if self.study_id is None else part_name(name, self.study_id)


def _works(journal: Journal, study: Path, source: str) -> list[_Work]:
    """A folder or archive, or the studies in it if it is as it was when they were found."""
    known = journal.studies.get(journal_name(study))
    parts = known.parts if known is not None and known.source == source else ()
    return [_Work(study, part) for part in parts] or [_Work(study)]


def _is_done(journal: Journal, work: _Work, source: str) -> bool:
    known = journal.studies.get(work.name)
    return known is not None and known.fault is None and known.source == source


_Records = list[dict[str, Any]]


def _graded(left: Sequence[_Work], plan: BatchPlan) -> Iterator[tuple[_Work, _Records | str | SeveralStudiesError]]:
    """The records of each study, or why there are none, as they come; those of one that is several come after it."""
    lost = []
    for work, outcome in _in_processes(left, plan):
        if isinstance(outcome, ProcessExpired):
            lost.append(work)
        else:
            yield work, outcome
    alone = replace(plan, devices=plan.devices[:1], threads=plan.threads * len(plan.devices))
    for work, outcome in _in_processes(lost, alone):
        yield work, _describe_death(outcome.exitcode) if isinstance(outcome, ProcessExpired) else outcome


def _in_processes(
    works: Sequence[_Work], plan: BatchPlan
) -> Iterator[tuple[_Work, _Records | str | SeveralStudiesError | ProcessExpired]]:
    if not works:
        return
    context = multiprocessing.get_context("spawn")
    places = context.Queue()
    for device in plan.devices:
        places.put(device)
    start = (plan, places, os.getpid())
    with ProcessPool(min(len(plan.devices), len(works)), initializer=_start, initargs=start, context=context) as pool:

        def schedule(work: _Work) -> Future[_Records]:
            return pool.schedule(_grade, args=work, timeout=plan.study_seconds)

        futures = {schedule(work): work for work in works}
        try:
            while futures:
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    work = futures.pop(future)
                    error = future.exception()
                    if isinstance(error, SeveralStudiesError) and work.study_id is None:
                        yield work, error
                        futures |= {schedule(each): each for each in (_Work(work.path, i) for i in error.study_ids)}
                    else:
                        yield work, _outcome(future.result, plan.study_seconds)
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


def _grade(study: Path, study_id: str | None = None) -> _Records:
    with open_study(study, _worker.model.config.task, study_id=study_id) as opened:
        answer = grade_study(_worker.model, opened, _worker.abstain_above)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.itertuples(index=False, name=None)]


def _fingerprint(study: Path) -> str:
    """Hash of the names, sizes and times of a study's files: it changes with the study, and is quick to make."""
    paths = files_below(study) if study.is_dir() else [study] if study.is_file() else []
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(os.fsencode(path.relative_to(study)))
        digest.update(f" {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
