"""Who tests servers must notice a bad one: every fault of the stand-in is found, and without a fault nothing is."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.serving.questions import Question, ask
from benchmarks.serving.server import Server

from .serving import Report, stand_in, write_answers
from .serving_decoders import try_kills
from .serving_fuzz import try_fuzz
from .serving_load import try_load
from .serving_slow import try_slow
from .serving_stops import try_stops

StandIn = Callable[..., Server]
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's /proc")
WORK = ("--work", 2)  # milliseconds a picture: 500 pictures/s


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    rng = np.random.default_rng(0)
    pictures, answers = [], []
    for row in rng.dirichlet(np.ones(10), 12):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(buffer, "PNG")
        pictures.append(buffer.getvalue())
        named = {f"class {number}": float(value) for number, value in enumerate(row)}
        answers.append((max(named, key=named.__getitem__), named))
    return ask(pictures, answers)


@pytest.fixture
def start(questions: list[Question], tmp_path: Path) -> StandIn:
    return partial(stand_in, write_answers(questions, tmp_path / "answers.json"), questions[0])


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("none", ""),
        ("drop", " dropped"),
        ("error", " error"),
        ("wrong", " wrong"),
        ("leak", "memory"),
        ("slow-refusal", "refusals within"),
    ],
)
def test_load(
    fault: str, told: str, start: StandIn, questions: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.failures.serving_load.REFUSED_WITHIN", 0.25)
    report = Report()
    with start("--fault", fault, *WORK) as server:
        try_load(server, questions, report, seconds=0.6, clients=8, connections=128)
    if fault == "none":
        assert report.broken == [], report.lines
    else:
        assert report.broken, report.lines
        assert all(told in text for text in report.broken), report.lines
        if fault in ("drop", "error", "wrong"):
            assert all(f"0{told}" not in text.replace(":", ",").split(", ") for text in report.broken)


@pytest.mark.parametrize(("fault", "told"), [("none", ""), ("lose", " dropped"), ("linger", "still there")])
def test_sigterm(fault: str, told: str, start: StandIn, questions: list[Question]) -> None:
    report = Report()
    try_stops(
        lambda *more: start("--fault", fault, *WORK), questions, report, 2, 16, grace=0.5, longest=0.3, announce=False
    )
    assert len(report.broken) == (0 if fault == "none" else 2), report.lines
    assert all(told in text for text in report.broken)


@pytest.mark.parametrize(
    ("fault", "told"), [("none", ""), ("patient", " still open after"), ("stuck", "leaving: gauges")]
)
def test_slow_and_leaving_clients(
    fault: str, told: str, start: StandIn, questions: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.failures.serving_slow.REST", 0.5)
    monkeypatch.setattr("tests.failures.serving_slow.SETTLED", 0.1)
    report = Report()
    with start("--fault", fault, *WORK, "--receive-timeout", 0.3) as server:
        try_slow(server, questions, report, rate=60, slow=30, idle=30, leaving=30, deadline=1.5, seconds=0.5, slack=0.2)
    assert len(report.broken) == (0 if fault == "none" else 1), report.lines
    assert all(told in text for text in report.broken)


@pytest.mark.parametrize(
    ("fault", "told"), [("none", ""), ("frail", "cases broke a rule"), ("brittle", "processes have ended")]
)
def test_fuzz(fault: str, told: str, start: StandIn, questions: list[Question]) -> None:
    report = Report()
    with start("--fault", fault, "--work", 0.1) as server:
        try_fuzz(server, questions, report, seed=0, numbers=range(120), limit=5)
    assert bool(report.broken) == (fault != "none"), report.lines
    assert any(told in text for text in report.broken) or fault == "none"


def test_a_server_whose_decoders_are_itself_does_not_survive_their_death(
    start: StandIn, questions: list[Question]
) -> None:
    report = Report()
    with start(*WORK) as server:
        try_kills(server, questions, report, 1, 4, decoders=lambda one: [one.pid] * (one.process.poll() is None))
    assert any("ready again after inf" in text for text in report.broken), report.lines
    assert any("the server itself goes on" in text for text in report.broken)
