"""Keeps a model server running: one that has died, or no longer answers, is replaced."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

import requests

from lumbargrade.serving.mlflow_server import ScoringServer, read_from

Begin = Callable[[], AbstractContextManager[ScoringServer]]
"""Starts the server, which runs as long as the context lasts."""

_LOOK_SECONDS, _ANSWER_SECONDS = 1.0, 5.0
"""Between two looks at a server's process; what it has for an answer each time."""
_MISSED = 5
"""A server that has not answered so often in a row hangs."""
_LAST_WORDS_SECONDS = 5.0
_HEALTHY_SECONDS = 60.0
"""A server that has answered for so long is started again at once when it ends."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class KeptServer:
    """A server that is there again soon after it has died; made by :func:`kept_server`.

    Args:
        begin: Starts the server, each time anew.
        what: Names it in lines.
        tell: Receives a line for each end, start and failed start.
        echo: Whether lines that the server's own process writes are passed to ``tell`` too.
    """

    def __init__(self, begin: Begin, what: str, tell: Callable[[str], None], echo: bool) -> None:
        self._begin, self._what, self._say, self._echo = begin, what, quietly(tell), echo
        self._stop = threading.Event()
        self._restarts = 0
        self._pause = 0.0
        self._start()
        self._thread = threading.Thread(target=self._watch, name="kept-server", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where it answers now; a server that is started again may have another address."""
        return self._server.address

    @property
    def is_up(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._is_up and self._server.is_running

    def close(self) -> None:
        """Ends the server, and does not start it again."""
        self._stop.set()
        self._thread.join()
        self._stack.close()

    def _start(self) -> None:
        self._stack = ExitStack()
        self._server = self._stack.enter_context(self._begin())
        self._since, self._missed, self._echoed, self._is_up = time.monotonic(), 0, 0, True

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                fault = self._find_fault()
                self._repeat_lines()
                if fault:
                    self._replace(fault)
            except Exception as error:  # if this thread ended, the next death would go unseen
                self._say(f"{self._what} could not be looked at: {error_words(error)}")

    def _find_fault(self) -> str:
        ended = self._server.ended()
        if ended:
            return f"its process {ended}"
        if _responds(self.address):
            self._missed = 0
            return ""
        self._missed += 1
        is_listening = self._server.is_listening
        if is_listening and self._missed < _MISSED:
            return ""
        if not is_listening:  # its worker is dead, and the process that waits for it is about to say how that ended
            self._is_up = False  # somebody else may listen there any moment
            self._server.process.wait(_LAST_WORDS_SECONDS)
        ended = self._server.ended()
        self._server.process.end(0)  # what hangs would not end by being asked
        if ended:
            return f"its process {ended}"
        return f"its process {'hangs' if is_listening else 'does not listen any longer'}, and was ended"

    def _replace(self, fault: str) -> None:
        self._is_up = False
        healthy = time.monotonic() - self._since > _HEALTHY_SECONDS
        self._pause = 0.0 if healthy or not self._restarts else self._longer()
        self._restarts += 1
        when = f"in {self._pause:g} s" if self._pause else "now"
        self._say(f"{self._what}: {fault}; it is started again {when} (restart {self._restarts})")
        self._stack.close()  # ends what the dead process had started
        while not self._stop.wait(self._pause):
            try:
                self._start()
            except Exception as error:  # whatever keeps it from starting may pass
                self._pause = self._longer()
                self._say(
                    f"{self._what} cannot be started again, and grades nothing: {error_words(error)}; "
                    f"it is tried again in {self._pause:g} s"
                )
            else:
                self._say(f"{self._what} answers again")
                return

    def _longer(self) -> float:
        return min(max(2 * self._pause, _FIRST_PAUSE), _LONGEST_PAUSE)

    def _repeat_lines(self) -> None:
        if self._echo:
            text = read_from(self._server.log, self._echoed)
            whole = text[: text.rfind(b"\n") + 1]
            self._echoed += len(whole)
            for line in whole.decode(errors="replace").splitlines():
                self._say(line)


@contextmanager
def kept_server(begin: Begin, what: str, tell: Callable[[str], None], echo: bool = False) -> Iterator[KeptServer]:
    """Keeps a server running as long as the context lasts; see :class:`KeptServer`.

    Raises:
        LumbargradeError: The server cannot be started the first time.
    """
    server = KeptServer(begin, what, tell, echo)
    try:
        yield server
    finally:
        server.close()


def quietly(tell: Callable[[str], None]) -> Callable[[str], None]:
    """The same for whoever must go on if the line cannot be written: the disk is full, or the terminal closed."""

    def say(line: str) -> None:
        with suppress(OSError, ValueError):
            tell(line)

    return say


def error_words(error: Exception) -> str:
    """An error in a line: its sentence, cut short, with its kind if it is none of ours."""
    lines = str(error).strip().splitlines() or [""]
    ours = type(error).__module__.startswith("lumbargrade.")
    return lines[0][:300] if ours else f"{type(error).__name__}: {lines[0][:300]}".removesuffix(": ")


def _responds(address: str) -> bool:
    """Whether a server answers at all, ready or not."""
    try:
        requests.get(f"{address}/ping", timeout=_ANSWER_SECONDS)
    except requests.RequestException:
        return False
    return True
