"""Many files at once: helpers answer as this process does, and their loss is made good."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.core.errors import DataError
from striate.data import parallel
from striate.data.decode import PassingError, decode
from striate.data.parallel import Decoders, Helper, decode_here


@pytest.fixture
def files(picture_folder) -> list[str]:
    root: Path = picture_folder(cats=9)
    (root / "cats" / "004.png").write_bytes(b"no picture")
    Image.new("RGBA", (9, 9)).save(root / "cats" / "005.png")
    (root / "cats" / "a\ntab\tname.png").write_bytes((root / "cats" / "000.png").read_bytes())
    strange = os.fsencode(root / "cats") + b"/\xff\xfe.png"
    Path(os.fsdecode(strange)).write_bytes((root / "cats" / "001.png").read_bytes())
    return [str(path) for path in sorted((root / "cats").iterdir())] + [str(root / "gone.png")]


def told(outcomes) -> list[object]:
    return [(type(one), one.what, one.where, one.fix) if isinstance(one, DataError) else one for one in outcomes]


def test_a_helper_answers_as_this_process_does(files, make_spec) -> None:
    spec = make_spec(channels=3, side=12, classes=2)
    here, there = (np.full((len(files), *spec.input_shape), 7, np.uint8) for _ in range(2))
    outcomes = decode_here(files, spec, here)
    helper = Helper(spec)
    try:
        answers = helper(files[:5], there[:5]) + helper(files[5:], there[5:])
        assert helper.process is not None  # it was not done here
    finally:
        helper.close()
    assert np.array_equal(here, there)
    assert told(outcomes) == told(answers)
    assert [isinstance(one, str) for one in outcomes].count(False) == 2
    assert outcomes[0] == ""
    assert outcomes[5] == "transparency (RGBA) laid on white"
    assert isinstance(outcomes[-1], PassingError)
    assert not here[-1].any()
    assert np.array_equal(here[0], decode(files[0], spec).transpose(2, 0, 1))


@pytest.mark.parametrize("how", ["killed", "never started", "talks nonsense", "dies while answering"])
def test_what_a_lost_helper_had_is_decoded_here(files, make_spec, monkeypatch, how) -> None:
    spec = make_spec(channels=3, side=12, classes=2)
    programs = {
        "talks nonsense": "import sys\nfor line in sys.stdin: print('[1,', flush=True)",
        "dies while answering": "import sys\nsys.stdin.readline(); sys.stdin.readline(); print('[null, null, null]')",
    }
    start = subprocess.Popen
    if how == "never started":
        monkeypatch.setattr(parallel.sys, "executable", "/nowhere/python")
    elif how in programs:
        monkeypatch.setattr(subprocess, "Popen", lambda line, **rest: start([*line[:2], programs[how]], **rest))
    helper = Helper(spec)
    if how == "killed":
        helper.process.kill()
        helper.process.wait()
    here, there = (np.zeros((3, *spec.input_shape), np.uint8) for _ in range(2))
    assert told(helper(files[:3], there)) == told(decode_here(files[:3], spec, here)) == [""] * 3
    assert np.array_equal(here, there)
    assert helper.process is None


def test_helpers_and_this_process_share_the_work_in_order(files, make_spec, monkeypatch) -> None:
    monkeypatch.setattr(parallel, "usable_cores", lambda: 2)
    monkeypatch.setattr(parallel, "_CHUNK_FILES", 2)
    spec = make_spec(channels=3, side=12, classes=2)
    many = files * 4
    out, expected = (np.zeros((len(many), *spec.input_shape), np.uint8) for _ in range(2))
    with Decoders(spec, 10**6, 10**6) as decoders:
        assert len(decoders._helpers) == 1
        outcomes = decoders.into(many, out)
        process = decoders._helpers[0].process
    assert told(outcomes) == told(decode_here(many, spec, expected))
    assert np.array_equal(out, expected)
    assert process.poll() is not None  # none is left behind
