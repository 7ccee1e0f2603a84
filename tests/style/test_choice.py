"""Which network is taken: by name, from a file of VGG-19's weights, from a run, or what is at hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from striate.core.errors import ModelFileError, ResourceError, SettingsError
from striate.models import weights as weights_module
from striate.models.weights import lite0
from striate.runs.model_file import weights_digest
from striate.style import choice
from striate.style.choice import choose_network, vgg19_of
from striate.style.network import PAPER_CONTENT, PAPER_STYLE
from striate.style.settings import StyleSettings
from striate.style.transfer import Transfer
from tests.style.looking import stripes


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Return random weights under torchvision's names; the dense layers' are one number, repeated without memory."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in torchvision.models.vgg19().state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.zeros(1).expand(shape)
        if name.startswith("classifier")
        else torch.randn(shape, generator=generator) * (2 / max(1, shape[1:].numel())) ** 0.5 * (len(shape) == 4)
        for name, shape in shapes.items()
    }


def chosen(network: object = None, **settings: object):
    return choose_network(StyleSettings.parse({"network": network and str(network), "device": "cpu", **settings}))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_vgg19_of_a_file_sees_what_torchvisions_sees(weights, suffix, tmp_path):
    file = tmp_path / f"vgg19{suffix}"
    if suffix == ".pth":
        torch.save(weights, file)
    else:  # of safetensors, whose tensors take all their room, the convolutions alone
        save_file({name: tensor for name, tensor in weights.items() if name.startswith("features")}, file)
    looks = chosen(file)
    assert (looks.content, looks.style) == (PAPER_CONTENT, PAPER_STYLE)
    assert looks.name == f"vgg19 of {file}"
    with torch.device("meta"):
        theirs = torchvision.models.vgg19().features
    theirs.load_state_dict(
        {name.removeprefix("features."): t for name, t in weights.items() if name.startswith("features")}, assign=True
    )
    picture = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        maps = looks.maps(picture)
        expected = theirs[:30]((picture - mean) / std)
    torch.testing.assert_close(maps["relu5_1"], expected, rtol=1e-3, atol=1e-4)


def test_the_style_loss_falls_through_vgg19_and_its_weights_stay(weights):
    model = vgg19_of(weights, "here")
    before = weights_digest(model.state_dict())
    assert before == weights_digest({name: t for name, t in weights.items() if name.startswith("features")})
    looks = choice.with_layers(model.eval(), choice._photographs(weights_module.IMAGENET), "vgg19", "", None, None)
    transfer = Transfer(looks, stripes(32, 40, 40), stripes(40, 32, 6), StyleSettings(steps=12))
    for _ in transfer.steps():
        pass
    assert transfer.losses[-1].style < transfer.losses[0].style / 1.5
    assert weights_digest(model.state_dict()) == before


def test_other_weights_are_refused_with_the_first_differences(weights, tmp_path):
    save_file(
        {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.99.bias": torch.zeros(1)}, tmp_path / "w.safetensors"
    )
    with pytest.raises(ModelFileError, match=r"features.0.bias is missing; .* more") as caught:
        chosen(tmp_path / "w.safetensors")
    assert caught.value.exit_code == 4
    broken = {**weights, "features.0.weight": weights["features.0.weight"] * torch.nan}
    with pytest.raises(ModelFileError, match=r"features\.0\.weight is not finite"):
        vgg19_of(broken, "here")
    turned = {**weights, "features.0.weight": weights["features.0.weight"].flatten(1)}
    with pytest.raises(ModelFileError, match=r"features.0.weight has shape \(64, 27\)"):
        vgg19_of(turned, "here")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(ModelFileError):
        chosen(tmp_path / "text.pth")
    (tmp_path / "text.txt").write_text("not weights")
    with pytest.raises(ModelFileError, match=r"\.safetensors"):
        chosen(tmp_path / "text.txt")


def test_a_run_looks_by_its_stages(save_untrained, make_spec):
    looks = chosen(save_untrained(make_spec(channels=1, side=16)))
    assert looks.spec.channels == 1
    assert set(looks.style) <= set(looks.model.stages())


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """Return torch's cache of weights, empty."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def test_vgg19_is_taken_where_its_weights_are_in_torchs_cache(weights, hub):
    url = torchvision.models.get_model_weights("vgg19")["IMAGENET1K_V1"].url
    file = hub / url.rpartition("/")[2]
    torch.save(weights, file)
    looks = chosen()
    assert looks.name == "vgg19"
    assert str(file) in looks.reason
    named = chosen("vgg19")
    assert weights_digest(named.model.state_dict()) == weights_digest(looks.model.state_dict())


def test_without_them_it_is_lite0_which_says_why(hub):
    if lite0() is None:
        pytest.skip("the `pretrained` extra is not installed")
    looks = chosen()
    assert (looks.name, looks.content) == ("lite0", "stage3")
    assert "VGG-19's weights are not at hand" in looks.reason


def test_with_nothing_at_hand_it_says_what_to_get(hub, monkeypatch):
    monkeypatch.setattr(weights_module, "LITE0_PACKAGE", "no_such_package_of_weights")
    with pytest.raises(ResourceError, match=r"striate\[pretrained\]"):
        chosen()


def test_a_hub_that_cannot_be_reached_names_our_own_option(hub, monkeypatch):
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(ResourceError, match="cannot be fetched") as caught:
        chosen("vgg19")
    assert "--network FILE" in str(caught.value)
    assert "--pretrained" not in str(caught.value)
    assert str(hub) in str(caught.value)


def test_a_network_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no such network, file or run: vgg91"):
        chosen("vgg91")
    with pytest.raises(ModelFileError):
        chosen(tmp_path)
