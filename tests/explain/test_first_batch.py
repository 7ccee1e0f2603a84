"""The first batch as a picture: what is drawn is what the network is given, and drawing it loads no matplotlib."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import striate
from striate.core.settings import TrainSettings
from striate.data.loader import Batch, normalize
from striate.explain import first_batch
from striate.explain.first_batch import CELL, COLUMNS, GAP, LINE, SHOWN, captions, draw, pixels_seen, save_first_batch
from striate.training import loop
from striate.training.job import Job, prepare


def make_job(tmp_path: Path, data: str = "digits", **settings: object) -> Job:
    values = {"first": 80, "epochs": 1, "batch_size": 40, "precision": "fp32", "device": "cpu", **settings}
    return prepare(data, TrainSettings.parse(values), given=frozenset(values), out=tmp_path / "runs", name=None)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"rotate": 20, "erase": 0.5, "shift": 1},
        {"mixup": 0.4, "cutmix": 1.0},
        {"img_size": 32, "small_until": 0.5},
        {"img_size": 24, "crop": 16},
    ],
)
def test_what_is_drawn_is_what_the_network_sees_in_its_first_step(tmp_path: Path, monkeypatch, settings) -> None:
    job = make_job(tmp_path, **settings)
    seen: list[torch.Tensor] = []
    drawn: list[torch.Tensor] = []
    training_loss = loop.training_loss
    monkeypatch.setattr(loop, "training_loss", lambda *a: seen.append(a[1].images.clone()) or training_loss(*a))
    monkeypatch.setattr(first_batch, "draw", lambda images, *rest: drawn.append(images) or draw(images, *rest))
    path = save_first_batch(job)
    list(job.epochs())
    torch.testing.assert_close(drawn[0], seen[0][:SHOWN], rtol=0, atol=1e-4)
    assert path == job.run.path / "figures" / "first-batch.png"
    _, _, height, width = drawn[0].shape
    scale = CELL // max(height, width)
    sheet = np.asarray(Image.open(path))
    # the picture in the second row's third place, read back from the sheet
    number = COLUMNS + 2
    left, top = GAP + 2 * (max(CELL, scale * width) + GAP), GAP + scale * height + LINE + GAP
    cut = sheet[top : top + scale * height : scale, left : left + scale * width : scale, 0]
    assert np.array_equal(cut, pixels_seen(drawn[0], job.run.spec)[number, 0].numpy())


@pytest.mark.parametrize("normalize_by", ["data", "none", "picture"])
def test_normalisation_is_undone(tmp_path: Path, normalize_by: str) -> None:
    job = make_job(tmp_path, normalize=normalize_by)
    pixels = job.data.train.images[:8]
    shown = pixels_seen(normalize(pixels, job.run.spec), job.run.spec)
    if normalize_by == "picture":
        assert shown.float().mean() == pytest.approx(128, abs=4)
        assert np.corrcoef(shown.flatten(), pixels.flatten())[0, 1] > 0.9
    else:
        assert torch.equal(shown, pixels)


def batch_of(targets: torch.Tensor) -> Batch:
    count = len(targets)
    return Batch(torch.zeros(count, 1, 4, 4), targets, torch.zeros(count, dtype=torch.long), torch.arange(count))


def test_captions_are_labels_or_the_shares_of_mixed_ones() -> None:
    names = ("cat", "dog", "owl")
    assert captions(batch_of(torch.tensor([2, 0])), names) == ["owl", "cat"]
    mixed = torch.tensor([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.001, 0.0, 0.999]])
    assert captions(batch_of(mixed), names) == ["70 % cat|30 % dog", "dog", "owl"]
    several = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    assert captions(batch_of(several), names) == ["owl|cat", "(none)"]


@pytest.mark.parametrize("side", [(8, 8), (112, 60), (700, 300)])
def test_sheets_of_all_sizes_and_names_are_drawn(make_spec, side) -> None:
    spec = make_spec(channels=3).model_copy(update={"height": side[0], "width": side[1]})
    texts = ["a name far too long for the room that there is below", "naïve ✓ \x07", "", "$x$ <b>"]
    sheet = draw(torch.randn(4, 3, *side), texts, spec)
    assert sheet.size[0] <= GAP + 4 * (max(224, CELL) + GAP)
    assert np.asarray(sheet).min() < 100


def test_every_new_run_has_it_and_a_resumed_one_keeps_it(tmp_path: Path) -> None:
    run = striate.train("digits", out=tmp_path, first=60, epochs=1, precision="fp32", device="cpu")
    with Image.open(run.path / "figures" / "first-batch.png") as picture:
        assert picture.size[0] > COLUMNS * CELL


def test_it_does_not_load_matplotlib() -> None:
    code = "import sys, striate.explain.first_batch as f; f._font(); sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
