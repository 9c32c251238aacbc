"""What training processes that run out of memory say and leave behind, in one kind of error."""

import errno
import signal

import torch

from lumbargrade.errors import OutOfMemoryError
from lumbargrade.training.jobs.spec import AnySpec, LocatorSpec

KILLED = "training-process-killed"
"""Code of the error for a process that was killed: mostly for its memory, but that is not certain."""

_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "ALLOC_FAILED")
"""What torch and the libraries below it say in errors that have no kind of their own."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory, of the machine or of a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(word.lower() in str(error).lower() for word in _WORDS)


def does_not_fit(spec: AnySpec, device: str) -> OutOfMemoryError:
    """The error of a training that has found no memory.

    Args:
        device: Where it trained: ``cpu`` or ``cuda:0``.
    """
    where = "this machine" if device.startswith("cpu") else f"device {device}"
    return OutOfMemoryError(
        f"{spec.name} does not fit into the memory of {where}", f"lower {_sizes(spec)}", "training-out-of-memory"
    )


def killed_error(spec: AnySpec) -> OutOfMemoryError:
    """The error of a training process that the system has killed."""
    return OutOfMemoryError(
        f"{spec.name}: its process was killed by signal {int(signal.SIGKILL)}, as the system does where the memory does "
        "not suffice",
        f"lower {_sizes(spec)}, or run again if somebody killed it: it goes on",
        "training-process-killed",
    )


def _sizes(spec: AnySpec) -> str:
    if isinstance(spec, LocatorSpec):
        return "locator.batch_size or views.pixels"
    return "training.batch_size or training.image_pixels, or set folds_per_device to 1"
