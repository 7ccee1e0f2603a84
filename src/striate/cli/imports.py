"""Importing what a command needs, without looking for garbage on the way."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from striate.core import clock


@contextmanager
def importing() -> Iterator[None]:
    """Keep the garbage collector away from the imports inside.

    Modules stay, and there are 300,000 objects in them: going through these again and again while their number grows
    takes a quarter of a second. In the program `striate` they are not gone through later on either.
    """
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if clock.is_program():
            gc.freeze()
        if collected:
            gc.enable()
