"""ImageSpec: everything needed to turn a picture into the network's input, and its output into classes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Resize = Literal["crop", "pad", "squash"]
Interpolation = Literal["bilinear", "bicubic", "lanczos", "box", "nearest"]

MAX_SIDE = 2048  # a model card may come from anyone; no picture of theirs fills the memory
Level = Annotated[int, Field(ge=0, le=255)]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


class ImageSpec(BaseModel):
    """The contract between pictures and a network; it travels inside the model file.

    A picture is decoded to `channels` and brought to `height` × `width` by `resize`. Of that the network sees
    `crop` (height, width), at a random place in training and the centre elsewhere, or all of it. What it sees
    is scaled to [0, 1] and normalised per channel, (x − mean) / std; mean 0 and std 1 leave it so. With
    `whiten` each picture is normalised by its own mean and standard deviation instead (data/loader.normalize).
    A picture is of one of the `classes`; with `multi_label` it is of any number of them, each told by a logistic
    output of its own. In measuring and predicting the logits of `views` of it are averaged, for pictures of which
    the first is less certain than `views_below` (evaluation/views).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    channels: Literal[1, 3]
    height: Side
    width: Side
    classes: tuple[str, ...] = Field(min_length=1)
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: Resize = "crop"
    interpolation: Interpolation = "bilinear"
    background: tuple[Level, Level, Level] = (255, 255, 255)
    crop: tuple[Side, Side] | None = None
    whiten: bool = False
    multi_label: bool = False
    views: Literal[1, 2, 3, 6] = 1
    views_below: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _consistent(self) -> ImageSpec:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std need {self.channels} values each, one per channel")
        if any(value <= 0 for value in self.std):
            raise ValueError("std must be positive in every channel")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("class names must differ")
        if self.crop and (self.crop[0] > self.height or self.crop[1] > self.width):
            raise ValueError(f"a crop of {self.crop} does not fit into {self.height} × {self.width}")
        return self

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one network input."""
        return self.channels, *(self.crop or (self.height, self.width))

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one picture before it is cropped."""
        return self.channels, self.height, self.width

    @property
    def centre(self) -> tuple[slice, slice]:
        """Rows and columns of a picture that the network sees outside training, rounded as torchvision does."""
        _, rows, columns = self.input_shape
        top, left = round((self.height - rows) / 2), round((self.width - columns) / 2)
        return slice(top, top + rows), slice(left, left + columns)
