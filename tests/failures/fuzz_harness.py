"""Decodes thousands of damaged picture files as training and prediction do, and counts what became of each.

    python tests/failures/fuzz_harness.py --pictures 5000

Each file is decoded in another process, so that a crash or a hang is a result and not the end. Then the whole folder is
read as `striate train --skip-bad` reads it. Wrong are: a process that died; a picture that took more than --limit
seconds of processor time, or ten times as long by the clock, as the machine may be busy; an error that is no DataError;
and a file that is not as it was.

A harness that cannot fail proves nothing: with `--plant` one file is met with a crash, one with a hang and one with a
TypeError, and exactly these must be found.
"""

from __future__ import annotations

import argparse
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from folder_state import state
from mutated_pictures import write_mutated

from striate.core.errors import DataError
from striate.core.spec import ImageSpec
from striate.data.decode import decode

START = 60.0  # seconds a process may take until it answers for the first time
PLANTED = ("crash", "hang", "TypeError")


class Worker:
    """A process that decodes one file after the other and says what became of it."""

    def __init__(self, planted: list[str]) -> None:
        program = [sys.executable, __file__, "--serve", ",".join(planted)]
        self.process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.answer(START)

    def answer(self, limit: float) -> str | None:
        """Return its next line, '' where it has died, None where there is none in time."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], limit)
        return self.process.stdout.readline().decode().strip() if ready else None

    def ask(self, path: Path, limit: float) -> str | None:
        """Return what became of a file."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{path}\n".encode())
        return self.answer(limit)

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


def serve(planted: list[str]) -> None:
    """Decode what comes on standard input, for grey and for colour; the first files meet what is planted."""
    specs = [
        ImageSpec(channels=channels, height=16, width=16, classes=("a",), mean=(0,) * channels, std=(1,) * channels)
        for channels in (1, 3)
    ]
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.process_time()
        try:
            if planted:
                meet(planted.pop(0))
            for spec in specs:
                decode(Path(line.rstrip("\n")), spec)
            outcome = "decoded"
        except DataError as error:
            outcome = "refused" if error.fix and line.strip() in str(error) else f"without name or remedy: {error!r}"
        except BaseException as error:
            outcome = repr(error)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(outcome, time.process_time() - began, memory, flush=True)


def meet(planted: str) -> None:
    """Do what no picture may do."""
    if planted == "crash":
        os.abort()
    if planted == "hang":
        time.sleep(3600)
    raise TypeError("planted")


def fuzz(folder: Path, count: int, seed: int, limit: float, plant: bool) -> tuple[Counter[str], list[str], float, int]:
    """Return what became of the files by kind, what went wrong, the longest time and the most memory in MiB."""
    from striate.core.settings import DataSettings
    from striate.data.sources.folder import load_folder  # takes a second, which the workers need not wait for

    paths = write_mutated(folder, count, seed)
    before = state(folder)
    tally: Counter[str] = Counter()
    wrong, longest, memory = [], 0.0, 0
    planted = list(PLANTED) if plant else []
    worker = Worker(planted)
    for path in paths:
        answer = worker.ask(path, 10 * limit)
        if not answer:
            wrong.append(f"{path.name}: {'no answer in time' if answer is None else 'the process died'}")
            worker.close()
            planted = planted[1:]
            worker = Worker(planted)
            continue
        outcome, seconds, mebibytes = answer.rsplit(" ", 2)
        longest, memory = max(longest, float(seconds)), max(memory, int(mebibytes))
        tally[outcome] += 1
        if outcome not in ("decoded", "refused"):
            wrong.append(f"{path.name}: {outcome}")
        elif float(seconds) > limit:
            wrong.append(f"{path.name}: {outcome} after {seconds} s")
    worker.close()
    splits = load_folder(folder, DataSettings(skip_bad=True, img_size=16))
    refused = sum(record.status == "skipped" for record in splits.files)
    if len(splits.train) + refused != count or refused == 0:
        wrong.append(f"the folder: {len(splits.train)} used and {refused} skipped of {count}")
    if state(folder) != before:
        wrong.append("files have changed")
    return tally, wrong, longest, memory


def main() -> int:
    """Fuzz, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=2.0)
    parser.add_argument("--plant", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve([planted for planted in options.serve.split(",") if planted])
        return 0
    with tempfile.TemporaryDirectory() as place:
        tally, wrong, longest, memory = fuzz(
            Path(place) / "pictures", options.pictures, options.seed, options.limit, options.plant
        )
    print(
        f"{options.pictures:,} pictures, {tally['decoded']:,} decoded, {tally['refused']:,} refused, "
        f"{len(wrong)} wrong; {1000 * longest:.0f} ms at most, {memory} MiB at most"
    )
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
