"""One address for the champion, whichever version that is: a new one takes over without a request lost.

It forwards to MLflow's scoring server, which is a process of its own. When the champion changes, a server for the new
version is started beside the old one; once it answers, it gets the requests, and the old one ends with its last answer.
"""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lumbargrade.serving.kept_server import error_words, quietly
from lumbargrade.serving.ports import listening


class Server(Protocol):
    """What requests are forwarded to."""

    @property
    def address(self) -> str:
        """Where it answers now."""

    @property
    def is_up(self) -> bool:
        """Whether it can answer; if not, it is being started again."""


Serve = Callable[[str], AbstractContextManager[Server]]
"""Serves a version as long as the context lasts."""

_LONGEST_PAUSE_SECONDS = 600.0
_LONGEST_ANSWER_SECONDS = 600.0
"""Longer than a model server works at a request: what takes longer does not keep a version that has been replaced."""
_HEALTH_SECONDS = 5.0
_RETRY_AFTER_SECONDS = 10

_ENDS = (("/invocations", "POST"), ("/ping", "GET"), ("/health", "GET"), ("/version", "GET"))


@dataclass(eq=False)
class _Backend:
    version: str
    server: Server
    stack: ExitStack
    busy: int = 0


@dataclass(frozen=True)
class _Refused:
    """A version that could not be served, and when it is tried again (seconds, monotonic)."""

    version: str
    pause: float
    until: float


class Front:
    """Forwards requests to the server of the version that is wanted; made, it has one that answers.

    A version that cannot be served is tried again as long as it is wanted, each time after twice the pause: what kept it
    from starting, such as a lack of memory, may pass. While the server is not up, requests are answered with 503.

    Args:
        wanted: Names the version to serve; asked every so often.
        serve: Starts its server.
        tell: Gets a line when the version changes, or cannot.
        seconds: Between two looks at what is wanted.

    Raises:
        LumbargradeError: The first version cannot be served.
    """

    def __init__(
        self, wanted: Callable[[], str], serve: Serve, tell: Callable[[str], None], seconds: float = 10.0
    ) -> None:
        self._wanted = wanted
        self._serve = serve
        self._say = quietly(tell)
        self._seconds = seconds
        self._refused: _Refused | None = None
        self._backends: list[_Backend] = []
        self._backend = self._start(wanted())
        tell(f"version {self._backend.version} answers")

    def close(self) -> None:
        """Stops the server that is forwarded to, and those of a change that was cut off."""
        for backend in list(self._backends):
            self._stop(backend)

    def app(self) -> Starlette:
        """The application."""
        routes = [Route(path, self._forward, methods=[method]) for path, method in _ENDS]
        return Starlette(routes=routes, lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        # an idle connection is given up before the model server does so, which may be just when it is used again
        limits = httpx.Limits(max_connections=None, keepalive_expiry=2.0)
        async with httpx.AsyncClient(timeout=None, limits=limits) as self._client:
            follower = asyncio.create_task(self._follow())
            yield
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)

    def _start(self, version: str) -> _Backend:
        stack = ExitStack()
        backend = _Backend(version, stack.enter_context(self._serve(version)), stack)
        self._backends.append(backend)
        return backend

    def _stop(self, backend: _Backend) -> None:
        backend.stack.close()
        self._backends.remove(backend)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            try:
                wanted = await asyncio.to_thread(self._wanted)
                if wanted == self._backend.version:
                    self._refused = None
                elif not self._waits(wanted):
                    await self._change(self._backend, wanted)
            except Exception as error:  # a database that is locked or full, say: the next look may do better
                self._say(f"cannot tell which version to serve, and go on with the same: {error_words(error)}")

    def _waits(self, wanted: str) -> bool:
        refused = self._refused
        return refused is not None and refused.version == wanted and time.monotonic() < refused.until

    def _refuse(self, version: str) -> _Refused:
        before = self._refused if self._refused and self._refused.version == version else None
        pause = min(2 * before.pause, _LONGEST_PAUSE_SECONDS) if before else self._seconds
        return _Refused(version, pause, time.monotonic() + pause)

    async def _change(self, old: _Backend, wanted: str) -> None:
        try:
            self._backend = await asyncio.to_thread(self._start, wanted)
        except Exception as error:
            self._refused = self._refuse(wanted)
            self._say(
                f"version {wanted} cannot be served, and version {old.version} "
                f"{'goes on' if old.server.is_up else 'is down too'}: {error_words(error)}; "
                f"it is tried again in {self._refused.pause:g} s"
            )
            return
        self._refused = None
        self._say(f"version {wanted} has taken over from version {old.version}")
        give_up = time.monotonic() + _LONGEST_ANSWER_SECONDS
        while old.busy and time.monotonic() < give_up:
            await asyncio.sleep(0.05)
        await asyncio.to_thread(self._stop, old)

    async def _forward(self, request: Request) -> Response:
        body = await request.body()
        backend = self._backend
        if not backend.server.is_up:
            return _unavailable()
        backend.busy += 1
        try:
            kind = request.headers.get("content-type")
            answer = await self._client.request(
                request.method,
                f"{backend.server.address}{request.url.path}",
                content=body,
                headers={"content-type": kind} if kind else {},
                timeout=_HEALTH_SECONDS if request.method == "GET" else None,
            )
        except httpx.HTTPError:
            return _unavailable()
        finally:
            backend.busy -= 1
        if answer.is_error:  # its body repeats what was sent, which may be a patient's
            refusal = "the model server refused the request; send one column `study` with a study's zip"
            return JSONResponse({"error": refusal}, answer.status_code)
        headers = {"x-model-version": backend.version}
        return Response(answer.content, answer.status_code, headers, answer.headers.get("content-type"))


def _unavailable() -> Response:
    error = (
        "the model server does not answer now; if it has died or hangs, it is being started again; "
        f"try again in {_RETRY_AFTER_SECONDS} s"
    )
    return JSONResponse({"error": error}, 503, {"retry-after": str(_RETRY_AFTER_SECONDS)})


def serve_front(begin: Callable[[], Front], host: str, port: int) -> None:
    """Serves until it is interrupted or terminated; the front is closed then.

    Raises:
        InputError: Nothing can listen there; nothing was begun then.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    with listening(host, port) as listener:
        front = begin()
        config = uvicorn.Config(front.app(), log_level="critical", timeout_graceful_shutdown=30)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            front.close()


def _end(number: int, frame: FrameType | None) -> None:
    """Uvicorn sends itself the signal again that ended it; by default that would leave the model server running."""
    sys.exit(0)
