"""What people see while a flow works: bars and lines on standard error, so that standard output stays for results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True)


class Show(Protocol):
    """Moves a progress bar."""

    def __call__(self, done: int, total: int, what: str | None = None) -> None:
        """Is told what is done, what there is to do, and what to say in front of the bar if that changes."""


@contextmanager
def bar(what: str) -> Iterator[Show]:
    """Shows a progress bar in a terminal; yields the function that moves it."""
    with bars() as show:
        yield show(what)


@contextmanager
def bars() -> Iterator[Callable[[str], Show]]:
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

        def add(first: str) -> Show:
            task = progress.add_task(first, total=None)

            def show(done: int, total: int, what: str | None = None) -> None:
                progress.update(task, completed=done, total=total, description=what)

            return show

        yield add


@contextmanager
def working(what: str) -> Iterator[None]:
    """Shows in a terminal that something is at work that cannot say how far it is."""
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


def say(line: str) -> None:
    """Prints one line of the story."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)
