"""The champion alias, and every move of it: MLflow keeps where it is, the audit log where it was, when and why.

The alias moves first and is logged then. Whoever opens :class:`Champion` finds out whether something moved it that did not
log it, a process that was killed or a hand in the store, and logs that it was found so.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from filelock import FileLock

from lumbargrade.audit.log import AuditLog, Entry
from lumbargrade.config.project import current_project
from lumbargrade.config.task import GradingTask
from lumbargrade.errors import InputError, LumbargradeError
from lumbargrade.frozen import Frozen
from lumbargrade.registry.names import CHAMPION, champion_uri, registered_name
from lumbargrade.registry.resolve import champion_version
from lumbargrade.tracking.mlflow_tracker import Tracker

MOVED, ROLLED_BACK, FOUND_MOVED = "alias moved", "rolled back", "alias found moved"
"""Kinds of entries in the audit log."""


class Move(Frozen):
    """A move of the champion alias.

    Attributes:
        kind: ``alias moved``, ``rolled back``, or ``alias found moved``.
        from_version: Champion before; None if there was none.
        to_version: Champion since; None if the alias was taken away.
        by: Who moved it; empty for the gate, and where nobody knows.
    """

    time: str
    kind: str
    from_version: str | None
    to_version: str | None
    why: str
    by: str


class Champion:
    """Which version of a task is champion, and was.

    Args:
        log: Where moves are written.
    """

    def __init__(self, tracker: Tracker, task: GradingTask, log: AuditLog) -> None:
        self.tracker = tracker
        self.task = task
        self.log = log
        with self._alone():
            self._notice()

    @property
    def version(self) -> str | None:
        """The version that is champion, if there is one."""
        return champion_version(self.tracker, self.task)

    def moves(self) -> list[Move]:
        """Every move, the first one first."""
        return logged_moves(self.log, self.task)

    def line(self) -> list[str]:
        """The champions that followed each other, without those that were rolled back; the last one is champion."""
        line: list[str] = []
        for move in self.moves():
            returns = len(line) > 1 and move.to_version == line[-2]
            if returns and move.kind in (ROLLED_BACK, FOUND_MOVED):
                line.pop()
            elif move.to_version is not None and move.to_version not in line[-1:]:
                line.append(move.to_version)
        return line

    def move(
        self, to: str, why: str, by: str = "", kind: str = MOVED, check: Callable[[str | None], None] | None = None
    ) -> Move:
        """Makes a version champion and logs it.

        Args:
            check: Told the champion at the last moment; raises if the move is not right any more.
        """
        with self._alone():
            self._notice()
            before = self.version
            if check is not None:
                check(before)
            self.tracker.client.set_registered_model_alias(registered_name(self.task), CHAMPION, to)
            return self._write(kind, before, to, why, by)

    def _notice(self) -> None:
        """Logs it if the alias is not where the log left it."""
        moves = self.moves()
        left, now = moves[-1].to_version if moves else None, self.version
        if now != left:
            why = f"the log left the alias at {version_words(left)}; it was found at {version_words(now)}"
            self._write(FOUND_MOVED, left, now, why, "")

    def _write(self, kind: str, before: str | None, to: str | None, why: str, by: str) -> Move:
        details = {"from": before, "to": to, "why": why}
        return _move(self.log.append(kind, champion_uri(self.task), details, by))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Held while the alias moves and is logged, so that no other command finds it moved in between."""
        lock = current_project().champion_lock
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            yield


def logged_moves(log: AuditLog, task: GradingTask) -> list[Move]:
    """Every move of a task's champion alias that a log tells, the first one first."""
    kinds, uri = (MOVED, ROLLED_BACK, FOUND_MOVED), champion_uri(task)
    return [_move(entry) for entry in log.entries() if entry.subject == uri and entry.kind in kinds]


def moves_at(moves: Sequence[Move], when: str) -> list[Move]:
    """The moves that made the champions of a day, or that of a moment.

    Args:
        when: ISO 8601, UTC; a date is the whole day, on which there may have been several.

    Raises:
        InputError: It is no date or time.
    """
    try:
        first = datetime.fromisoformat(when)
    except ValueError as error:
        raise InputError(
            f"{when} is no date or time", "give one like 2026-03-31 or 2026-03-31T12:00", "date-invalid"
        ) from error
    first = first if first.tzinfo else first.replace(tzinfo=UTC)
    last = first + timedelta(days=1) if len(when) <= len("2026-03-31") else first
    before = [move for move in moves if datetime.fromisoformat(move.time) <= first]
    return before[-1:] + [move for move in moves if first < datetime.fromisoformat(move.time) < last]


def version_words(version: str | None) -> str:
    """What messages call a champion, or that there is none."""
    return f"version {version}" if version else "no version"


def still(judged_against: str | None, version: str) -> Callable[[str | None], None]:
    """A check for :meth:`Champion.move`: the champion is the one that a version was judged against."""

    def check(now: str | None) -> None:
        if now != judged_against:
            raise LumbargradeError(
                f"the champion changed from {version_words(judged_against)} to {version_words(now)} while version "
                f"{version} was judged",
                f"judge it again with `lumbargrade models gate {version}`",
                "champion-changed-meanwhile",
            )

    return check


def _move(entry: Entry) -> Move:
    details = {"from_version": entry.details["from"], "to_version": entry.details["to"], "why": entry.details["why"]}
    return Move(time=entry.time, kind=entry.kind, by=entry.by, **details)
