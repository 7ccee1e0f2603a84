"""timm's networks behind the contract give timm's logits."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from striate.core.errors import SettingsError
from striate.core.spec import ImageSpec
from striate.models import MODELS, Architecture, Classifier, build
from striate.models.summary import summarize

# one for each way in which timm lays out features
NAMES = [
    "test_resnet",
    "test_efficientnet",
    "test_vit",  # class token
    "test_vit2",  # averaged patches
    "test_vit3",  # a map attention pool
    "test_vit4",
    "test_convnext",
    "test_maxvit",
    "test_nfnet",
    "mobilenetv3_small_050",  # a convolution after the average
    "xcit_nano_12_p8_224",  # class token only at the end
    "mixer_s32_224",
]
SWIN = {"embed_dim": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 3, 4]}


def made(name: str, spec: ImageSpec, **options) -> Classifier:
    torch.manual_seed(0)
    return build(Architecture(name=name, options=options), spec).eval()


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_timms_own(make_spec, name):
    model = made(f"timm/{name}", make_spec(channels=1, side=32, classes=4))
    takes_size = any(part in name for part in ("vit", "xcit", "mixer"))
    size = {"img_size": 32} if takes_size else {}
    theirs = timm.create_model(name, num_classes=4, in_chans=1, **size).eval()
    theirs.load_state_dict({key.removeprefix("net."): value for key, value in model.state_dict().items()})
    pictures = torch.randn(3, 1, 32, 32)
    with torch.no_grad():
        logits = theirs(pictures)
        assert torch.equal(model(pictures), logits)
        assert torch.equal(model.head(model.features(pictures)), logits)


def test_maps_of_channels_last_networks_are_turned(make_spec):
    model = made("timm/swin_tiny_patch4_window7_224", make_spec(side=64), **SWIN)
    pictures = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        features = model.features(pictures)
        assert features.shape == (2, 96, 2, 2)
        assert torch.equal(features, model.net.forward_features(pictures).permute(0, 3, 1, 2))
        assert torch.equal(model(pictures), model.net(pictures))


def test_maps_of_a_transformer_are_its_patches_on_their_grid_then_its_other_tokens():
    spec = ImageSpec(channels=1, height=32, width=64, classes=("a", "b"), mean=(0.5,), std=(0.5,))
    model = made("timm/test_vit", spec)
    pictures = torch.randn(2, 1, 32, 64)
    with torch.no_grad():
        tokens = model.net.forward_features(pictures)  # N 1+2·4 F
        features = model.features(pictures)
    width = tokens.shape[2]
    assert features.shape == (2, 2 * width, 2, 4)
    for row in range(2):
        for column in range(4):
            assert torch.equal(features[:, :width, row, column], tokens[:, 1 + 4 * row + column])
            assert torch.equal(features[:, width:, row, column], tokens[:, 0])


@pytest.mark.parametrize("name", ["timm/test_vit", "timm/test_resnet"])
def test_gradient_of_a_logit_reaches_every_stages_maps(make_spec, name):
    model, seen = made(name, make_spec(side=32)), {}
    for key, stage in model.stages().items():
        stage.register_forward_hook(lambda _, __, output, key=key: seen.update({key: output}))
    logit = model(torch.randn(1, 1, 32, 32))[0, 0]
    for key, maps in seen.items():
        (gradient,) = torch.autograd.grad(logit, maps, retain_graph=True)
        assert gradient.shape == maps.shape
        assert float(gradient.abs().sum()) > 0, key


def test_what_is_changed_in_a_stages_maps_changes_the_logits(make_spec):
    model, pictures = made("timm/test_vit", make_spec(side=32)), torch.randn(1, 1, 32, 32)
    stage = next(iter(model.stages().values()))
    with torch.no_grad():
        before = model(pictures)
        hook = stage.register_forward_hook(lambda _, __, maps: maps * (torch.arange(2) > 0))
        after = model(pictures)
        hook.remove()
        assert not torch.allclose(before, after)
        assert torch.equal(model(pictures), before)


def test_copy_of_a_transformer_is_independent_of_it(make_spec):
    model, pictures = made("timm/test_vit", make_spec(side=32)), torch.randn(1, 1, 32, 32)
    twin, calls = copy.deepcopy(model), []
    for stage in twin.stages().values():
        stage.register_forward_hook(lambda *_: calls.append(1))
    model(pictures)
    assert calls == []
    twin(pictures)
    assert len(calls) == len(twin.stages())


def test_stages_are_those_that_timm_lists(make_spec):
    assert list(made("timm/test_resnet", make_spec(side=32)).stages()) == [
        "act1",
        "layer1",
        "layer2",
        "layer3",
        "layer4",
    ]
    info = timm.create_model("test_vit").feature_info
    assert list(made("timm/test_vit", make_spec(side=32)).stages()) == [e["module"] for e in info] + ["features"]


def test_name_without_timm_finds_timms_unless_it_is_ours(make_spec):
    spec = make_spec(side=32)
    plain, named = made("test_resnet", spec), made("timm/test_resnet", spec)
    assert list(plain.state_dict()) == list(named.state_dict())
    assert type(plain) is type(named)
    assert type(made("resnet18", spec)) is type(MODELS["resnet18"]((1, 32, 32), 2))
    assert type(made("timm/resnet18", spec)) is type(named)


def test_options_are_timms(make_spec):
    model = made("timm/test_vit", make_spec(side=32), drop_rate=0.3, depth=2)
    assert list(model.stages()) == ["blocks.0", "blocks.1", "features"]
    assert any(isinstance(module, nn.Dropout) and module.p == 0.3 for module in model.modules())


@pytest.mark.parametrize("option", ["pretrained", "checkpoint_path", "pretrained_cfg", "img_size", "features_only"])
def test_options_that_would_fetch_files_or_contradict_the_spec_are_refused(make_spec, option):
    with pytest.raises(SettingsError, match=f"does not take {option}"):
        made("timm/test_vit", make_spec(side=32), **{option: True})


@pytest.mark.parametrize(
    ("name", "side"), [("inception_v3", 32), ("test_vit", 8), ("crossvit_tiny_240", 32), ("efficientformer_l1", 32)]
)
def test_pictures_that_do_not_fit_are_refused_when_the_network_is_built(make_spec, name, side):
    with pytest.raises(SettingsError, match=f"timm/{name}") as caught:
        made(f"timm/{name}", make_spec(side=side))
    assert "--img-size" in str(caught.value.fix)


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet", "mobilenetv3_small_050"]
)
def test_multiply_adds_are_half_of_torchs_flop_count(make_spec, name):
    model = made(f"timm/{name}", make_spec(channels=3, side=32))
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    assert 2 * sum(row.multiply_adds for row in summarize(model, (3, 32, 32))) == counter.get_total_flops()


def test_receptive_field_of_a_transformer_is_a_patch_until_attention_sees_everything(make_spec):
    rows = {row.name: row for row in summarize(made("timm/test_vit", make_spec(side=64)), (1, 64, 64))}
    assert rows["net.patch_embed.proj"].receptive_field == 16
    assert rows["net.blocks.0.attn.qkv"].receptive_field == 16
    assert rows["net.blocks.0.attn.proj"].receptive_field == 64
    assert rows["net.blocks.0.attn"].multiply_adds == 2 * 17 * 17 * 64  # queries by keys, weights by values


def test_our_own_networks_import_neither_timm_nor_torchvision():
    program = (
        "import sys; from striate.models import MODELS; list(MODELS); MODELS['fast']((1, 28, 28), 2)\n"
        "sys.exit(any(name in sys.modules for name in ('timm', 'torchvision')))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=120, check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "side", "options", "told"),
    [
        ("vit_tiny_patch16_224", 28, {}, "--img-size 32"),
        ("vit_tiny_patch16_224", 32, {"norm": "none"}, "no batch norm"),
        ("resnet10t", 32, {"small": True}, "small"),
    ],
)
def test_what_a_network_could_not_do_in_silence_is_refused(make_spec, name, side, options, told) -> None:
    with pytest.raises(SettingsError, match=told):
        build(Architecture(name=name, options=options), make_spec(channels=3, side=side))


def test_dropout_is_timms_drop_rate(make_spec) -> None:
    network = build(Architecture(name="resnet10t", options={"dropout": 0.25}), make_spec(channels=3, side=32))
    assert network.net.drop_rate == 0.25
