"""Runs killed with SIGKILL go on to the same bits; and the harness that says so can say the opposite."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HARNESS = Path(__file__).with_name("kill_harness.py")


def trials(count: int, *options: str) -> tuple[int, list[int], str]:
    """Return exit code, the tally's numbers and the whole output. A process of its own: the harness forks."""
    done = subprocess.run(
        [sys.executable, str(HARNESS), "--trials", str(count), *options], capture_output=True, text=True, timeout=600
    )
    numbers = [int(n) for n in re.findall(r"\d+", done.stdout.splitlines()[0])] if done.stdout else []
    return done.returncode, numbers, done.stdout + done.stderr


def test_killed_at_twenty_random_instants_the_model_file_is_the_same() -> None:
    code, numbers, output = trials(20)
    assert code == 0, output
    ran, kills, in_a_save, _, damaged, wrong = numbers
    assert (ran, wrong) == (20, 0), output
    assert kills >= 20, "the trials did not kill what they meant to"
    assert in_a_save >= 5, "too few kills came inside a save to mean anything"
    assert damaged >= 2, "no checkpoint was damaged, so the manifest was not put to the test"


def test_without_the_manifest_check_the_harness_finds_wrong_results() -> None:
    code, numbers, output = trials(7, "--without-manifest-check")
    assert code == 1, output
    assert numbers[-1] >= 1
