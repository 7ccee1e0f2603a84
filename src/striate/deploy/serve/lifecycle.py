"""The server from start to end: port, network, warm-up; reloading on SIGHUP, draining on SIGTERM and SIGINT."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from striate.core.errors import ModelFileError, StriateError
from striate.deploy.serve.access import Access
from striate.deploy.serve.answers import Refusal
from striate.deploy.serve.application import application
from striate.deploy.serve.listener import Listener
from striate.deploy.serve.listening import address_of, bind, listening_error, read_token, require_names
from striate.deploy.serve.logs import Handler, Log
from striate.deploy.serve.model import Served, load_served
from striate.deploy.serve.service import Service
from striate.deploy.serve.settings import ServeSettings

LIBRARIES = ("uvicorn.error", "asyncio", "py.warnings")  # whose log comes into ours


def serve(run: Path, settings: ServeSettings, started: Callable[[str], None]) -> None:
    """Serve a run folder or model file until a signal ends it.

    Args:
        run: The model.
        settings: All of the server's.
        started: Told the URL once requests are answered.

    Raises:
        SettingsError: An address, a token, a device or an engine that cannot be.
        ModelFileError: The model cannot be used.
        ResourceError: The port is in use.
    """
    require_names(settings.allowed_host)
    token = read_token(settings)
    with bind(settings.host, settings.port) as bound:
        threads = torch.get_num_threads()  # as the user has it: a light network is given one
        loaded = _Loading(run, settings, threads)
        server = Server(loaded, loaded(), settings, Access(settings.host, settings.allowed_host, token), bound)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(server.run(started))


class _Loading:
    """Loads the network that is served, the first time and again."""

    def __init__(self, run: Path, settings: ServeSettings, threads: int) -> None:
        self._arguments = (run, settings.device, settings.engine, threads)

    def __call__(self) -> Served:
        return load_served(*self._arguments)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for this system
        return None
    return uvloop.new_event_loop


class Server:
    """One server.

    Args:
        load: Loads its network anew.
        served: The network to begin with.
        settings: All of the server's.
        access: Who may ask.
        bound: The socket to listen at.
    """

    def __init__(
        self,
        load: Callable[[], Served],
        served: Served,
        settings: ServeSettings,
        access: Access,
        bound: socket.socket,
    ) -> None:
        self._load, self._served, self._settings = load, served, settings
        self._access, self._bound = access, bound
        self._ending = asyncio.Event()
        self._reloading: asyncio.Task[None] | None = None

    async def run(self, started: Callable[[str], None]) -> None:
        """Serve until a signal comes, then answer what has been accepted."""
        loop = asyncio.get_running_loop()
        self.log = Log()
        logging.captureWarnings(True)
        for name in LIBRARIES:
            logging.getLogger(name).addHandler(Handler(self.log))
            logging.getLogger(name).propagate = False
        self.service = Service(self._served, self._settings, self.log)
        listener = Listener(application(self.service, self._access), self.service, self._bound)
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._end, number)
            if hasattr(signal, "SIGHUP"):
                loop.add_signal_handler(signal.SIGHUP, self._reload)
            try:
                await listener.listen()
            except OSError as error:
                raise listening_error(error, self._settings.host, self._settings.port) from None
            await self._serve(started)
            await asyncio.sleep(self._settings.announce)
            await listener.drain(loop.time() + self._settings.grace)
            if left := len(listener.connections):
                self.log.event("cut_off", "error", connections=left)
            self.log.event("ended")
        finally:
            listener.close()
            await self.service.close()
            self.log.close()

    async def _serve(self, started: Callable[[str], None]) -> None:
        """Warm up, say so, and wait for the end."""
        ending = asyncio.create_task(self._ending.wait())
        warming = asyncio.create_task(self._warm_up())
        await asyncio.wait({ending, warming}, return_when=asyncio.FIRST_COMPLETED)
        if warming.done():
            await warming
            started(address_of(self._bound))
        await ending
        warming.cancel()

    async def _warm_up(self) -> None:
        try:
            await self.service.warm_up(self._served)
        except Refusal as refusal:
            message = f"the network answers no picture ({refusal.message})"
            raise ModelFileError(message, fix="look at it with striate predict") from None
        gc.collect()
        gc.freeze()  # what there is now stays: going through it again and again delays answers
        self.service.warm = True
        self.log.event("serving", url=address_of(self._bound), model=self._served.name)

    def _end(self, number: int) -> None:
        if self.service.draining:
            self.log.event("ended_at_once", "warning")
            self.log.close()
            os._exit(128 + number)
        self.log.event("draining", signal=signal.Signals(number).name)
        self.service.draining = True
        self._ending.set()

    def _reload(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._exchange())

    async def _exchange(self) -> None:
        """Load the model file anew and put it in the old one's place, if it is any good."""
        with suppress(asyncio.CancelledError):
            try:
                served = await asyncio.get_running_loop().run_in_executor(None, self._load)
                await self.service.warm_up(served)
            except (StriateError, Refusal) as error:
                self.service.metrics.reloads.labels("refused").inc()
                self.log.event("reload_refused", "error", message=str(error))
                return
            self.service.served = served
            self.service.metrics.reloads.labels("done").inc()
            self.log.event("reloaded", model=served.name)
