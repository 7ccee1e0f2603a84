"""Networks that nobody trained, with everything that a model file can hold, and real-looking pictures for them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from striate.core.spec import ImageSpec
from striate.data.dataset import ImageDataset
from striate.data.loader import normalize
from striate.deploy import Predictor
from striate.deploy.export.sample import Sample
from striate.evaluation.calibration import Calibration
from striate.evaluation.unknown import Detector, UnknownRule
from striate.models import Architecture, build
from striate.models.last_layer import inputs_of
from striate.runs.model_file import LoadedModel, ModelCard

FEATURES = 16


def loaded_network(
    classes: int = 4, channels: int = 3, side: int = 12, one_logit: bool = False, unknown: bool = False,
    calibration: dict[str, object] | None = None, **spec: object,
) -> LoadedModel:  # fmt: skip
    """Return a small network whose answers differ from picture to picture; `spec` are values of its ImageSpec."""
    shape = {"channels": channels, "height": side, "width": side, "classes": [f"class {n}" for n in range(classes)]}
    norm = {"mean": [0.4] * channels, "std": [0.3] * channels}
    made = ImageSpec.model_validate({**shape, **norm, **spec})
    architecture = Architecture(name="fast", options={"widths": [8, FEATURES]}, one_logit=one_logit)
    torch.manual_seed(0)
    model = build(architecture, made).eval()
    name, last = next((name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.Linear))
    with torch.no_grad(), inputs_of(model, name) as seen:
        images = torch.from_numpy(pictures(60, made, seed=9)).permute(0, 3, 1, 2)
        model(normalize(images[:, :, *made.centre], made))
        outputs = last(seen[0])
        spread = 1.5 / outputs.std(0)  # fresh ones say nearly the same of every picture
        last.bias.copy_((last.bias - outputs.mean(0)) * spread)
        last.weight.mul_(spread[:, None])
        detector = Detector(name, torch.nn.functional.normalize(seen[0][:3], dim=1).half())
        scores = detector.scores(seen[0])
    rule = UnknownRule(layer=name, threshold=float(scores.median()), false_alarms=0.01, count=100) if unknown else None
    known = Calibration.model_validate({"temperature": 0.7, "count": 100, **(calibration or {}), "unknown": rule})
    card = ModelCard(architecture=architecture, spec=made, calibration=known)
    return LoadedModel(model, card, detector if unknown else None)


def predictor_of(loaded: LoadedModel) -> Predictor:
    return Predictor(loaded, torch.device("cpu"))


def pictures(count: int, spec: ImageSpec, seed: int = 0) -> NDArray[np.uint8]:
    """Return pictures of many brightnesses and contrasts, uint8 N H W C."""
    rng = np.random.default_rng(seed)
    channels, height, width = spec.picture_shape
    levels, contrast = rng.uniform(0, 255, (count, 1, 1, channels)), rng.uniform(0, 90, (count, 1, 1, 1))
    values = levels + contrast * rng.normal(size=(count, height, width, channels))
    return values.clip(0, 255).round().astype(np.uint8)


def sample(count: int, spec: ImageSpec, *others: NDArray[np.uint8]) -> Sample:
    """Return pictures as a part of a data set; all of the first class."""
    images = torch.from_numpy(pictures(count, spec)).permute(0, 3, 1, 2)
    labels = torch.zeros((count, len(spec.classes)) if spec.multi_label else count, dtype=torch.int64)
    labels = labels.bool() if spec.multi_label else labels
    return Sample("test", ImageDataset(images, labels, spec.classes, [str(n) for n in range(count)]), list(others))
