"""Bird or aeroplane: document 004, which holds wider, dropped-out and batch-normalised networks side by side."""

from __future__ import annotations

from typing import Any

from striate.recipes.plain import plain, sgd
from striate.recipes.recipe import recipe

TWO = "cifar10:airplane,bird"
JPEG = ("cifar10-jpeg:airplane,bird", dict[str, Any]())


def _settings(model: str, **settings: Any) -> dict[str, Any]:
    common = plain(epochs=100, batch_size=64, normalize="data", val_share=0.0, **sgd(1e-2))
    return common | {"model": model} | settings


@recipe("bird-plane", document="004", data=TWO, published={"test": 0.8765}, instead=JPEG)
def bird_plane() -> dict[str, Any]:
    """Two 3×3 convolutions of 16 and 8 maps, tanh, 32 hidden units: 18,090 parameters, on two classes of CIFAR-10.

    Published: training 0.9037, validation 0.8765 after 100 epochs of SGD at 0.01 with batches of 64; its
    validation pictures are CIFAR-10's test part. Corrected: validation lacks model.eval(), and its loader
    drops the last pictures.
    """
    return _settings("bird-plane")


@recipe("bird-plane-wide", document="004", data=TWO, instead=JPEG)
def bird_plane_wide() -> dict[str, Any]:
    """bird-plane with 32 and 16 maps: 38,386 parameters. The document gives no figure.

    Corrected: the document's forward() leaves the second convolution out.
    """
    return _settings("bird-plane-wide")


@recipe("bird-plane-dropout", document="004", data=TWO, instead=JPEG)
def bird_plane_dropout() -> dict[str, Any]:
    """bird-plane-wide with whole feature maps dropped, probability 0.4, after each pooling. No figure is given.

    Corrected: the document's forward() leaves the second convolution out, and uses one dropout layer twice.
    """
    return _settings("bird-plane-wide", dropout=0.4)


@recipe("bird-plane-batchnorm", document="004", data=TWO, published={"test": 0.8805}, instead=JPEG)
def bird_plane_batchnorm() -> dict[str, Any]:
    """bird-plane-wide with batch norm before each tanh, and 0.001 times the sum of all squared parameters.

    Published: training 0.9860, validation 0.8805 after 100 epochs.
    """
    return _settings("bird-plane-wide", norm="batch", l2=1e-3)
