"""Pretrained weights by name, file and hub, and what is said where they cannot be had."""

from __future__ import annotations

import hashlib
import logging
import warnings
from pathlib import Path

import pytest
import timm
import torch
import torchvision

from striate.core.errors import ModelFileError, ResourceError, SettingsError
from striate.data.reading import READING
from striate.models import weights as weights_module
from striate.models.weights import LITE0_SIDE, fetch, find_pretrained, lite0

NOBODY = "http://127.0.0.1:9/"  # the discard port: refused at once


def here():
    found = lite0()
    if found is None:
        pytest.skip("the `pretrained` extra is not installed")
    return found


def test_lite0_recognises_what_timms_network_recognises_with_the_files_weights(make_spec):
    """In the file the weights have other names; timm's network takes them in their order."""
    found = here()
    state = torch.load(found.where, map_location="cpu", weights_only=True)
    reference = timm.create_model("tf_efficientnet_lite0").eval()
    names = [name for name in reference.state_dict() if "num_batches" not in name]
    tensors = [tensor for name, tensor in state.items() if "num_batches" not in name]
    reference.load_state_dict(dict(zip(names, tensors, strict=True)), strict=False)
    model = found.build(make_spec(channels=3, side=128, classes=1000)).eval()
    pictures = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(model(pictures), reference(pictures), rtol=1e-4, atol=1e-4)


def test_lite0s_pictures_are_on_a_scale_from_minus_one_to_one(make_spec):
    found = here()
    assert found.spec(make_spec(channels=3, side=224)).mean == (0.5, 0.5, 0.5)
    grey = found.spec(make_spec(channels=1, side=224))
    assert (grey.mean, grey.std) == ((0.5,), (0.5,))


def test_small_pictures_are_enlarged_within_the_network(make_spec):
    found = here()
    assert found.suited(make_spec(channels=3, side=32)).architecture.options == {"side": LITE0_SIDE}
    assert found.suited(make_spec(channels=3, side=224)) is found


def test_a_damaged_package_is_told(monkeypatch):
    here()
    monkeypatch.setattr(weights_module, "LITE0_SHA256", hashlib.sha256(b"").hexdigest())
    with pytest.raises(ModelFileError, match="not the weights that were published"):
        lite0()


def test_without_the_package_there_are_no_weights_at_hand_and_naming_them_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr(weights_module, "LITE0_PACKAGE", "no_such_package_of_weights")
    assert lite0() is None
    with pytest.raises(ResourceError, match=r"striate\[pretrained\]") as caught:
        find_pretrained("lite0")
    assert caught.value.exit_code == 6


def test_a_hub_that_cannot_be_reached_says_what_to_put_where(tmp_path, monkeypatch):
    with pytest.raises(ResourceError, match="cannot be fetched") as caught:
        fetch(NOBODY + "resnet18-f37072fd.pth", tmp_path / "hub" / "resnet18-f37072fd.pth", "resnet18")
    said = str(caught.value)
    assert NOBODY in said
    assert str(tmp_path / "hub" / "resnet18-f37072fd.pth") in said
    assert "--pretrained FILE --model resnet18" in said
    assert not list((tmp_path / "hub").iterdir())


def test_timms_hub_that_cannot_be_reached_says_which_file_to_give(monkeypatch):
    def unreachable(*_: str) -> str:
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", unreachable)
    with pytest.raises(ResourceError, match="cannot be fetched") as caught:
        find_pretrained("timm/resnet18")
    assert "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors" in str(caught.value)
    assert "--pretrained FILE --model timm/resnet18" in str(caught.value)


def test_a_hubs_retries_and_warnings_are_not_the_users(monkeypatch, capfd):
    """The library logs through a handler of its own, on stderr; what it says comes once, in our error."""
    seen = []

    def retrying(*_: str) -> str:
        seen.append(READING.fetched)
        for seconds in (1, 2):
            logging.getLogger("huggingface_hub.utils._http").warning("Retrying in %ss [Retry 1/5].", seconds)
        warnings.warn("unauthenticated", stacklevel=1)
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", retrying)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(ResourceError, match="ConnectionError"):
            find_pretrained("timm/resnet18")
    assert (told, capfd.readouterr().err) == ([], "")
    assert seen == ["https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors"]
    assert READING.fetched == ""
    assert logging.getLogger("huggingface_hub.utils._http").isEnabledFor(logging.WARNING), "as before"


def test_what_a_hub_sent_is_compared_with_the_checksum_in_its_name(tmp_path):
    source = tmp_path / "resnet18-00000000.pth"
    source.write_bytes(b"not these")
    with pytest.raises(ResourceError, match="cannot be fetched"):
        fetch(source.as_uri(), tmp_path / "hub" / source.name, "resnet18")
    digest = hashlib.sha256(b"these").hexdigest()[:8]
    good = tmp_path / f"resnet18-{digest}.pth"
    good.write_bytes(b"these")
    assert fetch(good.as_uri(), tmp_path / "hub" / good.name, "resnet18").read_bytes() == b"these"
    good.unlink()
    assert fetch(good.as_uri(), tmp_path / "hub" / good.name, "resnet18").is_file()  # not asked for again


def test_torchvisions_weights_come_from_its_hubs_folder(tmp_path, monkeypatch, make_spec):
    torch.manual_seed(0)
    reference = torchvision.models.resnet18(weights=None).eval()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.save(reference.state_dict(), tmp_path / "checkpoints" / "resnet18-f37072fd.pth")
    found = find_pretrained("resnet18")
    assert found.mean == (0.485, 0.456, 0.406)
    model = found.build(make_spec(channels=3, side=64, classes=1000)).eval()  # its form for large pictures
    pictures = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(pictures), reference(pictures), rtol=1e-4, atol=1e-4)


def test_a_file_of_weights_needs_its_networks_name(tmp_path, make_spec):
    reference = timm.create_model("test_efficientnet", num_classes=7).eval()
    file = tmp_path / "mine.pth"
    torch.save(reference.state_dict(), file)
    with pytest.raises(SettingsError, match="does not say which network"):
        find_pretrained(str(file))
    with pytest.raises(SettingsError, match="how pictures for fast were normalised"):
        find_pretrained(str(file), "fast")
    found = find_pretrained(str(file), "timm/test_efficientnet")
    assert found.mean == tuple(timm.get_pretrained_cfg("test_efficientnet").mean)
    model = found.build(make_spec(channels=3, side=64, classes=7)).eval()
    pictures = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(pictures), reference(pictures))


@pytest.mark.parametrize("name", ["lite1", "fast", "mnist-cnn", "resnet1", "timm/nothing"])
def test_names_without_weights_are_refused(name):
    with pytest.raises(SettingsError) as caught:
        find_pretrained(name)
    assert caught.value.fix


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ModelFileError, match="no file of weights"):
        find_pretrained(str(tmp_path / "absent.safetensors"), "resnet18")
