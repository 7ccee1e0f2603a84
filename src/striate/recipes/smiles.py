"""Smiling or not: document 000."""

from __future__ import annotations

from typing import Any

from striate.recipes.plain import adam, plain
from striate.recipes.recipe import recipe


@recipe(
    "smile-cnn",
    document="000",
    data="celeba:Smiling",
    published={"val": 0.8710, "test": 0.8446},
    instead=("smiles", {"first": None, "crop": None, "img_size": None}),
)
def smile_cnn() -> dict[str, Any]:
    """Four 3×3 convolutions, averaged, with one logistic output, on 16,000 faces of CelebA.

    Published: validation 0.8710, test 0.8446 after 30 epochs of Adam at 0.001 with batches of 32; faces cropped
    at random to 178×178, mirrored, resized to 64×64. Corrected: the document's attribute 18 is Heavy_Makeup;
    Smiling is 31. Where CelebA is not at hand it runs on the smiles set (faces of 64×64, 13,151 in all).
    """
    network = {"model": "smile-cnn", "one_logit": True}
    pictures = {"first": 16_000, "img_size": 64, "crop": 64}
    return plain(**network, **pictures, epochs=30, batch_size=32, **adam(1e-3)) | {"flip": True}
