"""Damaged pictures of every format: decoded or refused by name, never a crash, a hang or a changed file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HARNESS = Path(__file__).with_name("fuzz_harness.py")


def fuzz(count: int, *options: str) -> tuple[int, list[int], str]:
    """Return exit code, the tally's numbers and the whole output."""
    done = subprocess.run(
        [sys.executable, str(HARNESS), "--pictures", str(count), *options], capture_output=True, text=True, timeout=300
    )
    head = done.stdout.splitlines()[0].replace(",", "") if done.stdout else ""
    return done.returncode, [int(number) for number in re.findall(r"\d+", head)], done.stdout + done.stderr


def test_three_hundred_damaged_pictures_are_decoded_or_refused() -> None:
    code, numbers, output = fuzz(300)
    assert code == 0, output
    pictures, decoded, refused, wrong, _, _ = numbers
    assert (pictures, wrong) == (300, 0), output
    assert decoded + refused == 300
    assert refused > 100, "too little damage to mean anything"


def test_the_harness_finds_a_crash_a_hang_and_an_error_of_another_kind() -> None:
    code, numbers, output = fuzz(60, "--plant", "--limit", "0.3")
    assert code == 1, output
    assert numbers[3] == 3, output
    for told in ("the process died", "no answer in time", "TypeError"):
        assert told in output
