"""What people see while a flow works: bars and lines on standard error, so that standard output stays for results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True)


@contextmanager
def bar(what: str) -> Iterator[Callable[..., None]]:
    """Shows a progress bar in a terminal; yields a function that is told what is done and what there is to do.

    It may also be told, third, what to say in front of the bar from now on.
    """
    with bars() as show:
        yield show(what)


@contextmanager
def bars() -> Iterator[Callable[[str], Callable[..., None]]]:
    """Shows progress bars, one below the other; yields a function that adds one and returns what :func:`bar` yields."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def add(what: str) -> Callable[..., None]:
            task = progress.add_task(what, total=None)
            return lambda done, total, now=None: progress.update(task, completed=done, total=total, description=now)

        yield add


def say(line: str) -> None:
    """Prints one line of the story."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)
