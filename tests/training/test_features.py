"""Frozen features: what the last layer sees, once per picture, kept by content."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from striate.core.errors import ModelFileError
from striate.data.cache import cache_folder
from striate.data.dataset import ImageDataset
from striate.data.loader import normalize
from striate.models import Architecture, Classifier, build
from striate.training import features as features_module
from striate.training.feature_cache import body_digest
from striate.training.features import head_layer, picture_features

from ..contracts.networks import trained


def pictures(count: int = 5, side: int = 32, channels: int = 3) -> ImageDataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, channels, side, side), generator=generator, dtype=torch.uint8)
    return ImageDataset(images, torch.arange(count) % 2, ("a", "b"), [f"{n}.png" for n in range(count)])


def network(make_spec, name: str = "resnet18", **options: object) -> tuple[Classifier, object]:
    spec = make_spec(channels=3, side=32, classes=2)
    torch.manual_seed(0)
    return trained(build(Architecture(name=name, options=options), spec)), spec


@pytest.mark.parametrize(
    "name", ["resnet18", "efficientnet-lite0", "timm/test_efficientnet", "timm/test_vit", "vgg11", "fast"]
)
def test_the_last_layer_makes_the_networks_logits_of_them(make_spec, name):
    model, spec = network(make_spec, name)
    data = pictures()
    found = picture_features(model, data, spec, cache=False)
    assert (found.dtype, found.shape) == (torch.float32, (5, head_layer(model).in_features))
    with torch.no_grad():
        expected = model(normalize(data.images, spec))
        torch.testing.assert_close(head_layer(model)(found), expected, rtol=1e-3, atol=1e-4)


def test_they_are_the_average_of_the_last_maps_in_evaluation_mode(make_spec):
    model, spec = network(make_spec)
    data = pictures()
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = picture_features(model, data, spec, cache=False)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    model.eval()
    with torch.no_grad():
        expected = model.features(normalize(data.images, spec)).mean((2, 3))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_in_bfloat16_they_are_nearly_the_same(make_spec):
    model, spec = network(make_spec)
    data = pictures()
    precise, rough = (picture_features(model, data, spec, bf16=bf16, cache=False) for bf16 in (False, True))
    assert not torch.equal(precise, rough)
    assert float(F.cosine_similarity(precise, rough).min()) > 0.999


def test_every_batch_is_reported(make_spec, monkeypatch):
    monkeypatch.setattr(features_module, "comfortable_batch", lambda model, spec: 2)
    model, spec = network(make_spec, "fast")
    told: list[int] = []
    picture_features(model, pictures(), spec, cache=False, after=told.append)
    assert told == [2, 4, 5]


class Count:
    """How many pictures went through a network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pictures = 0
        own = features_module._batches

        def counting(*arguments: object) -> object:
            for batch in own(*arguments):
                self.pictures += len(batch)
                yield batch

        monkeypatch.setattr(features_module, "_batches", counting)
        monkeypatch.setattr(features_module, "WORTH", 0.0)


def changed(data: ImageDataset, **parts: object) -> ImageDataset:
    return ImageDataset(**{**{key: getattr(data, key) for key in ("images", "labels", "classes", "names")}, **parts})


def test_they_are_computed_once_whatever_the_labels_and_the_last_layer(make_spec, monkeypatch):
    count = Count(monkeypatch)
    model, spec = network(make_spec)
    data = pictures(6)
    first = picture_features(model, data, spec, bf16=False)
    assert count.pictures == 6
    model.replace_head(5)
    again = picture_features(model, changed(data, labels=1 - data.labels), spec, bf16=False)
    assert count.pictures == 6
    assert torch.equal(first, again)


def test_other_pictures_weights_normalisation_and_form_are_computed_anew(make_spec, monkeypatch):
    count = Count(monkeypatch)
    model, spec = network(make_spec, "efficientnet-lite0")
    data = pictures(6)

    def passes(*arguments: object) -> int:
        before = count.pictures
        picture_features(*arguments, bf16=False)
        return count.pictures - before

    assert passes(model, data, spec) == 6
    assert passes(model, data, spec) == 0
    other = data.images.clone()
    other[3, 0, 0, 0] ^= 1
    assert passes(model, changed(data, images=other), spec) == 6
    assert passes(model, data, spec.model_copy(update={"mean": (0.1, 0.2, 0.3)})) == 6
    enlarged = build(Architecture(name="efficientnet-lite0", options={"side": 48}), spec)
    enlarged.load_state_dict(model.state_dict())
    assert passes(enlarged, data, spec) == 6
    with torch.no_grad():
        next(model.parameters())[0, 0, 0, 0] += 1
    assert passes(model, data, spec) == 6


@pytest.mark.parametrize("damage", [lambda raw: raw[:-3], lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), lambda raw: b""])
def test_damaged_ones_are_computed_anew(make_spec, monkeypatch, damage):
    count = Count(monkeypatch)
    model, spec = network(make_spec, "fast")
    data = pictures(3)
    first = picture_features(model, data, spec, bf16=False)
    folder = cache_folder()
    assert folder is not None
    for file in folder.glob("*.features"):
        file.write_bytes(damage(file.read_bytes()))
    before = count.pictures
    assert torch.equal(picture_features(model, data, spec, bf16=False), first)
    assert count.pictures == before + 3


def test_nothing_depends_on_the_cache(make_spec, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(features_module, "WORTH", 0.0)
    model, spec = network(make_spec, "fast")
    assert picture_features(model, pictures(), spec).shape[0] == 5


def test_the_digest_is_of_all_but_the_last_layer(make_spec):
    model, _ = network(make_spec, "fast")
    before = body_digest(model)
    with torch.no_grad():
        head_layer(model).weight.add_(1)
    assert body_digest(model) == before
    with torch.no_grad():
        next(model.parameters()).add_(1)
    assert body_digest(model) != before


def test_features_that_are_no_numbers_are_told(make_spec):
    model, spec = network(make_spec, "fast")
    with torch.no_grad():
        next(model.parameters())[0] = torch.inf
    with pytest.raises(ModelFileError, match="not finite"):
        picture_features(model, pictures(), spec, cache=False)
