"""The settings of a style transfer, from which options of `striate style` and keywords in Python are derived."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from striate.core.settings import Settings
from striate.core.spec import MAX_SIDE

LEAST_SIDE = 16


class StyleSettings(Settings):
    """What the picture is to become, by which network, and how it is looked for."""

    verb: ClassVar[str] = "style"

    size: int = Field(256, ge=LEAST_SIDE, le=MAX_SIDE, description="Longer side of both pictures in pixels")
    steps: int = Field(100, ge=1, le=100_000, description="Steps of the optimizer")
    network: str | None = Field(
        None,
        description="vgg19, lite0, a file of VGG-19's weights, a run or a model file; off: VGG-19 where its weights "
        "are in torch's cache, else lite0",
    )
    content_layer: str | None = Field(None, description="Stage or layer of the content; off: relu4_2, or a late stage")
    style_layers: str | None = Field(
        None, description="Stages or layers of the style, with commas; off: relu1_1 … relu5_1, or the first five stages"
    )
    content_weight: float = Field(1.0, ge=0, le=1e6, description="Weight of the content")
    style_weight: float = Field(200.0, ge=0, le=1e6, description="Weight of the style")
    tv_weight: float = Field(5.0, ge=0, le=1e6, description="Weight of the total variation, which keeps noise away")
    init: Literal["content", "noise"] = Field("content", description="What to begin from")
    optimizer: Literal["adam", "lbfgs"] = Field("adam", description="How the picture is looked for")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of the noise to begin from")
