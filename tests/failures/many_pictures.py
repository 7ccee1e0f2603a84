"""A folder of very many small pictures: how long it takes to list and decode, in how much memory, and how soon it ends.

    python tests/failures/many_pictures.py --pictures 100000

The folder is made once, of different pictures of 32×32 pixels, in ten classes. Then, each in a process of its own on a
terminal of its own: `striate data show`, with an empty cache and again, with its time, the most memory that any of its
processes held and whether the progress was shown; and the same, interrupted as by Ctrl-C at instants spread over that
time, with the time until the process was gone. The folder must be as it was.
"""

from __future__ import annotations

import argparse
import io
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np
from folder_state import state
from PIL import Image
from terminal import on_a_terminal

INSTANTS = (0.1, 0.3, 0.5, 0.7, 0.9)


def make_folder(folder: Path, count: int) -> None:
    """Write `count` different JPEG files: ten pictures, each with a comment of its own."""
    rng = np.random.default_rng(0)
    encoded = []
    for _ in range(10):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(buffer, "JPEG")
        encoded.append(buffer.getvalue())
    for number in range(count):
        data = encoded[number % 10]
        comment = f"{number:08}".encode()
        place = folder / f"class {number % 10}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:07}.jpg").write_bytes(
            data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]
        )


def main() -> int:
    """Measure, and say what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place) / "pictures", Path(place) / "cache"
        make_folder(folder, options.pictures)
        before = state(folder)
        show = ["data", "show", str(folder)]
        environment = {"STRIATE_CACHE": str(cache)}
        first = on_a_terminal(show, environment)
        again = on_a_terminal(show, environment)
        for name, outcome in (("first", first), ("again", again)):
            bar = "with" if "reading" in outcome.shown else "without"
            print(f"{name:<8} {outcome.seconds:.1f} s, {outcome.memory:,} MiB at most, {bar} progress", flush=True)
            failed |= outcome.code != 0
        for share in INSTANTS:
            shutil.rmtree(cache, ignore_errors=True)
            wanted = share * first.seconds
            outcome = on_a_terminal(show, environment, lambda seconds, _, wanted=wanted: seconds > wanted)
            print(f"Ctrl-C   after {wanted:.1f} s: gone {1000 * outcome.after_signal:.0f} ms later", flush=True)
            failed |= outcome.after_signal > 2 or outcome.code != -signal.SIGINT
        failed |= state(folder) != before
    print("failed" if failed else "all as it should be")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
