"""How the cores are shared out among trainings: few with many threads, or many with few, whichever is done sooner here.

A training step of small images has many short parts that threads must wait for each other between, so that two trainings with
a thread each are often faster than one with two. By how much depends on processor, network and batch: it is measured once, in
a process of its own, and kept, so that the same run on the same machine has the same threads and gives the same bits.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from pydantic import ValidationError

from lumbargrade.config.params import Params
from lumbargrade.config.project import current_project
from lumbargrade.files import write_text
from lumbargrade.frozen import Frozen
from lumbargrade.machine import count_cores, limit_threads, memory_bytes

_WORKER = "lumbargrade.pipeline.estimate.pace_worker"
_PROCESS_BYTES = 1_500_000_000
"""Of a training process: torch, its libraries, and the tensors of a usual batch."""
_TIMEOUT_SECONDS = 300


class Parallelism(Frozen):
    """Trainings side by side on the CPU, and what they do together.

    Attributes:
        processes: Trainings at a time.
        threads: Of each.
        images_per_second: Of all together; None if it was not measured, as there was nothing to choose.
    """

    processes: int
    threads: int
    images_per_second: float | None = None

    def relative_time(self, jobs: int) -> float:
        """How long so many equal trainings take, to be compared: the last round may leave processes idle."""
        rounds = -(-jobs // self.processes)
        return rounds * self.processes / (self.images_per_second or 1.0)


class ParallelismChoice(Frozen):
    """What was chosen for a network, beside what else was measured.

    Attributes:
        network: ``grader`` or ``locator``.
        measured: All that was measured, the chosen one among it; empty if there was nothing to choose.
        unmeasured: Whether the measurement failed, so that one training has all threads.
    """

    network: str
    chosen: Parallelism
    measured: tuple[Parallelism, ...] = ()
    unmeasured: bool = False

    def words(self) -> str:
        """The choice in a sentence, for who watches."""
        threads = f"{self.chosen.threads} thread{'s' if self.chosen.threads > 1 else ''}"
        words = f"{self.network}: {self.chosen.processes} at a time with {threads}"
        if self.chosen.processes > 1:
            words += " each"
        if self.unmeasured:
            return f"{words}, as nothing else could be measured; set folds_per_device to have more at a time"
        paces = ", ".join(f"{way.processes} x {way.threads}: {way.images_per_second:.0f}" for way in self.measured)
        return f"{words} (images/s of processes x threads: {paces})" if paces else words


def choose_parallelism(params: Params, network: str, jobs: int) -> ParallelismChoice:
    """Chooses how many trainings run at a time on this machine's CPU, and with how many threads.

    Args:
        network: ``grader`` or ``locator``.
        jobs: Trainings that may run side by side.
    """
    section = params.locator if network == "locator" else params.training
    options = list_options(count_cores(), section.threads, jobs, memory_bytes())
    if len(options) == 1:
        return ParallelismChoice(network=network, chosen=options[0])
    kept = current_project().parallelism / f"{_key(params, network, options)}.json"
    measured = _read(kept)
    if measured is None:
        try:
            measured = _measure(params, network, options)
        except (subprocess.SubprocessError, OSError, ValueError):  # no reason not to train
            return ParallelismChoice(network=network, chosen=options[0], unmeasured=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, json.dumps([each.model_dump() for each in measured]))
    chosen = min(measured, key=lambda each: each.relative_time(jobs))
    return ParallelismChoice(network=network, chosen=chosen, measured=tuple(measured))


def list_options(cores: int, threads: int, jobs: int, memory: int) -> list[Parallelism]:
    """Ways to share out cores, in powers of two; one alone if the number of threads is given.

    Args:
        threads: Of each training, as the user wants it; 0 leaves it open.
        jobs: More at a time than there are trainings is no way.
        memory: Bytes; more at a time than fit is no way.
    """
    most = max(min(cores, jobs, memory // _PROCESS_BYTES), 1)
    if threads:
        return [Parallelism(processes=max(min(most, cores // threads), 1), threads=threads)]
    counts = [1 << power for power in range(most.bit_length())]
    return [Parallelism(processes=count, threads=max(cores // count, 1)) for count in counts]


def _measure(params: Params, network: str, options: list[Parallelism]) -> list[Parallelism]:
    """Trains for seconds in each way, in a process that has not used its threads yet."""
    asked = {"params": params.model_dump(mode="json"), "network": network}
    question = json.dumps(asked | {"options": [each.model_dump() for each in options]})
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    limit_threads(environment)
    done = subprocess.run(
        [sys.executable, "-m", _WORKER],
        input=question,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=True,
        env=environment,
    )
    return [Parallelism.model_validate(each) for each in json.loads(done.stdout)]


def _read(path: Path) -> list[Parallelism] | None:
    try:
        return [Parallelism.model_validate(each) for each in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, ValidationError):
        return None


def _key(params: Params, network: str, options: list[Parallelism]) -> str:
    """Names what the pace depends on: processor, cores, torch, and the network with its images and batch."""
    if network == "locator":
        shape: list[object] = [
            params.locator.width,
            params.locator.batch_size,
            params.locator.precision,
            params.views.pixels,
        ]
    else:
        training = params.training
        shape = [training.image_pixels, training.batch_size, training.precision, training.context]
    ways = [[each.processes, each.threads] for each in options]
    facts = [network, params.task, shape, ways, torch.__version__, torch.backends.cpu.get_cpu_capability()]
    return f"{network}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]}"
