"""The server from start to end: port, network, warm-up; reloading on SIGHUP, draining on SIGTERM and SIGINT."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import torch
from uvicorn.config import Config
from uvicorn.server import ServerState

from striate.core.errors import ModelFileError, ResourceError, StriateError
from striate.deploy.serve.access import Access
from striate.deploy.serve.answers import Refusal
from striate.deploy.serve.application import application
from striate.deploy.serve.listening import address_of, bind, listening_error, read_token
from striate.deploy.serve.logs import Handler, Log
from striate.deploy.serve.model import Served, load_served
from striate.deploy.serve.protocol import Connection
from striate.deploy.serve.service import Service
from striate.deploy.serve.settings import ServeSettings

THREADS = torch.get_num_threads()  # as the user has it, before a light network is given one
BACKLOG = 1024
SPARE_FILES = 64  # descriptors for everything but connections
MOST_CONNECTIONS = 10_000
LAST_REQUESTS = 0.5  # seconds in which requests under way at the end may still arrive on connections that are open


def serve(run: Path, settings: ServeSettings, started: Callable[[str], None]) -> None:
    """Serve a run folder or model file until a signal ends it.

    Args:
        run: The model.
        settings: All of the server's.
        started: Told the URL once requests are answered.

    Raises:
        SettingsError: An address, a token or a device that cannot be.
        ModelFileError: The model cannot be used.
        ResourceError: The port is in use.
    """
    token = read_token(settings)
    bound = bind(settings.host, settings.port)
    try:
        served = load_served(run, settings.device, settings.engine, THREADS)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(Server(run, served, settings, token, bound).run(started))
    finally:
        bound.close()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for this system
        return None
    return uvloop.new_event_loop


class Server:
    """One server.

    Args:
        run: Where its model is loaded from again.
        served: The model.
        settings: All of them.
        token: What requests must bear.
        bound: The socket to listen at.
        log: Where its events go; stderr by default.
    """

    def __init__(
        self,
        run: Path,
        served: Served,
        settings: ServeSettings,
        token: str | None,
        bound: socket.socket,
        log: Log | None = None,
    ) -> None:
        self._run, self._served, self._settings, self._bound = run, served, settings, bound
        self._access = Access(settings.host, settings.allowed_host, token)
        self.log = log or Log()
        self._state = ServerState()
        self._ending = asyncio.Event()
        self._reloading: asyncio.Task[None] | None = None
        self._signals = 0

    async def run(self, started: Callable[[str], None]) -> None:
        """Serve until a signal comes, then answer what has been accepted."""
        loop = asyncio.get_running_loop()
        handler = Handler(self.log)
        for name in ("uvicorn.error", "asyncio"):
            logging.getLogger(name).addHandler(handler)
            logging.getLogger(name).propagate = False
        service = self.service = Service(self._served, self._settings, self.log)
        config = Config(
            application(service, self._access),
            interface="asgi3",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=self._settings.receive_timeout,  # type: ignore[arg-type]
        )
        config.load()
        most = min(MOST_CONNECTIONS, _most_files() - SPARE_FILES)
        seconds = self._settings.receive_timeout

        def connection() -> Connection:
            return Connection(config, self._state, loop, seconds, most, self._refused)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self._reload)
        watching = loop.create_task(self._watch())
        try:
            listener = await self._listen(connection)
            ending = loop.create_task(self._ending.wait())
            warming = loop.create_task(self._warm_up(service))
            await asyncio.wait({ending, warming}, return_when=asyncio.FIRST_COMPLETED)
            if warming.done():
                warming.result()
                started(address_of(self._bound))
                self.log.event("serving", url=address_of(self._bound), model=self._served.name)
            await ending
            warming.cancel()
            await self._drain(service, listener, connection)
        finally:
            watching.cancel()
            service.close()
            self.log.close()

    async def _listen(self, connection: Callable[[], Connection]) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(connection, sock=self._bound, backlog=BACKLOG)
        except OSError as error:
            raise listening_error(error, self._settings.host, self._settings.port) from None

    async def _warm_up(self, service: Service) -> None:
        try:
            await service.warm_up()
        except Refusal as refusal:
            raise ModelFileError(f"the network answers no picture ({refusal.message})", where=self._run) from None
        gc.collect()
        gc.freeze()  # what there is now stays: going through it again and again delays answers
        service.warm = True

    async def _watch(self) -> None:
        """Look after all connections: who is too slow, and what date it is."""
        loop = asyncio.get_running_loop()
        pause = min(0.25, self._settings.receive_timeout / 10)
        while True:
            now = loop.time()
            self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
            for connection in list(self._state.connections):
                assert isinstance(connection, Connection)
                connection.sweep(now)
            await asyncio.sleep(pause)

    def _refused(self, refusal: Refusal) -> str:
        request_id = secrets.token_hex(8)
        self.service.metrics.refused_early.inc()
        self.log.event("refused", request_id=request_id, status=refusal.status, code=refusal.code)
        return request_id

    def _end(self, number: int) -> None:
        self._signals += 1
        if self._signals > 1:
            self.log.event("ended_at_once", "warning")
            self.log.close()
            os._exit(128 + number)
        self.log.event("draining", signal=signal.Signals(number).name)
        self.service.draining = True
        self._ending.set()

    async def _drain(self, service: Service, listener: asyncio.Server, connection: Callable[[], Connection]) -> None:
        """Answer what has been accepted, and what comes on connections that are open."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._settings.announce)
        until = loop.time() + self._settings.grace
        waiting = []
        while True:  # whoever has connected already is served: closing the socket would refuse them
            try:
                waiting.append(self._bound.accept()[0])
            except OSError:
                break
        listener.close()
        for accepted in waiting:
            await loop.connect_accepted_socket(connection, accepted)
        patient = loop.time() + min(LAST_REQUESTS, self._settings.grace / 2)
        while self._state.connections and loop.time() < until:
            if loop.time() > patient:
                for one in list(self._state.connections):
                    one.shutdown()
            await asyncio.sleep(0.02)
        if left := len(self._state.connections):
            self.log.event("cut_off", "error", connections=left)
        self.log.event("ended")

    def _reload(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._exchange())

    async def _exchange(self) -> None:
        """Load the model file anew and put it in the old one's place, if it is any good."""
        loop, service = asyncio.get_running_loop(), self.service
        try:
            served = await loop.run_in_executor(
                None, load_served, self._run, self._settings.device, self._settings.engine, THREADS
            )
            await service.warm_up(served)
        except (StriateError, Refusal) as error:
            service.metrics.reloads.labels("refused").inc()
            self.log.event("reload_refused", "error", message=str(error))
            return
        service.served = served
        service.metrics.reloads.labels("done").inc()
        self.log.event("reloaded", model=served.name)


def _most_files() -> int:
    """Return how many files may be open, having asked for as many as the system allows."""
    try:
        import resource
    except ImportError:
        return MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = (
        MOST_CONNECTIONS + SPARE_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_CONNECTIONS + SPARE_FILES)
    )
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if max(soft, wanted) < 2 * SPARE_FILES:
        raise ResourceError(f"only {soft} files may be open", where="ulimit -n", fix="ulimit -n 1024")
    return max(soft, wanted)
