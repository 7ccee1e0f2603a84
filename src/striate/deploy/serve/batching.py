"""Pictures of many requests computed together: one thread holds the network, and takes all that waits when it is free.

Where fewer wait than fit, and others are being decoded, it waits for those a little while; where nothing is on its way
it computes at once.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from striate.core import clock
from striate.deploy.predictor import Prediction
from striate.deploy.serve.answers import own_mistake
from striate.deploy.serve.work import OnePicture

RECENT = 0.1  # what the last batch counts in the time per picture
Batch = list[OnePicture]


class Batcher:
    """Computes decoded pictures in batches.

    Args:
        size: Pictures at once, at most; by default what suits the network.
        wait: Seconds to wait for those being decoded.
        coming: How many are being decoded.
        began: Told the size of every batch.
        failed: Told what the network raised.
    """

    def __init__(
        self,
        size: int | None,
        wait: float,
        coming: Callable[[], int],
        began: Callable[[int], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._size, self._wait, self._coming, self._began, self._failed = size, wait, coming, began, failed
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[OnePicture] = deque()
        self._batch: Batch = []
        self.seconds_per_picture = 0.0  # lately
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._given: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._compute, name="engine", daemon=True)
        self._thread.start()

    @property
    def held(self) -> int:
        """Pictures that wait or are being computed."""
        return len(self._waiting) + len(self._batch)

    def computing_for(self) -> float:
        """Return for how many seconds the present batch has been computed; 0 where there is none."""
        return clock.now() - self._since if self._batch else 0.0

    def put(self, pictures: Iterable[OnePicture]) -> None:
        """Take decoded pictures."""
        self._waiting.extend(pictures)
        self.consider()

    def consider(self) -> None:
        """Begin a batch if it is time: the network is free, and there are enough or no others are coming."""
        if self._batch or not self._waiting:
            return
        if self._enough(1.0):
            self._begin()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._wait, self._begin)

    def close(self) -> None:
        """Let the thread end after what it computes now."""
        self._given.put(None)

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._batch and self._take():
            self._given.put(self._batch)

    def _enough(self, share: float) -> bool:
        """Return whether that share of a batch waits, or no others are coming."""
        if not self._waiting:
            return False
        most = self._size or self._waiting[0].work.served.batch_size
        return len(self._waiting) >= share * most or not self._coming()

    def _take(self) -> bool:
        """Make a batch of one network's pictures that are waited for; return whether there is one.

        The event loop calls it while nothing is computed, and the thread at the end of a batch: never both.
        """
        batch: Batch = []
        while self._waiting:
            picture = self._waiting[0]
            served = batch[0].work.served if batch else picture.work.served
            if len(batch) >= (self._size or served.batch_size):
                break
            if not picture.work.dropped:
                if picture.work.served is not served:
                    break  # after a reload: two networks share no batch
                batch.append(picture)
            self._waiting.popleft()
        if batch:
            self._batch, self._since = batch, clock.now()
            self._began(len(batch))
        return bool(batch)

    def _end(self, batch: Batch, outcome: Sequence[Prediction] | Exception) -> None:
        if self._batch is batch:  # the thread has not gone on by itself
            self._batch = []
            self.consider()
        if isinstance(outcome, Exception):
            self._failed(outcome)
            for picture in batch:
                picture.finish(own_mistake())
        else:
            for picture, prediction in zip(batch, outcome, strict=True):
                picture.finish(prediction)

    def _compute(self) -> None:
        while (batch := self._given.get()) is not None:
            going_on = True
            while going_on:
                outcome = _outcome(batch)
                seconds = self.computing_for() / len(batch)
                self.seconds_per_picture += RECENT * (seconds - self.seconds_per_picture)
                # the event loop may be busy for as long as a batch takes: where enough waits, it is not waited for
                going_on = self._enough(0.5) and self._take()
                try:
                    self._loop.call_soon_threadsafe(self._end, batch, outcome)
                except RuntimeError:  # the loop has ended, and with it whoever waited
                    return
                batch = self._batch


def _outcome(batch: Batch) -> Sequence[Prediction] | Exception:
    try:
        return batch[0].work.served.predict([one.pixels for one in batch], [one.name for one in batch])
    except Exception as error:  # whatever the network raises concerns these pictures alone
        return error
