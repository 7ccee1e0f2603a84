"""Networks of the documents as lists of layers, for counting."""

from __future__ import annotations

from striate.convolution.counting import Conv, Dense, Layer, Pool

# document 003, on 1×28×28: 167,114 parameters
FASHION_NET: tuple[Layer, ...] = (Conv(32), Pool(), Conv(64), Pool(), Conv(128), Dense(64), Dense(10))

# what pooling saves: 4,058,314 parameters without it
FASHION_NET_WITHOUT_POOLING: tuple[Layer, ...] = tuple(layer for layer in FASHION_NET if not isinstance(layer, Pool))


def _vgg_stage(convolutions: int, maps: int) -> tuple[Layer, ...]:
    return (*[Conv(maps, 3, padding="same")] * convolutions, Pool())


# Simonyan and Zisserman 2014, configuration D, on 3×224×224: 138,357,544 parameters
VGG16: tuple[Layer, ...] = (
    *_vgg_stage(2, 64),
    *_vgg_stage(2, 128),
    *_vgg_stage(3, 256),
    *_vgg_stage(3, 512),
    *_vgg_stage(3, 512),
    Dense(4096),
    Dense(4096),
    Dense(1000),
)
