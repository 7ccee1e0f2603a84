"""`striate export`: three files or none, and readers that know neither Striate nor torch get the same answers."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import striate
from striate.cli.main import main
from striate.core.errors import ModelFileError, ResourceError
from striate.deploy.export import exporting, files
from striate.deploy.export.int8 import Loss
from striate.deploy.export.proof import Proof
from striate.runs import atomic

from .quick_run import tree

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
FILES = ("model.onnx", "model.onnx.proof.json", "model.onnx.vectors.json")
NODE_MODULES = "STRIATE_NODE_MODULES"  # a folder node_modules that holds onnxruntime-web


def block(language: str, word: str) -> str:
    """Return the page's first block of a language with a word in it."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return next(text for text in blocks if word in text)


@pytest.fixture(scope="module")
def own(run: Path, tmp_path_factory) -> Path:
    """Return a copy of the run with a folder of pictures that it may be exported into, and is."""
    copy = tmp_path_factory.mktemp("exported") / "runs" / "shipped"
    shutil.copytree(run, copy)
    assert main(["export", str(copy)]) == 0
    return copy


@pytest.fixture
def fresh(run: Path, tmp_path: Path) -> Path:
    """Return a copy of the run with nothing exported."""
    shutil.copytree(run, tmp_path / "fresh")
    return tmp_path / "fresh"


def refused(capsys, *arguments: object, code: int) -> str:
    """Return what is said of a command that leaves every file as it was."""
    run = Path(str(arguments[0]))
    place = run if run.is_dir() else run.parent
    before = tree(place)
    assert main(["export", *map(str, arguments)]) == code
    assert tree(place) == before
    said = capsys.readouterr().err
    assert "fix: " in said
    return said


def test_three_files_are_written_and_say_what_was_proven(own: Path) -> None:
    proof = json.loads((own / FILES[1]).read_text())
    content = (own / FILES[0]).read_bytes()
    assert proof["sha256"] == hashlib.sha256(content).hexdigest()
    assert (proof["file"], proof["bytes"], proof["format"]) == ("model.onnx", len(content), "onnx")
    told = proof["proof"]
    assert told["part"] == "test"
    assert told["pictures"] == told["same_classes"] == told["same_accepted"] > 0
    assert 0 <= told["max_probability_difference"] <= told["limit"] == 1e-4
    assert proof["machine"]["onnxruntime"]
    assert not list(own.glob("*.tmp*"))
    assert "location" not in str(content[-2000:])


def test_vectors_are_the_predictors_answers(own: Path) -> None:
    known = json.loads((own / FILES[2]).read_text())
    pixels = [
        np.frombuffer(base64.b64decode(one["pixels"]), np.uint8).reshape(one["shape"]) for one in known["vectors"]
    ]
    assert len(pixels) == 5
    for one, wanted in zip(known["vectors"], striate.load(own, "cpu").predict(pixels), strict=True):
        np.testing.assert_allclose(one["probabilities"], list(wanted.probabilities.values()), atol=1e-6)
        assert one["classes"] == list(wanted.labels)
        assert one["accepted"] == wanted.accepted


BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("striate", "torch", "onnx", "PIL"):
            raise ImportError(name)

sys.meta_path.insert(0, Blocked())
"""


def test_onnx_runtime_alone_reproduces_them_by_the_pages_reader(own: Path, tmp_path: Path) -> None:
    (tmp_path / "reader.py").write_text(BLOCKED + block("python", "onnxruntime"))
    done = subprocess.run(
        [sys.executable, "-I", tmp_path / "reader.py"], cwd=own.parents[1], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == vector_classes(own)


def vector_classes(run: Path) -> list[str]:
    return [one["classes"][0] for one in json.loads((run / FILES[2]).read_text())["vectors"]]


def test_so_does_node_by_the_pages_reader(own: Path, tmp_path: Path) -> None:
    modules = os.environ.get(NODE_MODULES)
    if shutil.which("node") is None or modules is None or not (Path(modules) / "onnxruntime-web").is_dir():
        pytest.skip(f"node and onnxruntime-web are not here ({NODE_MODULES})")
    (tmp_path / "reader.mjs").write_text(block("javascript", "onnxruntime-web"))
    (tmp_path / "node_modules").symlink_to(Path(modules).resolve())
    done = subprocess.run(
        ["node", tmp_path / "reader.mjs", own / FILES[0], own / FILES[2]], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == vector_classes(own)


def test_a_reader_notices_other_answers(own: Path, tmp_path: Path) -> None:
    """The negative control of the two tests above."""
    place = tmp_path / "runs" / "shipped"
    place.mkdir(parents=True)
    known = json.loads((own / FILES[2]).read_text())
    known["vectors"][4]["probabilities"][0] += 2e-4
    (place / FILES[2]).write_text(json.dumps(known))
    shutil.copy(own / FILES[0], place)
    (tmp_path / "reader.py").write_text(block("python", "onnxruntime"))
    done = subprocess.run([sys.executable, "-I", tmp_path / "reader.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "AssertionError" in done.stderr


def test_lines_and_json_say_the_same(fresh: Path, capsys) -> None:
    assert main(["export", str(fresh), "--format", "torchscript"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"export     {fresh / 'model.pt'}  ")
    assert re.fullmatch(
        r"proof      6 pictures \(test\): probabilities differ by \S+ at most, all classes the same", lines[1]
    )
    assert lines[2].startswith("speed      ")
    assert main(["export", str(fresh), "--format", "pt2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(fresh / "model.pt2")
    assert told["proof"]["pictures"] == 6


def test_nothing_is_written_over(own: Path, capsys, tmp_path: Path) -> None:
    assert "file exists" in refused(capsys, own, code=2)
    (tmp_path / "m.onnx").symlink_to(tmp_path / "elsewhere")  # dangling
    assert "file exists" in refused(capsys, own, "--out", tmp_path / "m.onnx", code=2)
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "n.onnx.proof.json").write_text("mine")
    assert "n.onnx.proof.json" in refused(capsys, own, "--out", tmp_path / "n.onnx", code=2)


def test_options_that_cannot_be_obeyed(fresh: Path, photos: Path, tmp_path: Path, capsys) -> None:
    for wrong in ("onx", "ONNX"):
        said = refused(capsys, fresh, "--format", wrong, code=2)
        assert f"unknown format: --format {wrong}\nfix: did you mean 'onnx'" in said
    assert ".onnx" in refused(capsys, fresh, "--out", tmp_path / "m.pt", code=2)
    assert "no such folder" in refused(capsys, fresh, "--out", tmp_path / "none" / "m.onnx", code=2)
    assert "quantised" in refused(capsys, fresh, "--int8", "--format", "pt2", code=2)
    assert "among the pictures" in refused(capsys, fresh, "--out", photos / "m.onnx", code=2)
    assert "training pictures" in refused(capsys, fresh, "--int8", code=3)
    shutil.copy(fresh / "model.safetensors", tmp_path / "alone.safetensors")
    assert "--data FOLDER" in refused(capsys, tmp_path / "alone.safetensors", code=2)


def test_a_model_file_is_exported_with_data(fresh: Path, photos: Path, tmp_path: Path) -> None:
    shutil.copy(fresh / "model.safetensors", tmp_path / "alone.safetensors")
    arguments = ["export", str(tmp_path / "alone.safetensors"), "--data", str(photos), "--format", "torchscript"]
    assert main(arguments) == 0
    assert (tmp_path / "alone.pt").is_file()
    assert json.loads((tmp_path / "alone.pt.proof.json").read_text())["proof"]["pictures"] == 60


def test_a_runs_own_model_file_stands_for_the_run(fresh: Path) -> None:
    assert main(["export", str(fresh / "model.safetensors"), "--format", "torchscript"]) == 0
    assert json.loads((fresh / "model.pt.proof.json").read_text())["proof"]["pictures"] == 6


def test_an_unfinished_run_and_missing_pictures(fresh: Path, tmp_path: Path, capsys) -> None:
    config = json.loads((fresh / "config.json").read_text())
    config["data"] = str(tmp_path / "gone")
    (fresh / "config.json").write_text(json.dumps(config))
    said = refused(capsys, fresh, code=3)
    assert "no longer here" in said
    assert f"striate export {fresh} --data FOLDER" in said
    (fresh / "model.safetensors").unlink()
    assert "not finished" in refused(capsys, fresh, code=4)


def test_a_missing_package_is_named_first(fresh: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("striate.deploy.onnx_bytes.find_spec", lambda name: None if name == "onnx" else object())
    said = refused(capsys, fresh, code=2)
    assert "needs onnx, not installed" in said
    assert "striate[export]" in said


def test_a_file_that_is_not_the_network_leaves_nothing(fresh: Path, monkeypatch, capsys) -> None:
    proof = Proof("test", 6, 0, 2e-4, 0.0, 6, 6, None, None)
    monkeypatch.setattr(exporting, "prove", lambda *_: proof)
    said = refused(capsys, fresh, "--format", "torchscript", code=ModelFileError.exit_code)
    assert "0.0002" in said
    assert "0.0001" in said


@pytest.mark.parametrize(("failing", "number"), [(0, errno.ENOSPC), (1, errno.EFBIG), (2, errno.ENOSPC)])
def test_a_full_disk_leaves_nothing(fresh: Path, monkeypatch, capsys, failing: int, number: int) -> None:
    real, written = atomic.write_durably, []

    def write(path: Path, data: bytes) -> None:
        if len(written) == failing:
            path.write_bytes(data[: len(data) // 2])
            raise OSError(number, os.strerror(number))
        written.append(path)
        real(path, data)

    monkeypatch.setattr(atomic, "write_durably", write)
    said = refused(capsys, fresh, "--format", "torchscript", code=ResourceError.exit_code)
    assert os.strerror(number) in said
    assert ("ulimit -f" if number == errno.EFBIG else "fix: free some space and repeat the command\n") in said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_nothing_and_one_line(fresh: Path, monkeypatch, capsys, number: int, code: int) -> None:
    monkeypatch.setattr(exporting, "prove", lambda *_: os.kill(os.getpid(), number))
    before = tree(fresh)
    assert main(["export", str(fresh), "--format", "torchscript"]) == code
    assert capsys.readouterr() == ("", f"stopped: {fresh / 'model.pt'} was not written\n")
    assert tree(fresh) == before


@pytest.mark.parametrize("killed_at", [0, 1, 2])
def test_a_kill_leaves_no_half_file_under_a_final_name(tmp_path: Path, killed_at: int) -> None:
    program = f"""
import os
from pathlib import Path
from striate.deploy.export import files
from striate.runs import atomic

left = [{killed_at}]
real = atomic.write_durably

def write(path, data):
    if left[0] == 0:
        path.write_bytes(data[: len(data) // 2])
        os.kill(os.getpid(), 9)
    left[0] -= 1
    real(path, data)

atomic.write_durably = write
files.write_files(Path("m.onnx"), b"ours" * 100, {{"a": 1}}, {{"b": 2}})
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True)
    assert done.returncode == -9
    whole = {name: data for name, data in tree(tmp_path).items() if ".tmp-" not in name}
    assert "m.onnx" not in whole  # it comes last
    assert all(json.loads(data) for data in whole.values())


def test_a_link_in_the_files_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """Where one appears after the check."""
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "m.onnx").symlink_to(tmp_path / "theirs")
    files.write_files(tmp_path / "m.onnx", b"ours", {}, {})
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "m.onnx").is_symlink()
    assert (tmp_path / "m.onnx").read_bytes() == b"ours"


def test_int8_is_refused_from_more_than_three_tenths_of_a_point_on() -> None:
    Loss(1000, 0.9, 0.897).require("x")
    Loss(1000, 0.9, 0.95).require("x")
    with pytest.raises(ModelFileError, match=r"89\.60 % of 1,000 answers are right, 90\.00 % before") as caught:
        Loss(1000, 0.9, 0.896).require("x")
    assert caught.value.exit_code == 4
