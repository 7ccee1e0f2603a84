"""CIFAR-10's batches, written as Python 2 wrote them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from striate.data.sources.cifar import TEST, TRAIN


def python2_pickle(pixels: np.ndarray, labels: list[int]) -> bytes:
    """Return the bytes that Python 2 wrote for a CIFAR batch: protocol 2, byte strings, numpy.core by name."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b") + b"\x87R"
        b"(" + number(1) + number(len(pixels)) + number(3072) + b"\x86"
        b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R"
        b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
        b"\x89T" + struct.pack("<i", pixels.size) + pixels.tobytes() + b"tb"
    )
    return (
        b"\x80\x02}("
        + text(b"batch_label") + text(b"training batch 1 of 5")
        + text(b"labels") + b"](" + b"".join(map(number, labels)) + b"e"
        + text(b"data") + array
        + text(b"filenames") + b"](" + b"".join(text(b"x_%d.png" % i) for i in range(len(labels))) + b"e"
        + b"u."
    )  # fmt: skip


def batch_arrays(seed: int, count: int = 20) -> tuple[np.ndarray, list[int]]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)
    return pixels, [(i + seed) % 10 for i in range(count)]


def write_cifar(folder: Path) -> None:
    folder.mkdir(parents=True)
    for seed, name in enumerate(TRAIN + TEST):
        (folder / name).write_bytes(python2_pickle(*batch_arrays(seed)))
