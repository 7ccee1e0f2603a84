"""Augmentation of whole batches: draw each sample's parameters, then apply them."""

from striate.data.augment.pipeline import Augment

__all__ = ["Augment"]
