"""An exported file answers as the Predictor does, whatever its card says, in every format."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from striate.core.errors import ModelFileError
from striate.deploy.export.formats import FORMATS
from striate.deploy.export.graph import Graph
from striate.deploy.export.proof import LIMIT, Proof, prove

from .exported import loaded_network, pictures, predictor_of, sample

CASES = {
    "colour": {},
    "grey": {"channels": 1},
    "not square": {"height": 14, "width": 11},
    "crop": {"crop": (9, 8)},
    "whitened": {"whiten": True},
    "as it is": {"mean": (0, 0, 0), "std": (1, 1, 1)},
    "any number of classes": {"multi_label": True, "calibration": {"reject_below": 0.2}},
    "one logit": {"classes": 2, "one_logit": True},
    "rejecting": {"calibration": {"reject_below": 0.6}},
    "accepting nothing": {"calibration": {"error_rate": 0.01}},
    "unknown": {"unknown": True},
    "two views": {"views": 2},
    "three views": {"views": 3, "unknown": True},
    "six views of the unsure": {"views": 6, "views_below": 0.7, "unknown": True},
    "two views of unsure sets": {"views": 2, "views_below": 0.3, "multi_label": True},
    "everything": {
        "classes": 2, "one_logit": True, "channels": 1, "whiten": True, "crop": (9, 9), "views": 6, "views_below": 0.8,
        "unknown": True, "calibration": {"reject_below": 0.7},
    },
}  # fmt: skip


def proven(format: str, values: dict[str, object], any_size: bool = False) -> Proof:
    loaded = loaded_network(**values)
    kind = FORMATS[format]
    run = kind.open(kind.write(Graph(loaded, any_size).eval()), "x")
    spec = loaded.card.spec
    others = [pictures(1, spec.model_copy(update={"height": h, "width": w, "crop": None}))[0] for h, w in SIZES]
    return prove(run, predictor_of(loaded), sample(80, spec, *(others if any_size else [])))


SIZES = ((5, 31), (40, 9), (12, 12), (1, 1), (33, 34))


def require_equal(proof: Proof, unknown: bool) -> None:
    proof.require("x")
    assert proof.max_probability_difference < 1e-5
    assert proof.max_batch_difference < 1e-5
    assert proof.same_classes == proof.same_accepted == proof.pictures
    assert proof.same_unknown == (proof.pictures if unknown else None)


@pytest.mark.parametrize("case", CASES)
def test_onnx_answers_as_the_predictor_does(case) -> None:
    require_equal(proven("onnx", CASES[case]), bool(CASES[case].get("unknown")))


@pytest.mark.parametrize("case", ["whitened", "any number of classes", "everything"])
@pytest.mark.parametrize("format", ["torchscript", "pt2"])
def test_torchs_own_formats_do(format, case) -> None:
    require_equal(proven(format, CASES[case]), bool(CASES[case].get("unknown")))


@pytest.mark.parametrize("case", CASES)
def test_the_graph_itself_does(case) -> None:
    """Of all cases, with answers of both kinds wherever there is a rule: else the tests above would say nothing."""
    loaded = loaded_network(**CASES[case])
    pixels = pictures(80, loaded.card.spec)
    with torch.inference_mode():
        probabilities, accepted, *rest = (one.numpy() for one in Graph(loaded)(torch.from_numpy(pixels)))
    wanted = predictor_of(loaded).predict(pixels)
    np.testing.assert_allclose(probabilities, [list(one.probabilities.values()) for one in wanted], atol=1e-6)
    assert accepted.tolist() == [one.accepted for one in wanted]
    assert probabilities.argmax(1).std() > 0
    if CASES[case].get("calibration", {}).get("reject_below"):
        assert 0 < accepted.sum() < 80
    if CASES[case].get("unknown"):
        assert 0 < rest[1].sum() < 80
        np.testing.assert_allclose(rest[0], [one.unknown_score for one in wanted], atol=1e-6)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("resize", ["crop", "pad"])
def test_pictures_of_any_size_are_resized_as_the_decoder_does(format, resize) -> None:
    values = {"resize": resize, "interpolation": "bicubic", "crop": (10, 10), "unknown": True}
    require_equal(proven(format, values, any_size=True), unknown=True)


def test_the_proof_notices_a_file_of_another_network() -> None:
    loaded, other = loaded_network(), loaded_network(calibration={"temperature": 0.72})
    kind = FORMATS["torchscript"]
    proof = prove(kind.open(kind.write(Graph(other).eval()), "x"), predictor_of(loaded), sample(40, loaded.card.spec))
    assert proof.max_probability_difference > LIMIT
    with pytest.raises(ModelFileError, match="40 pictures") as caught:
        proof.require("x.pt")
    assert caught.value.exit_code == 4
    with pytest.raises(ModelFileError):
        replace(proof, max_probability_difference=float("nan")).require("x.pt")


@pytest.mark.parametrize("format", FORMATS)
def test_bytes_that_are_no_such_file_are_refused(format) -> None:
    kind = FORMATS[format]
    content = kind.write(Graph(loaded_network()).eval())
    for data in (b"", b"no such file", content[: len(content) // 2]):
        with pytest.raises(ModelFileError):
            kind.open(data, "x")
