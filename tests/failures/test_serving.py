"""The server under load, stopped, bereft of a decoder, with slow and malformed clients: the harnesses, made small.

At full size: `python -m tests.failures.serving_load --help`, and likewise serving_stops, serving_decoders,
serving_slow and serving_fuzz.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.serving.pictures import questions_about
from benchmarks.serving.questions import Question
from benchmarks.serving.server import Server
from striate.core.spec import ImageSpec
from striate.models import Architecture, build
from striate.runs.model_file import ModelCard, save_model

from .serving import Report, striate_serve
from .serving_decoders import try_kills
from .serving_fuzz import try_fuzz
from .serving_load import try_load
from .serving_schema import try_schema
from .serving_slow import try_slow
from .serving_stops import try_stops

QUICK = ("--engine", "torch", "--receive-timeout", 1.0)
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's /proc")
pytest.importorskip("fastapi")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = ImageSpec(channels=3, height=16, width=16, classes=tuple("abcdefg"), mean=(0.5,) * 3, std=(0.25,) * 3)
    torch.manual_seed(0)
    architecture = Architecture(name="fast")
    network = build(architecture, spec)
    file = tmp_path_factory.mktemp("served") / "model.safetensors"
    save_model(file, network, ModelCard(architecture=architecture, spec=spec))
    return file


@pytest.fixture(scope="module")
def questions(model: Path) -> list[Question]:
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(12):
        buffer = io.BytesIO()
        colours = rng.integers(0, 256, (2, 2, 3), np.uint8)
        picture = Image.fromarray(colours).resize((30, 20 + number), Image.Resampling.BICUBIC)
        picture.save(buffer, "JPEG" if number % 2 else "PNG")
        pictures.append(buffer.getvalue())
    return questions_about(model, pictures)


@pytest.fixture(scope="module")
def server(model: Path, questions: list[Question]) -> Iterator[Server]:
    with striate_serve(model, questions[0], *QUICK) as server:
        yield server


def test_pictures_get_different_answers(questions: list[Question]) -> None:
    rows = np.array([list(one.probabilities.values()) for one in questions])
    apart = np.abs(rows[:, None] - rows[None]).max(2) + np.eye(len(rows))
    assert apart.min() > 1e-3, "a wrong answer could pass for a right one"


def test_load(server: Server, questions: list[Question], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.failures.serving_load.REFUSED_WITHIN", 5.0)  # the machine does other things, too
    monkeypatch.setattr("tests.failures.serving_load.GROWTH", 1.2)
    report = Report()
    try_load(server, questions, report, seconds=0.6, clients=8, connections=400, steady=0.5, over=5.0)
    assert report.broken == [], report.lines


def test_a_decoder_is_killed(server: Server, questions: list[Question]) -> None:
    report = Report()
    try_kills(server, questions, report, times=2, clients=16)
    assert report.broken == [], report.lines


def test_slow_idle_and_leaving_clients(server: Server, questions: list[Question]) -> None:
    report = Report()
    try_slow(server, questions, report, rate=50, slow=30, idle=50, leaving=60, deadline=10.0, seconds=1.0, slack=0.5)
    assert report.broken == [], report.lines


def test_malformed_requests(server: Server, questions: list[Question]) -> None:
    report = Report()
    try_fuzz(server, questions, report, seed=1, numbers=range(300), limit=10)
    assert report.broken == [], report.lines


def test_requests_by_the_document(server: Server, questions: list[Question]) -> None:
    report = Report()
    try_schema(server, questions, report, count=100, seed=1)
    assert report.broken == [], report.lines


def test_sigterm_under_load(model: Path, questions: list[Question]) -> None:
    report = Report()
    try_stops(lambda *more: striate_serve(model, questions[0], *QUICK, *more), questions, report, 2, 16, longest=0.5)
    assert report.broken == [], report.lines
