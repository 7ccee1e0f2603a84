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

from striate.deploy.predictor import Prediction
from striate.deploy.serve.answers import own_mistake
from striate.deploy.serve.model import Served
from striate.deploy.serve.work import OnePicture

RECENT = 0.1  # what the last batch counts in the time per picture
Batch = list[OnePicture]


class Batcher:
    """Computes decoded pictures in batches; all methods but the thread's own belong to the event loop.

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
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._given: queue.SimpleQueue[tuple[Served, Batch] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._compute, name="engine", daemon=True)
        self._thread.start()

    @property
    def held(self) -> int:
        """Pictures that wait or are being computed."""
        return len(self._waiting) + len(self._batch)

    def computing_for(self) -> float:
        """Return for how many seconds the present batch has been computed; 0 where there is none."""
        return 0.0 if self._since is None else self._loop.time() - self._since

    @property
    def _most(self) -> int:
        return self._size or self._waiting[0].work.served.batch_size

    def put(self, pictures: Iterable[OnePicture]) -> None:
        """Take decoded pictures."""
        self._waiting.extend(pictures)
        self.consider()

    def consider(self) -> None:
        """Begin a batch if it is time: the network is free, and there are enough or no others are coming."""
        if self._batch or not self._waiting:
            return
        if len(self._waiting) >= self._most or not self._coming():
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
        if self._batch:
            return
        served: Served | None = None
        most = self._most if self._waiting else 0
        while self._waiting and len(self._batch) < most:
            picture = self._waiting[0]
            if not picture.work.dropped:
                if picture.work.served is not (served or picture.work.served):
                    break  # after a reload: two networks share no batch
                served = picture.work.served
                self._batch.append(picture)
            self._waiting.popleft()
        if served is not None:
            self._since = self._loop.time()
            self._began(len(self._batch))
            self._given.put((served, self._batch))

    def _end(self, outcome: Sequence[Prediction] | Exception) -> None:
        seconds = self.computing_for() / len(self._batch)
        self.seconds_per_picture += RECENT * (seconds - self.seconds_per_picture)
        batch, self._batch, self._since = self._batch, [], None
        self.consider()  # first the network, then the answers
        if isinstance(outcome, Exception):
            self._failed(outcome)
            for picture in batch:
                picture.finish(own_mistake())
        else:
            for picture, prediction in zip(batch, outcome, strict=True):
                picture.finish(prediction)

    def _compute(self) -> None:
        while (given := self._given.get()) is not None:
            served, batch = given
            outcome: Sequence[Prediction] | Exception
            try:
                outcome = served.predict([picture.pixels for picture in batch], [picture.name for picture in batch])
            except Exception as error:  # whatever the network raises concerns these pictures alone
                outcome = error
            if self._loop.is_closed():
                return
            self._loop.call_soon_threadsafe(self._end, outcome)
