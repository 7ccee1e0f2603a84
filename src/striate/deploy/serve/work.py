"""The pictures of one request on their way through decoder and network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from striate.deploy.predictor import Prediction
from striate.deploy.serve.answers import Refusal
from striate.deploy.serve.model import Served

Outcome = Prediction | Refusal


class Work:
    """What one request has asked for.

    Args:
        served: The network that answers all of it.
        pictures: (name, encoded bytes) of each.
        loop: The event loop of the request.
    """

    __slots__ = ("_left", "done", "pictures", "served")

    def __init__(self, served: Served, pictures: Sequence[tuple[str, bytes]], loop: asyncio.AbstractEventLoop) -> None:
        self.served = served
        self.done: asyncio.Future[None] = loop.create_future()
        self.pictures = [OnePicture(self, name, data) for name, data in pictures]
        self._left = len(self.pictures)

    @property
    def dropped(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.done.done()

    def one_finished(self) -> None:
        """Note that another picture has its outcome."""
        self._left -= 1
        if self._left == 0 and not self.done.done():
            self.done.set_result(None)

    def fail(self, reason: Exception) -> None:
        """End it without the outcomes: too late, or nobody there to hear them."""
        if not self.done.done():
            self.done.set_exception(reason)


class OnePicture:
    """One picture: encoded, then decoded, then answered.

    Args:
        work: The request that it belongs to.
        name: What to call it.
        data: Its file's bytes.
    """

    __slots__ = ("data", "name", "outcome", "pixels", "work")

    def __init__(self, work: Work, name: str, data: bytes) -> None:
        self.work, self.name, self.data = work, name, data
        self.pixels = b""
        self.outcome: Outcome | None = None

    def finish(self, outcome: Outcome) -> None:
        """Give it its outcome."""
        self.outcome = outcome
        self.work.one_finished()
