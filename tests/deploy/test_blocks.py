"""Many files: the same answers whoever decodes them, each failure its own, and the next block decoded meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from striate.core.errors import DataError
from striate.data import parallel
from striate.deploy import Predictor, blocks
from striate.deploy import predictor as predicting
from striate.deploy.engine import worth
from striate.deploy.predictor import Prediction


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Return 32 pictures, of sizes and kinds of their own."""
    paths = []
    for number in range(32):
        noise = np.random.default_rng(number).integers(0, 256, (20 + number, 24, 3), dtype=np.uint8)
        path = tmp_path / f"{number:02}.{'png' if number % 2 else 'jpg'}"
        Image.fromarray(noise).save(path)
        paths.append(str(path))
    return paths


@pytest.fixture(params=["here", "by helpers"])
def decoders(request, monkeypatch) -> None:
    """Let files be decoded in this process, or by another as well, in chunks of a few."""
    monkeypatch.setattr(predicting, "comfortable_batch", lambda *_: 5)
    if request.param == "by helpers":
        monkeypatch.setattr(parallel, "START", 0.0)
        monkeypatch.setattr(parallel, "seconds_to_decode", lambda *_: 1.0)
        monkeypatch.setattr(parallel, "usable_cores", lambda: 2)
        monkeypatch.setattr(parallel, "_CHUNK_FILES", 4)


@pytest.mark.parametrize("engine", ["torch", "onnx"])
@pytest.mark.parametrize("bad", ["absent", "damaged", "a folder"])
def test_a_bad_picture_among_32_fails_alone(
    predictor, files: list[str], decoders, engine: str, bad: str, tmp_path: Path
) -> None:
    p: Predictor = predictor()
    alone = [p.predict(file)[0] for file in files]
    if engine == "onnx":
        pytest.importorskip("onnxruntime")
        p = p.with_engine("onnx")
    files[11] = {"absent": str(tmp_path / "absent.png"), "damaged": files[11], "a folder": str(tmp_path)}[bad]
    if bad == "damaged":
        Path(files[11]).write_bytes(Path(files[11]).read_bytes()[:200])
    for outcomes in (list(p.outcomes(files)), list(p.outcomes(iter(files)))):
        assert len(outcomes) == 32
        failed = outcomes.pop(11)
        assert isinstance(failed, DataError)
        assert files[11] in str(failed)
        for outcome, prediction in zip(outcomes, alone[:11] + alone[12:], strict=True):
            assert isinstance(outcome, Prediction)
            assert outcome.name == prediction.name
            assert outcome.probabilities == pytest.approx(prediction.probabilities, abs=1e-6)


def test_a_list_of_paths_and_an_iterator_of_them_get_the_same_answers_and_errors(
    predictor, files: list[str], decoders, tmp_path: Path
) -> None:
    p: Predictor = predictor(channels=1)
    files[3:3] = ["", "x\0y", "x" * 300, str(tmp_path / "*.png"), str(tmp_path)]
    told = [
        [str(one) if isinstance(one, DataError) else one for one in p.outcomes(pictures)]
        for pictures in (files, tuple(map(Path, files)), iter(files))
    ]
    assert told[0] == told[2]
    assert [type(one) for one in told[1]] == [type(one) for one in told[0]]
    assert sum(isinstance(one, str) for one in told[0]) == 5


def test_the_next_block_is_decoded_while_the_last_is_computed(predictor, files: list[str], monkeypatch) -> None:
    p: Predictor = predictor()
    monkeypatch.setattr(blocks, "usable_cores", lambda: 1)
    monkeypatch.setattr(parallel, "_CHUNK_FILES", 8)
    monkeypatch.setattr(predicting, "comfortable_batch", lambda *_: 8)
    computing, real, calls = threading.Event(), parallel.Decoders.into, []

    def into(self, paths, out):
        calls.append(len(paths))
        if len(calls) == 2:
            assert computing.wait(10), "nothing was computed before the second block was decoded"
        return real(self, paths, out)

    monkeypatch.setattr(parallel.Decoders, "into", into)
    outcomes = p.outcomes(files)
    next(outcomes)
    computing.set()
    assert len(list(outcomes)) == 31
    assert calls == [8, 8, 8, 8]


def test_answers_that_are_not_wanted_any_more_leave_no_thread_and_no_process(
    predictor, files: list[str], monkeypatch
) -> None:
    monkeypatch.setattr(parallel, "START", 0.0)
    monkeypatch.setattr(parallel, "seconds_to_decode", lambda *_: 1.0)
    monkeypatch.setattr(parallel, "usable_cores", lambda: 2)
    started = []
    real = parallel.Helper.__init__
    monkeypatch.setattr(parallel.Helper, "__init__", lambda self, spec: (started.append(self), real(self, spec))[1])
    before = threading.active_count()
    outcomes = predictor().outcomes(files)
    next(outcomes)
    outcomes.close()
    assert threading.active_count() == before
    assert started
    assert all(helper.process is None for helper in started)


def test_pictures_that_no_array_may_be_written_to_are_taken(predictor) -> None:
    p: Predictor = predictor()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)
    wanted = p.predict_pixels(pixels, ["a", "b", "c"])
    pixels.flags.writeable = False
    assert p.predict_pixels(pixels, ["a", "b", "c"]) == wanted
    other = np.asfortranarray(pixels)
    assert p.predict_pixels(other, ["a", "b", "c"]) == wanted


@pytest.mark.parametrize(
    ("count", "each", "recorded", "worth_it"),
    [
        (1, 100.0, True, False),  # so few that nothing is asked
        (1000, 0.001, True, False),  # a second
        (1000, 0.01, False, False),  # ten seconds: less than a race would save
        (1000, 0.01, True, True),
        (1000, 0.1, False, True),
    ],
)
def test_an_engine_is_chosen_where_that_saves_time(
    predictor, monkeypatch, count: int, each: float, recorded: bool, worth_it: bool
) -> None:
    monkeypatch.setattr(worth, "_seconds_each", lambda _: each)
    monkeypatch.setattr(worth, "has_record", lambda _: recorded)
    assert worth.worth_choosing(predictor().loaded, count) is worth_it


def test_a_pictures_time_is_counted_in_every_view(predictor, monkeypatch) -> None:
    moments = iter([10.0, 11.0])
    monkeypatch.setattr(worth.clock, "now", lambda: next(moments))
    monkeypatch.setattr(worth, "comfortable_batch", lambda *_: 4)
    assert worth._seconds_each(predictor(views=2).loaded) == 0.5
    assert not torch.is_inference_mode_enabled()
