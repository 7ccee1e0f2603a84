"""int8: the network alone is quantised, by channel, and what it costs is measured on real pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import striate
from striate.deploy.export import int8
from striate.deploy.export.formats import FORMATS
from striate.deploy.export.graph import Graph
from striate.deploy.export.proof import run_all
from striate.deploy.export.sample import labels_of, pixels_of, take_sample
from striate.runs.model_file import load_model


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    settings = {"epochs": 2, "device": "cpu", "precision": "fp32", "views": 3}
    return striate.train("digits", out=tmp_path_factory.mktemp("runs"), name="digits", **settings).path


@pytest.fixture(scope="module")
def both(run: Path) -> tuple[bytes, bytes]:
    """Return the float file and the 8-bit file."""
    loaded = load_model(run)
    content = FORMATS["onnx"].write(Graph(loaded).eval())
    return content, int8.quantized(content, int8.calibration(run, loaded.card.spec, None, None))


def test_the_network_is_quantised_by_channel_and_nothing_else_is(both) -> None:
    before, after = (onnx.load_from_string(data) for data in both)
    nodes = {node.output[0]: node for node in after.graph.node}
    weights = {one.name: one for one in after.graph.initializer}
    convolutions = [node for node in after.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == sum(node.op_type == "Conv" for node in before.graph.node) > 0
    for node in convolutions:
        assert nodes[node.input[0]].op_type == "DequantizeLinear"
        weight = nodes[node.input[1]]
        values, scale = (numpy_helper.to_array(weights[name]) for name in weight.input[:2])
        assert values.dtype == np.int8
        assert scale.shape == (len(values),)
    (softmax,) = (node for node in after.graph.node if node.op_type == "Softmax")
    views = nodes[nodes[nodes[convolutions[0].input[0]].input[0]].input[0]]  # before they are quantised
    assert views.op_type == "Concat"
    for name in (*softmax.input, *views.input):
        assert nodes[name].op_type != "DequantizeLinear"


def test_what_it_costs_is_the_share_of_right_answers(run: Path, both) -> None:
    spec = load_model(run).card.spec
    pictures = take_sample(run, spec, None, None, None).pictures
    before, after = (FORMATS["onnx"].open(data, "x") for data in both)
    loss = int8.loss(before, after, pictures)
    answers = [run_all(one, pixels_of(pictures))["probabilities"].argmax(1) for one in (before, after)]
    truth = labels_of(pictures).argmax(1)
    assert loss.pictures == len(pictures)
    assert [loss.before, loss.after] == pytest.approx([(one == truth).mean() for one in answers])
    assert abs(loss.points) < 3
    assert (
        0
        < abs(
            run_all(after, pixels_of(pictures))["probabilities"] - run_all(before, pixels_of(pictures))["probabilities"]
        ).max()
        < 0.3
    )


def test_a_file_that_has_lost_too_much_is_not_kept(run: Path, monkeypatch, tmp_path: Path) -> None:
    from striate.core.errors import ModelFileError

    monkeypatch.setattr(int8, "loss", lambda *_: int8.Loss(359, 0.98, 0.97))
    with pytest.raises(ModelFileError, match=r"1\.00 points fewer"):
        striate.export(run, int8=True, out=tmp_path / "small.onnx")
    assert list(tmp_path.iterdir()) == []


def test_both_files_figures_are_kept(run: Path, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(int8, "POINTS", 100)
    made = striate.export(run, int8=True, out=tmp_path / "small.onnx")
    assert made.int8 is not None
    assert made.size == (tmp_path / "small.onnx").stat().st_size < made.float_size
    assert made.proof.max_probability_difference > 1e-4  # told, and allowed
    assert made.summary()["int8"]["float_bytes"] == made.float_size
