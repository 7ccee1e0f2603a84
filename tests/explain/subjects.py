"""Subjects to explain: small networks with pictures, trained for a moment or not at all."""

from __future__ import annotations

from pathlib import Path

import torch

import striate
from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset
from striate.evaluation import evaluate
from striate.explain.subject import Subject
from striate.models import Architecture, build
from striate.runs.model_file import ModelCard, load_model


def trained_digits(folder: Path) -> Subject:
    """Return the subject of a run of two epochs on the embedded digits."""
    run = striate.train("digits", out=folder, name="digits", epochs=2, precision="fp32", report=False)
    loaded, splits = load_model(run.path), run.open_data(run.config.settings)
    assert splits.test is not None
    result = evaluate(loaded.model, splits.test, run.spec, "test", calibration=loaded.card.calibration)
    return Subject(loaded.model, loaded.card, splits.test, result, splits.train, run)


def untrained(spec: ImageSpec, model: str = "fast", count: int = 40) -> Subject:
    """Return the subject of a network that nobody trained, with random pictures and no run."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (count, *spec.picture_shape), dtype=torch.uint8, generator=generator)
    classes = len(spec.classes)
    if spec.multi_label:
        labels = torch.rand(count, classes, generator=generator) < 0.5
    else:
        labels = torch.arange(count) % classes
    pictures = ImageDataset(images, labels, spec.classes, [f"picture {number}" for number in range(count)])
    architecture = Architecture(name=model)
    torch.manual_seed(0)
    network = build(architecture, spec).eval()
    card = ModelCard(architecture=architecture, spec=spec)
    return Subject(network, card, pictures, evaluate(network, pictures, spec))
