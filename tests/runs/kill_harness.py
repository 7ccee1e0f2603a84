"""Kills training runs with SIGKILL at random instants, resumes them, and compares the model file bit by bit.

    python tests/runs/kill_harness.py --trials 300

Half of the kills come at a uniformly random time of the run, half the moment a save is seen on the disk.
After some kills the newest checkpoint gets a flipped bit, as a disk or a power cut may leave it; the
resumed run has to notice and go on from the one before. Each trial ends with a run resumed to its end,
whose model.safetensors must equal that of a run nobody touched.

A harness that cannot fail proves nothing: with `--without-manifest-check` the verification is switched
off, and the same trials must then find wrong results.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from striate import api
from striate.cli.main import main as striate
from striate.runs import checkpoint

PRELOADED = api  # what every run imports, so that the forked children begin with the work itself

OPTIONS = [
    "--epochs", "3", "--first", "160", "-b", "16", "--model", "mnist-cnn", "--precision", "fp32", "--device", "cpu",
    "--ema", "0.9", "--mixup", "0.3", "--rotate", "10", "--shift", "1", "--checkpoint-every", "0", "--quiet",
    "--no-report",
]  # fmt: skip
POLL = 0.0005


@dataclass
class Tally:
    """What happened over all trials."""

    trials: int = 0
    kills: int = 0
    kills_in_a_save: int = 0
    kills_before_the_folder: int = 0
    flipped: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.trials} trials, {self.kills} kills ({self.kills_in_a_save} inside a save, "
            f"{self.kills_before_the_folder} before the run folder), {self.flipped} checkpoints damaged, "
            f"{len(self.wrong)} wrong results"
        )


def start(arguments: list[str], log: Path) -> int:
    """Fork a process that runs one striate command, and return its number."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    code = 1
    try:
        code = striate(arguments)
    finally:
        os._exit(code)


def finish(child: int) -> int:
    """Wait for a child and return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def ended(child: int) -> bool:
    """Return whether a child has ended, leaving it to be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def kill_at(child: int, run: Path, delay: float, in_a_save: bool) -> None:
    """Kill the child after `delay` seconds, or at the first save that is seen after them."""
    deadline = time.monotonic() + delay
    while not ended(child):
        if time.monotonic() >= deadline and (not in_a_save or saving(run)):
            break
        time.sleep(POLL)
    os.kill(child, signal.SIGKILL)


def saving(run: Path) -> bool:
    """Return whether a checkpoint is being written."""
    return any((run / "checkpoints").glob("*.tmp-*"))


def flip_a_bit(run: Path, chance: random.Random) -> bool:
    """Damage the weights in the newest checkpoint, where one before it is left to go on from."""
    folders = sorted(p for p in (run / "checkpoints").glob("step-*") if p.suffix == "" and "." not in p.name)
    if len(folders) < 2:
        return False
    file = folders[-1] / checkpoint.TENSORS
    data = bytearray(file.read_bytes())
    # the exponent's low bit of some float32: a change that no later rounding hides
    place = chance.randrange(len(data) // 2, len(data) - 4) // 4 * 4 + 2
    data[place] ^= 0x80
    file.write_bytes(bytes(data))
    return True


def is_finished(run: Path) -> bool:
    """Return whether a run has its model file."""
    return (run / "model.safetensors").exists()


def fingerprint(run: Path) -> str:
    """Return the SHA-256 of a run's model file."""
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


def one_trial(
    number: int, folder: Path, wanted: str, seconds: float, damage: bool, chance: random.Random, tally: Tally
) -> None:
    """Kill and resume one run until it is finished, damaging its newest checkpoint or not, and compare."""
    run, log = folder / "run", folder / "log"
    fresh = ["train", "digits", *OPTIONS, "--out", str(folder), "--name", "run"]
    again = ["train", "--resume", str(run), "--quiet"]
    delay = chance.uniform(0, seconds)
    for kill in range(chance.choice([1, 1, 2])):
        killed = False
        while not killed and not (kill and is_finished(run)):
            child = start(again if (run / "config.json").exists() else fresh, log)
            kill_at(child, run, delay, in_a_save=(number + kill) % 2 == 0)
            killed = finish(child) != 0
            if not killed and kill == 0:  # the run was faster than the kill: once more, sooner
                shutil.rmtree(run)
            delay = chance.uniform(0, delay)
        tally.kills += killed
        tally.kills_in_a_save += killed and saving(run)
        tally.kills_before_the_folder += killed and not run.exists()
        if killed and damage:
            tally.flipped += flip_a_bit(run, chance)
    code = 0
    if not is_finished(run):
        code = finish(start(again if (run / "config.json").exists() else fresh, log))
    if code != 0 or fingerprint(run) != wanted:
        tally.wrong.append(f"trial {number}: exit code {code}\n{log.read_text()[-500:]}")


def run_trials(trials: int, seed: int, *, check: bool = True) -> Tally:
    """Return what came of some trials; with `check` off, checkpoints are believed unseen."""
    chance = random.Random(seed)
    tally = Tally()
    verify = checkpoint.verify_manifest
    if not check:
        checkpoint.verify_manifest = lambda path: None
    try:
        with tempfile.TemporaryDirectory() as temporary:
            base = Path(temporary)
            wanted = set()
            for name in ("first", "second"):  # the first also warms the machine up
                begun = time.monotonic()
                code = finish(start(["train", "digits", *OPTIONS, "--out", str(base), "--name", name], base / "log"))
                seconds = time.monotonic() - begun
                assert code == 0, (base / "log").read_text()
                wanted.add(fingerprint(base / name))
            assert len(wanted) == 1, "two runs that nobody touched differ"
            for number in range(trials):
                folder = base / f"trial-{number}"
                folder.mkdir()
                damage = number % 3 == 0 or not check  # without the check it is damage that is to be found
                one_trial(number, folder, *wanted, seconds, damage, chance, tally)
                tally.trials += 1
                shutil.rmtree(folder)
    finally:
        checkpoint.verify_manifest = verify
    return tally


def main() -> int:
    """Run the trials and say what came of them; exit code 1 where a result was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-manifest-check", action="store_true")
    options = parser.parse_args()
    tally = run_trials(options.trials, options.seed, check=not options.without_manifest_check)
    print(tally, *tally.wrong, sep="\n")
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
