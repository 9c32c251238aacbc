"""One address for the champion, whichever version that is: a new one takes over without a request lost.

It forwards to MLflow's scoring server, which is a process of its own. When the champion changes, a server for the new
version is started beside the old one; once it answers, it gets the requests, and the old one ends with its last answer.
"""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass
from types import FrameType

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lumbargrade.errors import InputError, LumbargradeError

Serve = Callable[[str], AbstractContextManager[str]]
"""Serves a version as long as the context lasts; gives its address."""

_LONGEST_PAUSE_SECONDS = 600.0

_ENDS = (("/invocations", "POST"), ("/ping", "GET"), ("/health", "GET"), ("/version", "GET"))


@dataclass(eq=False)
class _Backend:
    version: str
    address: str
    server: ExitStack
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
    from starting, such as a lack of memory, may pass.

    Args:
        wanted: Names the version to serve; asked every so often.
        serve: Starts its server.
        tell: Told a line when the version changes, or cannot.
        seconds: Between two looks at what is wanted.

    Raises:
        LumbargradeError: The first version cannot be served.
    """

    def __init__(
        self, wanted: Callable[[], str], serve: Serve, tell: Callable[[str], None], seconds: float = 10.0
    ) -> None:
        self._wanted = wanted
        self._serve = serve
        self._tell = tell
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
        async with httpx.AsyncClient(timeout=None) as self._client:
            follower = asyncio.create_task(self._follow())
            yield
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)

    def _start(self, version: str) -> _Backend:
        server = ExitStack()
        backend = _Backend(version, server.enter_context(self._serve(version)), server)
        self._backends.append(backend)
        return backend

    def _stop(self, backend: _Backend) -> None:
        backend.server.close()
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
            except (LumbargradeError, OSError) as error:
                self._tell(f"cannot tell which version to serve, and go on with the same: {error}")

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
        except (LumbargradeError, OSError) as error:  # a full disk must not end the watch for the next champion
            self._refused = self._refuse(wanted)
            self._tell(
                f"version {wanted} cannot be served, and version {old.version} goes on: {error}; "
                f"it is tried again in {self._refused.pause:g} s"
            )
            return
        self._refused = None
        self._tell(f"version {wanted} has taken over from version {old.version}")
        while old.busy:
            await asyncio.sleep(0.05)
        await asyncio.to_thread(self._stop, old)

    async def _forward(self, request: Request) -> Response:
        body = await request.body()
        backend = self._backend
        backend.busy += 1
        try:
            kind = request.headers.get("content-type")
            answer = await self._client.request(
                request.method,
                f"{backend.address}{request.url.path}",
                content=body,
                headers={"content-type": kind} if kind else {},
            )
        except httpx.HTTPError as error:
            return JSONResponse({"error": f"the model server did not answer ({type(error).__name__})"}, 502)
        finally:
            backend.busy -= 1
        if answer.is_error:  # its body repeats what was sent, which may be a patient's
            told = "the model server refused the request; send one column `study` with a study's zip"
            return JSONResponse({"error": told}, answer.status_code)
        headers = {"x-model-version": backend.version}
        return Response(answer.content, answer.status_code, headers, answer.headers.get("content-type"))


def serve_front(begin: Callable[[], Front], host: str, port: int) -> None:
    """Serves until it is interrupted or terminated; the front is closed then.

    Raises:
        InputError: Nothing can listen there; nothing was begun then.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise InputError(f"{host}:{port} cannot be listened at ({error.strerror}); give another --port") from error
        front = begin()
        config = uvicorn.Config(front.app(), log_level="critical", timeout_graceful_shutdown=30)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            front.close()


def _end(number: int, frame: FrameType | None) -> None:
    """Uvicorn sends itself the signal again that ended it; by default that would leave the model server running."""
    sys.exit(0)
