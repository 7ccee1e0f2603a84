"""From encoded pictures to predictions: admission, decoders and batches, put together round the network."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image

from striate.deploy.serve.admission import Admission
from striate.deploy.serve.answers import Refusal, busy
from striate.deploy.serve.batching import Batcher
from striate.deploy.serve.decoders import Decoders
from striate.deploy.serve.logs import Log
from striate.deploy.serve.metrics import Metrics
from striate.deploy.serve.model import Served
from striate.deploy.serve.settings import MIB, ServeSettings
from striate.deploy.serve.work import OnePicture, Outcome, Work

ROUTES = ("/predict", "/info", "/live", "/ready", "/metrics", "/openapi.json")
LEAST_HELD = 256 * MIB  # bytes of bodies at a time


class Service:
    """What answers; made in the event loop that it works in.

    Args:
        served: The network.
        settings: All of the server's.
        log: Where its events go.
    """

    def __init__(self, served: Served, settings: ServeSettings, log: Log) -> None:
        self.served, self.settings, self.log = served, settings, log
        self.metrics = Metrics(ROUTES)
        self.admission = Admission(settings.queue, max(LEAST_HELD, 2 * settings.max_bytes), self._in_time)
        self._loop = asyncio.get_running_loop()
        self.warm = self.draining = False
        self.decoders = Decoders(
            settings.workers, settings.max_pixels, settings.decode_timeout, self._decoded, self._decoder_replaced
        )
        self.batcher = Batcher(
            settings.batch_size,
            settings.batch_wait / 1000,
            lambda: self.decoders.coming,
            self.metrics.batches.observe,
            self._engine_failed,
        )
        self.metrics.gauge("queue_pictures", "Pictures being answered", lambda: self.admission.pictures)
        self.metrics.gauge("decoding_pictures", "Pictures waiting for or in a decoder", lambda: self.decoders.coming)
        self.metrics.gauge("computing_pictures", "Pictures waiting for or in the network", lambda: self.batcher.held)
        self.metrics.gauge("body_bytes", "Bytes of bodies being held", lambda: self.admission.held)
        self.metrics.gauge("decoders", "Decoding processes that are ready", lambda: self.decoders.alive)
        self.metrics.gauge("ready", "1 where /ready says so", lambda: not self.not_ready())

    def not_ready(self) -> str:
        """Return why the server is not ready; nothing where it is."""
        if self.draining:
            return "draining"
        if not self.warm:
            return "warming up"
        if not self.decoders.alive:
            return "no decoding process"
        return "the network does not answer" if self.stuck else ""

    @property
    def stuck(self) -> bool:
        """Whether the network has been at one batch for longer than an answer may take."""
        return self.batcher.computing_for() > self.settings.answer_timeout

    async def predict(
        self, pictures: Sequence[tuple[str, bytes]], gone: Callable[[Callable[[], None]], None] | None = None
    ) -> list[Outcome]:
        """Return each picture's prediction or refusal, in order.

        Args:
            pictures: (name, encoded bytes) of each.
            gone: Takes what is to be called when the client has gone.

        Raises:
            Refusal: 503, too much to do; 504, too late.
            ConnectionError: The client has gone.
        """
        if self.stuck:
            raise busy("the network does not answer")
        self.admission.enter(len(pictures))
        work = Work(self.served, pictures, self._loop)
        timer = self._loop.call_later(self.settings.answer_timeout, _expire, work)
        if gone is not None:
            gone(lambda: work.fail(ConnectionError("the client has gone")))
        try:
            self.decoders.put(work.pictures)
            await work.done
            return [picture.outcome for picture in work.pictures if picture.outcome is not None]
        finally:
            timer.cancel()
            work.done.cancel()
            self.admission.leave(len(pictures))

    def count(self, outcomes: Sequence[Outcome]) -> None:
        """Count pictures that were answered."""
        refused = sum(isinstance(outcome, Refusal) for outcome in outcomes)
        self.metrics.pictures.inc(len(outcomes) - refused)
        self.metrics.pictures_refused.inc(refused)

    async def warm_up(self, served: Served) -> None:
        """Have a network answer real pictures, from 1 to a whole batch, before it is relied on.

        Args:
            served: The present network, or the next.

        Raises:
            Refusal: It could not.
        """
        picture = _grey_picture()
        for count in sorted({1, 8, self.settings.batch_size or served.batch_size}):
            work = Work(served, [("warm-up", picture)] * count, self._loop)
            self.decoders.put(work.pictures)
            await work.done
            for one in work.pictures:
                if isinstance(one.outcome, Refusal):
                    raise one.outcome

    async def close(self) -> None:
        """End processes and thread."""
        self.batcher.close()
        await self.decoders.close()

    def _in_time(self) -> float:
        """Return how many pictures can be answered in half of the time that an answer may take, as things go."""
        return self.settings.answer_timeout / 2 / max(self.batcher.seconds_per_picture, 1e-9)

    def _decoded(self, pictures: Iterable[OnePicture]) -> None:
        self.batcher.put(pictures)

    def _decoder_replaced(self, how: str) -> None:
        self.metrics.decoders_replaced.inc()
        self.log.event("decoder_replaced", "warning", message=how)

    def _engine_failed(self, error: Exception) -> None:
        self.metrics.engine_failures.inc()
        self.log.event("engine_failed", "error", error=type(error).__name__, message=str(error))


def _expire(work: Work) -> None:
    work.fail(Refusal(504, "too_late", "no answer in time", "ask again, or send fewer pictures at a time"))


def _grey_picture() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), 128, np.uint8)).save(file, "PNG")
    return file.getvalue()
