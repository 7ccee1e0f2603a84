"""Engines: whoever computes, the answers are the network's own; the race leaves out by name who cannot or does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import striate
from striate.core.errors import SettingsError
from striate.core.spec import ImageSpec
from striate.deploy import Predictor
from striate.deploy.engine import kept
from striate.deploy.engine.engine import ENGINES, UnfitError
from striate.deploy.engine.race import choose_engine, made_pictures
from striate.evaluation.calibration import Calibration
from striate.evaluation.unknown import Detector, UnknownRule, forward_of, logits_and_scores
from striate.models import Architecture, build
from striate.runs.model_file import LoadedModel, ModelCard, load_model, save_model

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def spec_of(channels: int = 3, side: int = 20, classes: int | list[str] = 4, **changes: object) -> ImageSpec:
    base = {
        "channels": channels,
        "height": side,
        "width": side,
        "classes": classes if isinstance(classes, list) else [f"class {number}" for number in range(classes)],
        "mean": [0.4, 0.5, 0.45][:channels],
        "std": [0.25, 0.2, 0.3][:channels],
    }
    return ImageSpec.model_validate({**base, **changes})


def shaken(model: torch.nn.Module) -> None:
    """Give batch norms statistics and scales as training would, so that folding them is no identity."""
    source = torch.Generator().manual_seed(5)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.3, generator=source)
            module.running_var.uniform_(0.5, 2, generator=source)


def made(
    path: Path, spec: ImageSpec, name: str = "fast", unknown: bool = False, one_logit: bool = False, **options: object
) -> Predictor:
    torch.manual_seed(0)
    architecture = Architecture(name=name, options=options, one_logit=one_logit)
    model = build(architecture, spec).eval()
    shaken(model)
    card = ModelCard(architecture=architecture, spec=spec)
    detector = None
    if unknown:
        layer = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)][-1]
        bank = torch.randn(20, model.get_submodule(layer).in_features)
        detector = Detector(layer, torch.nn.functional.normalize(bank, dim=1).half())
        rule = UnknownRule(layer=layer, threshold=0.5, false_alarms=0.05, count=30)
        card = card.model_copy(update={"calibration": Calibration(temperature=1.3, count=30, unknown=rule)})
    save_model(path, model, card, detector)
    return striate.load(path, "cpu")


def pixels_of(spec: ImageSpec, count: int) -> np.ndarray:
    return made_pictures(spec, count)


def table_of(predictor: Predictor, pixels: np.ndarray) -> np.ndarray:
    names = [str(number) for number in range(len(pixels))]
    return np.array([list(one.probabilities.values()) for one in predictor.predict_pixels(pixels, names)])


@pytest.mark.parametrize(
    ("network", "options", "side"), [("fast", {}, 20), ("resnet18", {}, 32), ("efficientnet-lite0", {}, 32)]
)
def test_a_batchs_answers_are_those_of_its_pictures_alone(
    tmp_path: Path, network: str, options: dict[str, object], side: int
) -> None:
    spec = spec_of(side=side)
    own = made(tmp_path / "m.safetensors", spec, network, **options)
    pixels = pixels_of(spec, 32)
    for engine in ("torch", "onnx"):
        predictor = own.with_engine(engine)
        alone = np.concatenate([table_of(predictor, one[None]) for one in pixels])
        for count in (7, 32):
            np.testing.assert_allclose(table_of(predictor, pixels[:count]), alone[:count], rtol=0, atol=1e-6)


VARIANTS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "one view": ({}, {}),
    "two views": ({"views": 2}, {}),
    "six views": ({"views": 6}, {}),
    "six views of the uncertain": ({"views": 6, "views_below": 0.6}, {}),
    "whitened pictures": ({"whiten": True}, {}),
    "several labels": ({"multi_label": True}, {}),
    "one logit": ({"classes": ["no", "yes"]}, {"one_logit": True}),
    "a crop": ({"crop": (16, 16)}, {}),
    "grey": ({"channels": 1, "mean": [0.5], "std": [0.3]}, {}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_engine_gives_the_networks_own_answers(tmp_path: Path, variant: str) -> None:
    changes, options = VARIANTS[variant]
    spec = spec_of(**changes)
    own = made(tmp_path / "m.safetensors", spec, unknown=True, depth=2, **options)
    pixels = pixels_of(spec, 9)
    names = [str(number) for number in range(9)]
    wanted = own.predict_pixels(pixels, names)
    inputs = own._normalized(pixels)
    with torch.inference_mode():  # what evaluation computes
        logits, scores = logits_and_scores(forward_of(own.model, own.loaded.layer), inputs, spec, own.detector)
        probabilities = logits.div(1.3).sigmoid() if spec.multi_label else logits.div(1.3).softmax(1)
    assert scores is not None
    np.testing.assert_array_equal(table_of(own, pixels), probabilities.numpy())
    for engine in ("folded", "onnx"):
        said = own.with_engine(engine).predict_pixels(pixels, names)
        for ours, theirs, score in zip(said, wanted, scores.tolist(), strict=True):
            assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-4)
            assert ours.unknown_score == pytest.approx(score, abs=1e-4)
            assert (ours.label, ours.labels, ours.accepted, ours.unknown) == (
                (theirs.label, theirs.labels, theirs.accepted, theirs.unknown)
            )


def test_threads_at_once_get_the_answers_of_one(tmp_path: Path) -> None:
    spec = spec_of()
    own = made(tmp_path / "m.safetensors", spec, unknown=True)
    pixels = pixels_of(spec, 24)
    for engine in ("torch", "onnx"):
        predictor = own.with_engine(engine)
        parts = [(pixels[start : start + 3], [f"{start}.{n}" for n in range(3)]) for start in range(0, 24, 3)] * 6
        wanted = [predictor.predict_pixels(*part) for part in parts]
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(predictor.predict_pixels, *part) for part in parts]
            assert [future.result() for future in futures] == wanted


def test_pixels_of_another_form_are_refused(tmp_path: Path) -> None:
    spec = spec_of(crop=(16, 12))
    predictor = made(tmp_path / "m.safetensors", spec)
    assert predictor.predict_pixels(np.zeros((0, 16, 12, 3), np.uint8), []) == []
    unnamed = predictor.predict_pixels(np.zeros((2, 16, 12, 3), np.uint8))
    assert [prediction.name for prediction in unnamed] == ["picture 0", "picture 1"]
    for pixels, names in (
        (np.zeros((1, 16, 12, 3), np.float32), ["a"]),
        (np.zeros((1, 20, 20, 3), np.uint8), ["a"]),
        (np.zeros((16, 12, 3), np.uint8), ["a"]),
        (np.zeros((2, 16, 12, 3), np.uint8), ["a"]),
    ):
        with pytest.raises(striate.core.errors.DataError):
            predictor.predict_pixels(pixels, names)


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch) -> LoadedModel:
    """Return a network; nothing has been kept of it."""
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    made(tmp_path / "m.safetensors", spec_of(classes=3), unknown=True)
    return load_model(tmp_path / "m.safetensors")


def entered(monkeypatch, **makers: Callable[..., object]) -> None:
    """Enter engines for this test, beside the network itself and nothing else."""
    monkeypatch.setattr(ENGINES, "_entries", {"torch": ENGINES["torch"], **makers})


class _Changed:
    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        self.change = change
        self.name = "changed"

    def __call__(self, model: torch.nn.Module, example: Tensor, layer: str) -> Callable[[Tensor], object]:
        forward = forward_of(model, layer)

        def engine(images: Tensor) -> tuple[Tensor, Tensor]:
            with torch.inference_mode():
                logits, features = forward(images)
            return self.change(logits), features

        return engine


def broken(model: object, example: object, layer: object) -> None:
    raise RuntimeError("no such kernel")


def unable(model: object, example: object, layer: object) -> None:
    raise UnfitError("needs another machine")


def test_the_race_leaves_out_by_name_who_differs_or_fails(loaded: LoadedModel, monkeypatch) -> None:
    fails_later = _Changed(lambda logits: (_ for _ in ()).throw(ValueError("out of registers")))
    entered(
        monkeypatch,
        differs=_Changed(lambda logits: logits + torch.tensor([0.01, 0, 0])),
        nowhere=_Changed(lambda logits: logits * float("nan")),
        short=_Changed(lambda logits: logits[:, :2]),
        broken=broken,
        unable=unable,
        later=fails_later,
    )
    race = choose_engine(loaded)
    assert race.engine.name == "torch"
    told = {runner.name: runner.left_out for runner in race.runners}
    assert told["torch"] == ""
    for name, reason in {
        "differs": "differ by",
        "nowhere": "differ by inf",
        "short": "failed",
        "broken": "no such kernel",
        "unable": "needs another machine",
        "later": "out of registers",
    }.items():
        assert reason in told[name]
        with pytest.raises(SettingsError, match=f"engine {name}"):
            choose_engine(loaded, name)
    difference = next(runner.difference for runner in race.runners if runner.name == "differs")
    assert difference is not None
    assert 1e-4 < difference < 0.01


def test_the_fastest_exact_engine_is_chosen(loaded: LoadedModel, monkeypatch) -> None:
    from striate.training import timing

    speeds = {"torch": 4.0, "quick": 1.0, "bf16": 0.5}
    entered(monkeypatch, quick=_Changed(lambda logits: logits), bf16=_Changed(lambda logits: logits + 1e-3))
    order = iter(speeds[name] for name in sorted(speeds) for _ in range(3))
    monkeypatch.setattr(timing, "times", lambda work, device, count, limit: [next(order)])
    race = choose_engine(loaded)
    by_name = {runner.name: runner for runner in race.runners}
    assert by_name["bf16"].images_per_second == {1: 2, 8: 16, 32: 64}
    assert "by name alone" in by_name["bf16"].left_out
    assert by_name["quick"].images_per_second[8] == 8
    assert race.engine is not None
    assert json.loads(next(kept.folder().glob("*.json")).read_bytes()[32:])["chosen"] == "quick"
    monkeypatch.setattr(timing, "times", lambda *_: pytest.fail("a second race"))
    again = choose_engine(loaded)
    assert again.recorded
    assert again.runners == race.runners


def test_other_weights_have_another_race(loaded: LoadedModel, monkeypatch) -> None:
    entered(monkeypatch)
    assert not choose_engine(loaded).recorded
    assert choose_engine(loaded).recorded
    with torch.no_grad():
        next(loaded.model.parameters()).mul_(1.01)
    assert not choose_engine(loaded).recorded


def test_a_kept_graph_is_used_and_a_damaged_one_made_anew(loaded: LoadedModel, monkeypatch) -> None:
    from striate.deploy.engine import onnx

    real, exports = onnx.onnx_bytes, []
    monkeypatch.setattr(onnx, "onnx_bytes", lambda *a, **k: exports.append(1) or real(*a, **k))
    choose_engine(loaded, "onnx")
    choose_engine(loaded, "onnx")
    assert len(exports) == 1
    (file,) = kept.folder().glob("*.onnx")
    whole = file.read_bytes()
    for damaged in (whole[:-1], b"", whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]):
        file.write_bytes(damaged)
        before = len(exports)
        choose_engine(loaded, "onnx")
        assert len(exports) == before + 1
        assert kept.kept(file.name) is not None, "whole again"
    stolen = file.with_name("other.onnx")
    stolen.write_bytes(file.read_bytes())
    assert kept.kept("other.onnx") is None, "another's name"


def test_what_is_kept_and_whole_but_no_graph_is_made_anew(loaded: LoadedModel) -> None:
    choose_engine(loaded, "onnx")
    (file,) = kept.folder().glob("*.onnx")
    kept.keep(file.name, b"of another version")
    assert choose_engine(loaded, "onnx").engine.name == "onnx"
    assert len(kept.kept(file.name) or b"") > 1000


@pytest.mark.parametrize("place", ["a file", "none"])
def test_without_a_place_to_keep_things_everything_works(
    loaded: LoadedModel, tmp_path: Path, monkeypatch, place: str
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "file" / "below"))
    if place == "none":
        monkeypatch.setattr(kept, "cache_folder", lambda: None)
    for _ in range(2):
        assert choose_engine(loaded, "onnx").engine.name == "onnx"
    entered(monkeypatch)
    assert not choose_engine(loaded).recorded
    assert not choose_engine(loaded).recorded


def test_what_is_kept_stays_below_its_limit(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "LIMIT", 3000)
    for number in range(6):
        kept.keep(f"{number}", bytes(900))
    assert sum(path.stat().st_size for path in kept.folder().iterdir()) <= 3000
    assert kept.kept("5") == bytes(900)


def test_without_the_extra_onnx_runtime_is_left_out_by_name(loaded: LoadedModel, monkeypatch) -> None:
    from striate.deploy.engine import onnx

    monkeypatch.setattr(onnx, "missing_packages", lambda: ["onnxscript"])
    with pytest.raises(SettingsError, match=r"onnxscript.*striate\[export\]"):
        choose_engine(loaded, "onnx")
    monkeypatch.setattr(ENGINES, "_entries", {name: ENGINES[name] for name in ("torch", "onnx")})
    race = choose_engine(loaded)
    assert race.engine.name == "torch"
    assert "onnxscript" in race.runners[0].left_out


def test_an_engine_that_does_not_exist_is_refused_with_those_that_do(loaded: LoadedModel) -> None:
    with pytest.raises(SettingsError, match="onnx"):
        choose_engine(loaded, "onx")
    for name in (None, 3, ["onnx"]):
        with pytest.raises(SettingsError, match="Known: auto, bf16"):
            choose_engine(loaded, name)


def test_a_few_pictures_need_no_onnx_runtime(tmp_path: Path) -> None:
    import subprocess

    made(tmp_path / "m.safetensors", spec_of())
    program = (
        "import sys, numpy, striate; "
        f"p = striate.load({str(tmp_path / 'm.safetensors')!r}, 'cpu'); "
        "p.predict(numpy.full((20, 20, 3), 9, numpy.uint8)); "
        "assert not {'onnx', 'onnxruntime', 'onnxscript'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
