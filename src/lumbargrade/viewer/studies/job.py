"""One study at work: how far it has come, and what came out. Everything about it is forgotten with it."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lumbargrade.config.task import CellKey
from lumbargrade.viewer.image_index import StudyIndex
from lumbargrade.viewer.schemas import Event, Heat, StudyAnswer

_ENDS = ("choose", "done", "failed")


@dataclass(eq=False)
class StudyWork:
    """A study from upload to oblivion.

    Attributes:
        expires: On the monotonic clock.
        answer: None until it is done.
        request_id: Under which the model server last graded it, and may still have its crops.
        heats: Those that were asked for, by condition and level.
        chosen: Addresses of the studies that were chosen of an upload of several, by their number.
        turn: Held by who asks the model for a heat map, so that it is asked once.
    """

    id: str
    folder: Path
    expires: float
    index: StudyIndex | None = None
    answer: StudyAnswer | None = None
    request_id: str = ""
    heats: dict[CellKey, Heat] = field(default_factory=dict)
    chosen: dict[int, str] = field(default_factory=dict)
    turn: threading.Lock = field(default_factory=threading.Lock)
    forgotten: bool = False
    _event: Event = field(default_factory=lambda: Event(stage="received", percent=5, words="The upload is here."))
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def event(self) -> Event:
        """The last event."""
        with self._changed:
            return self._event

    @property
    def ended(self) -> bool:
        """Whether it is done, has failed, or is several studies of which one is to be chosen."""
        return self.event.stage in _ENDS

    def tell(self, **event: Any) -> None:
        """Sets the last event and wakes who waits for it."""
        with self._changed:
            self._event = Event(**event)
            self._changed.notify_all()

    def forget(self) -> None:
        """Wakes who waits; nothing comes any more."""
        with self._changed:
            self.forgotten = True
            self._changed.notify_all()

    def events(self, heartbeat_seconds: float) -> Iterator[Event | None]:
        """The last event, then each change, until the end; None where nothing changed for a while."""
        last: Event | None = None
        while True:
            with self._changed:
                if self._event is last and not self.forgotten:
                    self._changed.wait(heartbeat_seconds)
                if self.forgotten:
                    return
                event = self._event if self._event is not last else None
            last = event or last
            yield event
            if event is not None and event.stage in _ENDS:
                return

    def wait(self, seconds: float) -> Event:
        """Waits for the end, so long at most; returns the last event."""
        give_up = time.monotonic() + seconds
        with self._changed:
            while self._event.stage not in _ENDS and not self.forgotten and time.monotonic() < give_up:
                self._changed.wait(give_up - time.monotonic())
            return self._event
