"""How pictures become square is chosen by their shapes, kept in the run, and obeyed by all that opens it again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import striate
from striate.core.settings import DataSettings, TrainSettings
from striate.data.aspect import SQUARE, choose_resize
from striate.data.sources import open_data
from striate.data.sources.folder import load_folder
from striate.deploy.measure import measure
from striate.training.plan import make_plan

WIDE, TALL = (160, 90), (90, 160)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(64, 64)] * 5, "crop"),
        ([(640, 480), (480, 640), (300, 300)], "crop"),
        ([(600, 400)] * 9, "crop"),  # 3:2 loses exactly a third, which is not more than a third
        ([(100, 100)] * 51 + [WIDE] * 49, "crop"),
        ([(100, 100)] * 50 + [WIDE] * 50, "pad"),
        ([WIDE] * 8, "squash"),
        ([(1920, 1080)] * 91 + [(1080, 1920)] * 9, "squash"),
        ([(1920, 1080)] * 89 + [(1080, 1920)] * 11, "pad"),
        ([WIDE, TALL] * 4, "pad"),
        ([(20, 10000), (10000, 20), (1, 1)], "pad"),
        ([], "crop"),
    ],
)
def test_the_choice_follows_what_a_centre_crop_would_cut_off(sizes, expected) -> None:
    assert choose_resize(sizes).resize == expected


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), min_size=1, max_size=60))
def test_turning_all_pictures_by_a_quarter_changes_no_choice(sizes) -> None:
    chosen = choose_resize(sizes)
    turned = choose_resize([(height, width) for width, height in sizes])
    assert (chosen.resize == "crop") == (turned.resize == "crop")
    cut = [1 - min(size) / max(size) > 1 / 3 + 1e-9 for size in sizes]
    assert (chosen.resize == "crop") == (np.mean(cut) < 0.5)
    assert all(chosen.reason for chosen in (chosen, turned))


def shaped_folder(root: Path, sizes: list[tuple[int, int]], exif: int | None = None) -> Path:
    rng = np.random.default_rng(0)
    for number, (width, height) in enumerate(sizes):
        folder = root / ("cats" if number % 2 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        kept = Image.Exif()
        if exif:
            kept[0x0112] = exif
        Image.fromarray(pixels).save(folder / f"{number:03}.jpg", exif=kept)
    return root


def test_a_folder_is_padded_where_its_shapes_differ_and_the_plan_says_why(tmp_path: Path) -> None:
    folder = shaped_folder(tmp_path / "photos", [(40, 18), (18, 40)] * 12)
    splits = open_data(str(folder), TrainSettings(img_size=16), 0)
    plan = make_plan(TrainSettings(img_size=16, epochs=1), splits)
    assert plan.settings.resize == plan.spec.resize == "pad"
    assert "100 % of the pictures" in plan.reasons["resize"]
    assert "resize pad (a centre crop would cut" in plan.lines()[0]
    with Image.open(folder / splits.train.names[0]) as theirs:
        share = 16 / max(theirs.size)
        inner = tuple(round(side * share) for side in theirs.size)
    white = splits.train.images[0].permute(1, 2, 0).numpy()
    if inner[0] < inner[1]:
        assert (white[:, 0] == 255).all()
    else:
        assert (white[0] == 255).all()


def test_what_is_given_wins_and_needs_no_reason(tmp_path: Path) -> None:
    folder = shaped_folder(tmp_path / "photos", [(40, 18), (18, 40)] * 12)
    settings = TrainSettings(img_size=16, epochs=1, resize="squash")
    plan = make_plan(settings, open_data(str(folder), settings, 0))
    assert plan.spec.resize == "squash"
    assert "resize" not in plan.reasons
    assert "resize squash" in plan.lines()[0]


def test_pictures_turned_by_exif_count_as_they_are_seen(tmp_path: Path) -> None:
    lying = shaped_folder(tmp_path / "a", [WIDE] * 8)
    turned = shaped_folder(tmp_path / "b", [TALL] * 8, exif=6)
    mixed = tmp_path / "c"
    for number, path in enumerate([*sorted(lying.rglob("*.jpg")), *sorted(turned.rglob("*.jpg"))]):
        (mixed / path.parent.name).mkdir(parents=True, exist_ok=True)
        (mixed / path.parent.name / f"{number}.jpg").write_bytes(path.read_bytes())
    chosen = load_folder(mixed, DataSettings(img_size=16)).resize
    assert chosen is not None
    assert chosen.resize == "squash"


def test_named_data_sets_and_square_pictures_keep_the_crop_and_say_nothing(picture_folder) -> None:
    for name in ("digits", str(picture_folder(cats=6, dogs=6))):
        plan = make_plan(TrainSettings(epochs=1), open_data(name, TrainSettings(), 0))
        assert plan.settings.resize == plan.spec.resize == "crop"
        assert plan.reasons["resize"] == SQUARE
        assert "resize" not in plan.lines()[0]


def test_a_run_keeps_its_choice_and_is_measured_again_by_it(tmp_path: Path) -> None:
    folder = shaped_folder(tmp_path / "photos", [(40, 18), (18, 40)] * 15)
    options = {"epochs": 1, "img_size": 16, "precision": "fp32", "device": "cpu", "out": tmp_path / "runs"}
    run = striate.train(folder, **options)
    config = json.loads((run.path / "config.json").read_bytes())
    assert config["settings"]["resize"] == config["spec"]["resize"] == "pad"
    kept = json.loads((run.path / "evaluation.json").read_bytes())["test"]
    again = measure(run.path, device="cpu").result
    assert again.accuracy == kept["accuracy"]
    assert again.loss == pytest.approx(kept["loss"], abs=1e-6)
    picture = next(iter(sorted(folder.rglob("*.jpg"))))
    card = striate.load(run.path, device="cpu")
    assert card.predict(picture)[0].label in ("cats", "dogs")
