"""The clock of a program: from the start of its process to its first epoch, then the training of each epoch."""

from __future__ import annotations

import os
import time

# when the process was started, as told by who started it; by hand it counts from here
STARTED = float(os.environ.get("PROCESS_STARTED", time.time()))


class Clock:
    """Takes the time of training; what is done between a stop and the next start, measuring, is left out.

    Attributes:
        start_s: Seconds from the start of the process to the first epoch: imports, decoding, the network.
        training_s: Seconds of each epoch.
    """

    def __init__(self) -> None:
        self.start_s = 0.0
        self.training_s: list[float] = []

    def start(self) -> None:
        """An epoch begins."""
        if not self.training_s:
            self.start_s = round(time.time() - STARTED, 3)
        self._began = time.perf_counter()

    def stop(self) -> None:
        """Its last step is done."""
        self.training_s.append(round(time.perf_counter() - self._began, 3))
