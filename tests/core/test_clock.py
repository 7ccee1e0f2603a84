"""When a process began: against a clock read before and after it was started."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from striate.core import clock

PROGRAM = "from striate.core import clock; print(clock.process_start(), clock.now())"
TICK = 0.02  # the system records starts in hundredths of a second


@pytest.mark.skipif(sys.platform != "linux", reason="the system's record of a process's start is Linux's")
def test_a_process_begins_when_it_is_started() -> None:
    before = time.monotonic()
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    after = time.monotonic()
    start, later = map(float, done.stdout.split())
    assert before - TICK <= start < later <= after


def test_the_start_of_a_long_lived_process_is_that_of_our_import(monkeypatch) -> None:
    monkeypatch.setattr(clock, "_imported", time.monotonic() + 1000)
    assert clock.process_start() == clock._imported


def test_only_the_program_counts_from_its_start(monkeypatch) -> None:
    before = clock.now()
    assert before <= clock.began() <= clock.now()
    monkeypatch.setattr(clock, "_began", None)
    clock.begin_program()
    assert clock.began() == pytest.approx(clock.process_start(), abs=TICK)
