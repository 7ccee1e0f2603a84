"""ImageSpec: everything needed to turn a picture into the network's input, and its output into a class."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Resize = Literal["crop", "pad", "squash"]
Interpolation = Literal["bilinear", "bicubic", "lanczos", "box", "nearest"]

Level = Annotated[int, Field(ge=0, le=255)]
MAX_SIDE = 2048  # a model card may come from anyone; no picture of theirs fills the memory


class ImageSpec(BaseModel):
    """The contract between pictures and a network; it travels inside the model file.

    A picture is decoded to `channels`, brought to `height` × `width` by `resize`, scaled to [0, 1] and
    normalised per channel: (x − mean) / std.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    channels: Literal[1, 3]
    height: int = Field(ge=1, le=MAX_SIDE)
    width: int = Field(ge=1, le=MAX_SIDE)
    classes: tuple[str, ...] = Field(min_length=1)
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: Resize = "crop"
    interpolation: Interpolation = "bilinear"
    background: tuple[Level, Level, Level] = (255, 255, 255)

    @model_validator(mode="after")
    def _consistent(self) -> ImageSpec:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std need {self.channels} values each, one per channel")
        if any(value <= 0 for value in self.std):
            raise ValueError("std must be positive in every channel")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("class names must differ")
        return self

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one network input."""
        return self.channels, self.height, self.width
