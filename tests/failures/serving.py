"""What the harnesses of the server share: a server to try, questions with known answers, and a report.

Every harness is a script with options for how much and how long, run at the project's root:

    python -m tests.failures.serving_load RUN fashion-mnist --seconds 120
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path

from benchmarks.serving.questions import Question
from benchmarks.serving.server import Server, get


class Report:
    """What a harness found: figures, and the rules that were kept or broken."""

    def __init__(self, aloud: bool = False) -> None:
        self.lines: list[str] = []
        self.broken: list[str] = []
        self.aloud = aloud

    def say(self, text: str) -> None:
        """Take a figure down."""
        self.lines.append(text)
        if self.aloud:
            print(text, flush=True)

    def require(self, holds: bool, text: str) -> None:
        """Take down a rule, with the figures that it is judged by."""
        self.say(f"{'ok    ' if holds else 'BROKEN'}  {text}")
        if not holds:
            self.broken.append(text)

    def end(self) -> int:
        """Return the exit status of a script."""
        self.say(f"{len(self.broken)} rules broken")
        return int(bool(self.broken))


StartServer = Callable[..., AbstractContextManager[Server]]  # of further options of the server


def striate_serve(run: Path, ready: Question, *options: object) -> Server:
    """Return `striate serve RUN` with these options, not yet started."""
    arguments = ["serve", run.absolute(), "--port", "{port}", *options]
    return Server("striate.cli.entry", arguments, ready, ready_path="/ready")


def stand_in(answers: Path, ready: Question, *options: object) -> Server:
    """Return the stand-in with these options, not yet started."""
    return Server("tests.failures.stand_in", ["--port", "{port}", "--answers", answers, *options], ready)


def write_answers(questions: Sequence[Question], file: Path) -> Path:
    """Write what the stand-in is to answer."""
    answers = {
        sha256(one.body).hexdigest(): {"label": one.label, "probabilities": dict(one.probabilities)}
        for one in questions
    }
    file.write_text(json.dumps(answers))
    return file


def gauges(port: int) -> dict[str, float]:
    """Return the gauges in /metrics, each summed over its labels."""
    reply = get(port, "/metrics")
    assert reply is not None
    assert reply.status == 200
    found: dict[str, float] = {}
    names: set[str] = set()
    for line in reply.body.decode().splitlines():
        if line.startswith("# TYPE ") and line.endswith(" gauge"):
            names.add(line.split()[2])
        elif line and not line.startswith("#"):
            name = line.split("{")[0].split()[0]
            if name in names:
                found[name] = found.get(name, 0.0) + float(line.rsplit(" ", 1)[1])
    return found


def becomes(holds: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Return whether something holds within so many seconds."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if holds():
            return True
        time.sleep(every)
    return holds()


def many_files() -> None:
    """Let this process hold as many connections as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def script(doc: str | None, add: Callable[[argparse.ArgumentParser], None]) -> argparse.Namespace:
    """Return the options of a harness; of its own, what `add` adds.

    Behind `--` stand further options of `striate serve`.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder or model file")
    parser.add_argument("data", help="pictures to send: fashion-mnist, mnist, or a folder of pictures")
    parser.add_argument("--pictures", type=int, default=200, help="how many of them [200]")
    parser.add_argument("--seed", type=int, default=0)
    add(parser)
    given = sys.argv[1:]
    own, further = (given[: given.index("--")], given[given.index("--") + 1 :]) if "--" in given else (given, [])
    options = parser.parse_args(own)
    options.further = further
    return options


def starter(options: argparse.Namespace, ready: Question) -> StartServer:
    """Return what starts the server that a script was told of."""
    return lambda *more: striate_serve(options.run, ready, *more, *options.further)
