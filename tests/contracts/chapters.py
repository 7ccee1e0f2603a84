"""Subjects of every kind that a chapter has to cope with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from striate.core.spec import ImageSpec
from striate.explain.subject import Given, Subject

from ..explain.subjects import trained_digits, untrained

NAMES = ("<b>cat</b> & $x$", "a name that is so long that no figure has room for it in one line or two", "ζώο")


def spec_of(classes: tuple[str, ...], channels: int, height: int, width: int, multi_label: bool = False) -> ImageSpec:
    return ImageSpec(
        channels=3 if channels == 3 else 1,
        height=height,
        width=width,
        classes=classes,
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        multi_label=multi_label,
    )


def digits(folder: Path) -> Subject:
    """A run, with everything at hand, and pictures that the user gave."""
    subject = trained_digits(folder)
    return replace(subject, given=Given(subject.pictures.images[:2], ["first.png", "$second.png"]))


def colour(folder: Path) -> Subject:
    """Oblong colour pictures, names of every kind, no run, one class without a picture."""
    subject = untrained(spec_of(NAMES, 3, 20, 26), count=24)
    kept = (subject.pictures.labels != 2).nonzero().squeeze(1)
    return with_pictures(subject, kept)


def multi_label(folder: Path) -> Subject:
    """Any number of classes each."""
    return untrained(spec_of(NAMES, 3, 20, 20, multi_label=True), count=24)


def one_picture(folder: Path) -> Subject:
    """A model file alone, with a single picture."""
    return with_pictures(untrained(spec_of(("a", "b"), 1, 16, 16), count=4), torch.tensor([1]))


def with_pictures(subject: Subject, numbers: torch.Tensor) -> Subject:
    """Return the subject with some of its pictures."""
    from striate.evaluation import evaluate

    pictures = subject.pictures.select(numbers)
    return replace(subject, pictures=pictures, evaluation=evaluate(subject.model, pictures, subject.spec))


SUBJECTS = {"digits": digits, "colour": colour, "multi-label": multi_label, "one picture": one_picture}
