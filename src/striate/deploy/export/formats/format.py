"""What a format of exported files is, and the registry of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from striate.core.registry import Registry
from striate.deploy.export.graph import Graph

Answers = dict[str, NDArray[Any]]  # by the names of `Graph.outputs`
Run = Callable[[NDArray[np.uint8]], Answers]  # from pixels N H W C


@dataclass(frozen=True)
class Format:
    """One way to keep a graph in a file.

    Args:
        suffix: Of its files.
        require: Refuses, naming the option, what cannot be written here: SettingsError.
        write: Returns the bytes of a graph's file.
        open: Returns what runs such a file on the processor; it is given the bytes and a name for messages, and
            raises ModelFileError where they are no such file.
    """

    suffix: str
    require: Callable[[str], None]
    write: Callable[[Graph], bytes]
    open: Callable[[bytes, object], Run]


FORMATS: Registry[Format] = Registry("format")


def nothing_required(where: str) -> None:
    """Refuse nothing: torch alone is enough."""


def torch_runner(module: nn.Module | Callable[..., Any], names: tuple[str, ...]) -> Run:
    """Return what runs a module of torch that gives a tuple of answers of these names."""

    def run(pixels: NDArray[np.uint8]) -> Answers:
        with torch.inference_mode():
            answers = module(
                torch.from_numpy(np.require(pixels, requirements="W"))
            )  # a copy where it must not be written
        return {name: answer.numpy() for name, answer in zip(names, answers, strict=True)}

    return run
