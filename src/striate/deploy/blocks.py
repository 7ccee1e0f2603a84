"""Pictures on their way to the network, in blocks; of files the next block is decoded while the last is computed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeGuard

import numpy as np

from striate.core.errors import DataError
from striate.core.spec import ImageSpec
from striate.data.decode import Pixels
from striate.data.parallel import Batch, Decoders, Outcome, usable_cores
from striate.deploy.pictures import Picture, picture_name

SAMPLE = 200  # files whose sizes say how large all are

Decode = Callable[[Picture, str], Pixels]  # of a picture of this name; DataError


@dataclass(frozen=True)
class Block:
    """Some pictures, decoded.

    Args:
        names: Of all of them, in order.
        images: uint8, N C H W; those that can be used.
        errors: Why the others cannot, by their places among the names.
    """

    names: Sequence[str]
    images: Batch
    errors: Mapping[int, DataError]

    @property
    def usable(self) -> list[str]:
        """The names of the images."""
        return [name for place, name in enumerate(self.names) if place not in self.errors]


def are_files(pictures: object) -> TypeGuard[Sequence[str | os.PathLike[str]]]:
    """Return whether pictures are several paths, all known now."""
    if not isinstance(pictures, list | tuple) or len(pictures) < 2:
        return False
    return all(isinstance(picture, str | os.PathLike) for picture in pictures)


def one_by_one(pictures: Iterable[Picture], spec: ImageSpec, decode: Decode, size: int) -> Iterator[Block]:
    """Yield pictures of any kind in blocks of up to `size`; they are asked for when their block is."""
    numbered = enumerate(pictures)
    while some := list(islice(numbered, size)):
        names, errors, usable = [picture_name(picture, number) for number, picture in some], {}, []
        for place, (_, picture) in enumerate(some):
            try:
                usable.append(decode(picture, names[place]))
            except DataError as error:
                errors[place] = error
        yield Block(names, _stacked(usable, spec), errors)


def _stacked(pixels: Sequence[Pixels], spec: ImageSpec) -> Batch:
    channels, height, width = spec.input_shape
    stacked = np.stack(pixels) if pixels else np.empty((0, height, width, channels), np.uint8)  # N H W C
    return stacked.transpose(0, 3, 1, 2)


def files_ahead(files: Sequence[str | os.PathLike[str]], spec: ImageSpec, decode: Decode, size: int) -> Iterator[Block]:
    """Yield picture files in blocks of `size` or more, decoded on all cores (data/parallel) and one block ahead.

    Args:
        files: All that there will be.
        spec: How pictures become inputs.
        decode: Asked again for files that could not be decoded, and for what to say of them.
        size: How many pictures the network takes at once.
    """
    names = [os.fsdecode(file) for file in files]

    def decoded(some: Sequence[str]) -> tuple[Sequence[str], Batch, list[Outcome]]:
        images = np.empty((len(some), *spec.input_shape), np.uint8)
        return some, images, decoders.into(some, images)

    with Decoders(spec, len(names), _encoded(names)) as decoders, ThreadPoolExecutor(1) as ahead:
        size = max(size, usable_cores() * decoders.chunk)
        waiting: Future[tuple[Sequence[str], Batch, list[Outcome]]] | None = None
        for start in range(0, len(names), size):
            later = ahead.submit(decoded, names[start : start + size])
            if waiting is not None:
                yield _block(*waiting.result(), decode)
            waiting = later
        if waiting is not None:
            yield _block(*waiting.result(), decode)


def _encoded(names: Sequence[str]) -> int:
    """Return about how many bytes files have together."""
    asked = names[:: -(-len(names) // SAMPLE)]
    return sum(_size(name) for name in asked) * len(names) // len(asked)


def _size(name: str) -> int:
    try:
        return os.stat(name).st_size
    except (OSError, ValueError):  # what is not there is told where it is decoded
        return 0


def _block(names: Sequence[str], images: Batch, outcomes: Sequence[Outcome], decode: Decode) -> Block:
    errors = {}
    for place, outcome in enumerate(outcomes):
        if isinstance(outcome, DataError):
            try:
                images[place] = decode(names[place], names[place]).transpose(2, 0, 1)
            except DataError as error:
                errors[place] = error
    return Block(names, np.delete(images, list(errors), 0) if errors else images, errors)
