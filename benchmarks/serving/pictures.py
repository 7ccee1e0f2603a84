"""Encoded pictures to send, and what the network is known to answer for each."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from benchmarks.contest import data_folder
from benchmarks.serving.questions import Question, ask
from striate.data.decode import SUFFIXES
from striate.data.sources.mnist import CLOTHES, DIGITS, load_mnist
from striate.deploy.predictor import load

IDX = {"fashion-mnist": ("FashionMNIST", CLOTHES), "mnist": ("MNIST", DIGITS)}


def encoded_pictures(data: str, count: int) -> list[bytes]:
    """Return that many different pictures, evenly taken: PNGs of a data set's test part, or a folder's files.

    Args:
        data: 'mnist', 'fashion-mnist', or a folder; the name of one is looked for below the data folders, too.
    """
    if data in IDX:
        test = load_mnist(data, *IDX[data], False, None).test
        assert test is not None
        images = test.images[:, 0]  # N H W
        return [_png(Image.fromarray(images[place].numpy())) for place in _evenly(len(images), count)]
    folder = Path(data) if Path(data).exists() else data_folder(data)
    if folder is None:
        raise SystemExit(f"{data}: neither a folder nor a data set of this machine (STRIATE_DATA)")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    different = list(dict.fromkeys(file.read_bytes() for file in files))
    return [different[place] for place in _evenly(len(different), count)]


def _evenly(total: int, count: int) -> list[int]:
    taken = min(total, count)
    return [number * total // taken for number in range(taken)]


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def questions_about(run: Path, pictures: list[bytes]) -> list[Question]:
    """Return a question for each picture; right is what the predictor says of it alone, by torch in fp32."""
    predictor = load(run, "cpu")
    predictions = [predictor.predict(picture)[0] for picture in pictures]
    return ask(pictures, [(one.label, one.probabilities) for one in predictions])
