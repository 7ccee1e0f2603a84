"""Makes the pictures of README and docs from real data: python docs/figures.py (needs STRIATE_DATA)."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

import striate
from striate.core.settings import TrainSettings
from striate.data.sources import SOURCES, open_data
from striate.deploy.measure import measure
from striate.explain.curves import curves_figure, read_curves
from striate.explain.drawing import save_figure
from striate.explain.hidden_movement import embedding_strip
from striate.explain.network import network_figure
from striate.explain.predictions import mistakes_grid
from striate.explain.reliability import reliability_figure
from striate.explain.sheet import contact_sheet
from striate.models import MODELS
from striate.models.stage_summary import summarize_stages
from striate.recipes.figure import reproduction_figure
from striate.recipes.result import measured
from striate.runs.snapshots import read_snapshots

IMAGES = Path(__file__).parent / "images"
COLOURS = 256
SEEN = {"embedding-t-sne-pictures": "embedding", "saliency": "saliency", "channels-stage2": "channels"}
MOVED = {"rotate": 10, "zoom": 0.1, "shift": 2, "flip": True, "brightness": 0.2, "erase": 0.3}


def draw_digit() -> None:
    """Write one of the digits that no training run sees as a picture file, eight times enlarged."""
    test = open_data("digits", TrainSettings(), 0).test
    assert test is not None
    seven = test.images[int((test.labels == 7).nonzero()[0]), 0].numpy()
    Image.fromarray(seven).resize((64, 64), Image.Resampling.BICUBIC).save(IMAGES / "digit.png")


def draw_learning() -> None:
    """Write the curves and mistakes of docs/curves.md."""
    with TemporaryDirectory() as folder:
        runs = [striate.train("digits", out=folder, name=f"rate-{lr}", epochs=8, lr=lr) for lr in (0.1, 0.01)]
        save_figure(curves_figure(read_curves(run.path for run in runs)), IMAGES / "curves.png")
        measured = measure(runs[1].path)
    save_figure(mistakes_grid(measured.result, measured.pictures), IMAGES / "mistakes.png")


def draw_certainty() -> None:
    """Write the reliability diagram of docs/certainty.md."""
    with TemporaryDirectory() as folder:
        run = striate.train("fashion-mnist", out=folder, epochs=1, precision="fp32")
        result = measure(run.path).result
    save_figure(reliability_figure(result), IMAGES / "reliability.png")


def draw_seen(run: Path) -> None:
    """Write of a Fashion-MNIST run the map, the saliency maps and what its channels look for."""
    for chapter in striate.chapters(run, only=["saliency", "channels", "embedding"]):
        for plate in chapter.plates:
            if plate.name in SEEN:
                path = IMAGES / f"{SEEN[plate.name]}.png"
                save_figure(plate.figure, path)
                with Image.open(path) as figure:
                    few = figure.convert("RGB").quantize(COLOURS)
                few.save(path, optimize=True)


def draw_network() -> None:
    """Write the blocks and the movement of docs/network.md."""
    shape = (1, 28, 28)
    stages = summarize_stages(MODELS["fashion-cnn"](shape, 10), shape)
    save_figure(network_figure(stages, shape, "fashion-cnn, from picture to classes"), IMAGES / "network.png")
    with TemporaryDirectory() as folder:
        run = striate.train("digits", out=folder, precision="fp32")
        snapshots = read_snapshots(run.path)
    assert snapshots is not None
    save_figure(embedding_strip(snapshots, run.spec.classes), IMAGES / "movement.png")


def draw_recipes() -> None:
    """Write the figure of docs/recipes.md from what was measured last."""
    rows, _ = measured()
    save_figure(reproduction_figure(list(rows.values())), IMAGES / "reproduction.png")


def draw_style() -> None:
    """Write the style picture of docs/style.md, a mosaic of the cells nearest to random points, and what it makes."""
    rng, side, count = np.random.default_rng(3), 256, 150
    points = rng.random((count, 2)) * side
    rows, columns, _ = np.mgrid[:side, :side, :1]
    distances = np.hypot(rows - points[:, 0], columns - points[:, 1])  # H W points
    nearest, next_nearest = np.moveaxis(np.partition(distances, 1)[..., :2], 2, 0)
    paints = np.array([[20, 50, 110], [235, 180, 40], [190, 40, 40], [240, 225, 190], [30, 120, 130], [90, 30, 80]])
    mosaic = paints[rng.integers(0, len(paints), count)][distances.argmin(2)]
    mosaic[next_nearest - nearest < 2] = 15
    Image.fromarray(mosaic.astype(np.uint8)).quantize(8).save(IMAGES / "mosaic.png", optimize=True)
    photograph = load_sample_image("china.jpg")  # H W C
    painted = striate.transfer_style(photograph, IMAGES / "mosaic.png", network="lite0", device="cpu").picture
    height = len(painted)
    row = [Image.fromarray(photograph), Image.fromarray(mosaic.astype(np.uint8)), Image.fromarray(painted)]
    scaled = [picture.resize((round(picture.width * height / picture.height), height)) for picture in row]
    sheet = Image.new("RGB", (sum(picture.width for picture in scaled) + 16, height), "white")
    left = 0
    for picture in scaled:
        sheet.paste(picture, (left, 0))
        left += picture.width + 8
    sheet.save(IMAGES / "style.jpg", quality=90)


def main() -> None:
    """Draw all of them: the pages say which is which."""
    draw_digit()
    draw_style()
    draw_learning()
    draw_network()
    draw_recipes()
    if SOURCES["fashion-mnist"].find(None) is None:
        raise SystemExit("fashion-mnist is not here: set STRIATE_DATA")
    draw_certainty()
    with TemporaryDirectory() as folder:
        draw_seen(striate.train("fashion-mnist", out=folder, epochs=2, report=False).path)
    settings = TrainSettings.parse(MOVED)
    save_figure(contact_sheet(open_data("fashion-mnist", settings, 0), settings), IMAGES / "fashion-mnist-sheet.png")


if __name__ == "__main__":
    main()
