"""The contact sheet of a finding shows its pictures, with what was found of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from striate.data.audit.finding import Case, Finding
from striate.data.audit.pictures import Pictures
from striate.data.dataset import ImageDataset, Splits
from striate.explain.drawing import save_figure
from striate.explain.finding_sheet import MOST, finding_sheet


def pictures(count: int, side: int = 12) -> Pictures:
    rng = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=rng)
    labels = torch.arange(count) % 2
    return Pictures(Splits("x", ImageDataset(images, labels, ("cat", "d$g"), [f"p/{i}.png" for i in range(count)])))


def sheet_of(cases: list[Case], shown: Pictures) -> Figure | None:
    finding = Finding("kind", "note", f"{len(cases)} of them", "nothing", cases)
    return finding_sheet(finding, shown, {name: number for number, name in enumerate(shown.names)})


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_each_picture_is_shown_with_its_detail_and_name(tmp_path: Path) -> None:
    shown = pictures(4)
    figure = sheet_of([Case(("p/2.png",), "cat → dog, 97 %"), Case(("p/1.png",), "dog → cat, 60 %")], shown)
    assert figure is not None
    assert [axis.images[0].get_array().shape for axis in figure.axes] == [(12, 12, 3)] * 2
    np.testing.assert_array_equal(
        figure.axes[0].images[0].get_array(), shown.images(torch.tensor([2]))[0].permute(1, 2, 0).numpy()
    )
    joined = " ".join(texts(figure))
    for part in ("97 %", "60 %", "2.png", "1.png"):
        assert part in joined
    save_figure(figure, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as drawn:
        assert drawn.width > 300


def test_copies_stand_side_by_side_with_their_number_part_and_class() -> None:
    figure = sheet_of([Case(("p/0.png", "p/3.png")), Case(("p/1.png", "p/2.png"))], pictures(4))
    assert figure is not None
    firsts = [axis.texts[0].get_text() for axis in figure.axes]
    assert firsts == ["1. train: cat", "1. train: d$g", "2. train: d$g", "2. train: cat"]


def test_more_than_fit_are_left_out_and_the_title_says_so() -> None:
    shown = pictures(MOST + 6)
    figure = sheet_of([Case((name,)) for name in shown.names], shown)
    assert figure is not None
    assert len(figure.axes) == MOST
    assert f"the first {MOST} of {MOST + 6}" in figure.texts[0].get_text().replace("\n", " ")


def test_findings_that_are_not_about_pictures_have_no_sheet() -> None:
    assert sheet_of([Case((), "class gnus"), Case(("gone.png",), "empty file")], pictures(2)) is None
