"""Memory and cores, as the machine and its control groups allow them."""

from collections.abc import Iterator

from lumbargrade.machine import affinity, count_cores, count_processes, free_memory_bytes, memory_bytes, physical_bytes
from lumbargrade.operations.doctor.findings import Finding

_GIB = 1 << 30
_LEAST_GIB, _ENOUGH_GIB = 2, 8


def check_memory() -> Iterator[Finding]:
    """Memory that may be used, and what of it is free on the machine."""
    allowed, free = memory_bytes(), free_memory_bytes()
    limit = " that a control group allows" if allowed < physical_bytes() else ""
    what = f"{free / _GIB:.1f} GiB memory are free, of {allowed / _GIB:.1f} GiB{limit}"
    if free < _LEAST_GIB * _GIB:
        yield Finding.problem(
            "memory-short", what, f"end other work, or raise the limit: serving a model takes about {_LEAST_GIB} GiB"
        )
    elif free < _ENOUGH_GIB * _GIB:
        yield Finding.note(
            "memory-small",
            what,
            f"training wants {_ENOUGH_GIB} GiB: lower training.batch_size and workers if it does not fit",
        )
    else:
        yield Finding.ok("memory", what)


def check_cores() -> Iterator[Finding]:
    """Cores, and how many processes will read studies."""
    cores, without = count_cores(), affinity()
    what = f"{cores} core{'' if cores == 1 else 's'}, so that {count_processes()} processes read studies side by side"
    if cores < without:
        yield Finding.note("processor-quota", f"a control group allows {what}, of {without} that the system names")
    else:
        yield Finding.ok("cores", what)
