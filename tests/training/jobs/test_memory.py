"""A training that finds no memory ends as such, whatever library says so and however."""

import errno
import json
import signal
from pathlib import Path

import pytest
import torch

from lumbargrade.errors import DivergedError, InputError, LumbargradeError, OutOfMemoryError, TooSlowError
from lumbargrade.training import worker
from lumbargrade.training.jobs.memory import KILLED
from lumbargrade.training.jobs.process import _failure, error_of
from lumbargrade.training.jobs.spec import DEVICE, ERROR, LOG, FoldSpec

SHORT = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
    ),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]


@pytest.fixture
def fail(spec: FoldSpec, monkeypatch: pytest.MonkeyPatch):
    """Runs a training process in which an error is raised; returns its exit code."""
    spec.folder.mkdir(parents=True, exist_ok=True)
    (spec.folder / "spec.json").write_text(spec.model_dump_json())
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)

    def fail(error: BaseException) -> int:
        def train(told: FoldSpec) -> None:
            raise error

        monkeypatch.setattr(worker, "train_fold", train)
        return worker.main(spec.folder)

    return fail


@pytest.mark.parametrize("error", SHORT, ids=lambda error: str(error)[:30])
@pytest.mark.parametrize(("device", "where"), [("cpu", "this machine"), ("cuda:1", "device cuda:1")])
def test_no_memory_is_an_error_of_its_own(
    fail, spec: FoldSpec, error: BaseException, device: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DEVICE, device)
    code = fail(error)
    caught = error_of(code, json.loads((spec.folder / ERROR).read_text()))
    assert (type(caught), caught.code) == (OutOfMemoryError, "training-out-of-memory")
    assert caught.what == f"fold 0 does not fit into the memory of {where}"


def test_other_faults_of_the_code_keep_their_traceback(fail, spec: FoldSpec) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        fail(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not (spec.folder / ERROR).exists()
    assert fail(OSError(errno.ENOSPC, "No space left on device")) == 1


def test_a_process_that_the_system_kills_is_one_without_memory(spec: FoldSpec) -> None:
    (spec.folder).mkdir(parents=True, exist_ok=True)
    (spec.folder / LOG).write_text("epoch 1\n")
    killed, crashed = _failure(spec, -signal.SIGKILL), _failure(spec, -signal.SIGSEGV)
    assert (type(killed), killed.code) == (OutOfMemoryError, KILLED)
    assert (type(crashed), crashed.code) == (LumbargradeError, "training-process-failed")


@pytest.mark.parametrize("kind", [LumbargradeError, InputError, DivergedError, OutOfMemoryError, TooSlowError])
def test_each_kind_of_error_comes_through_a_process(kind: type[LumbargradeError], tmp_path: Path) -> None:
    told = kind("what", "remedy", "a-code")
    assert type(error_of(kind.exit_code, told.parts)) is kind
