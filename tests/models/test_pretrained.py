"""Weights from files: the laws of the first layer, what is adapted and left out, and what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from striate.core.errors import ModelFileError
from striate.models import MODELS, Architecture, build
from striate.models.contract import Classifier
from striate.models.pretrained import Transfer, adapt_first_layer, head_names, load_tensors, read_weights

from ..canary import Canary


@settings(max_examples=40, deadline=None)
@given(
    channels=st.sampled_from([(3, 1), (1, 3), (3, 3), (1, 1), (3, 4)]),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    seed=st.integers(0, 10_000),
)
def test_response_to_a_grey_picture_repeated_over_the_channels_is_unchanged(channels, kernel, stride, seed):
    before, after = channels
    generator = torch.Generator().manual_seed(seed)
    filters = torch.randn(4, before, kernel, kernel, generator=generator, dtype=torch.float64)
    bias = torch.randn(4, generator=generator, dtype=torch.float64)
    grey = torch.randn(2, 1, 9, 7, generator=generator, dtype=torch.float64)
    adapted = adapt_first_layer({"w": filters, "b": bias}, "w", after)
    assert adapted["w"].shape == (4, after, kernel, kernel)
    assert adapted["b"] is bias
    responses = [F.conv2d(grey.repeat(1, w.shape[1], 1, 1), w, bias, stride) for w in (filters, adapted["w"])]
    torch.testing.assert_close(*responses, rtol=1e-12, atol=1e-12)


def test_colour_to_grey_sums_and_grey_to_colour_divides_equally():
    filters = torch.tensor([[[[1.0]], [[2.0]], [[6.0]]]])
    weights = {"conv1.weight": filters}
    grey = adapt_first_layer(weights, "conv1.weight", 1)
    assert grey["conv1.weight"].tolist() == [[[[9.0]]]]
    assert adapt_first_layer(grey, "conv1.weight", 3)["conv1.weight"].tolist() == [[[[3.0]], [[3.0]], [[3.0]]]]
    assert weights["conv1.weight"] is filters  # the file's weights are left as they are


@pytest.mark.parametrize("name", ["conv2.weight", "fc.weight"])
def test_only_a_convolution_can_be_adapted(name):
    with pytest.raises(ModelFileError, match="no convolution"):
        adapt_first_layer({"conv1.weight": torch.ones(1, 3, 1, 1), "fc.weight": torch.ones(2, 2)}, name, 1)


def written(file: Path, state: dict[str, Tensor]) -> Path:
    if file.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)
    else:
        torch.save(state, file)
    return file


def load_weights(model: Classifier, file: Path) -> Transfer:
    """Load a file into a network as `Pretrained.load` does."""
    return load_tensors(model, read_weights(file), file)


def resnet18(classes: int = 1000) -> nn.Module:
    torch.manual_seed(7)
    return torchvision.models.resnet18(weights=None, num_classes=classes).eval()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".bin"])
def test_torchvisions_file_gives_torchvisions_logits(tmp_path, suffix):
    reference = resnet18()
    file = written(tmp_path / f"weights{suffix}", reference.state_dict())
    model = MODELS["resnet18"]((3, 65, 65), 1000).eval()
    done = load_weights(model, file)
    assert (done.adapted, done.left_out) == ((), ())
    pictures = torch.randn(2, 3, 65, 65)
    with torch.no_grad():
        torch.testing.assert_close(model(pictures), reference(pictures), rtol=1e-5, atol=1e-5)


def test_colour_weights_of_other_classes_load_into_a_grey_network_and_it_is_said(tmp_path):
    reference = resnet18()
    file = written(tmp_path / "weights.pth", reference.state_dict())
    model = MODELS["resnet18"]((1, 65, 65), 4).eval()
    fresh = model.fc.weight.detach().clone()
    done = load_weights(model, file)
    assert done.adapted == ("conv1.weight: from 3 channels to 1",)
    assert done.left_out == ("fc.weight: of 1000 classes", "fc.bias: of 1000 classes")
    assert torch.equal(model.fc.weight, fresh)
    reference.fc = model.fc
    grey = torch.randn(2, 1, 65, 65)
    with torch.no_grad():
        torch.testing.assert_close(model(grey), reference(grey.repeat(1, 3, 1, 1)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_pickle_of_another_protocol_is_read_without_a_warning(tmp_path, protocol):
    state = {"a.weight": torch.arange(6.0).reshape(2, 3)}
    torch.save(state, tmp_path / "weights.pth", pickle_protocol=protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_weights(tmp_path / "weights.pth")
    assert torch.equal(found["a.weight"], state["a.weight"])


def test_a_protocol_that_cannot_be_read_is_told(tmp_path):
    torch.save({"a.weight": torch.ones(2)}, tmp_path / "weights.pth", pickle_protocol=4)
    with pytest.raises(ModelFileError, match="pickled by a protocol"):
        read_weights(tmp_path / "weights.pth")


def test_a_torchscript_program_is_refused_in_our_words(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scripting itself
        torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "weights.pt"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ModelFileError, match="TorchScript program") as caught:
            read_weights(tmp_path / "weights.pt")
    assert "state dict alone" in str(caught.value)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_convnext", "test_efficientnet"])
@pytest.mark.parametrize("nested", [None, "state_dict", "model"])
def test_timms_file_gives_timms_logits(tmp_path, make_spec, name, nested):
    torch.manual_seed(7)
    size = {"img_size": 32} if name == "test_vit" else {}
    reference = timm.create_model(name, num_classes=10, in_chans=3, **size).eval()
    state = reference.state_dict()
    torch.save({nested: state, "epoch": 3} if nested else state, tmp_path / "weights.pth")
    model = build(Architecture(name=f"timm/{name}"), make_spec(channels=3, side=32)).eval()
    done = load_weights(model, tmp_path / "weights.pth")
    assert (done.adapted, done.left_out) == ((), ())
    pictures = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(model(pictures), reference(pictures))
    grey = build(Architecture(name=f"timm/{name}"), make_spec(channels=1, side=32, classes=4))
    done = load_weights(grey, tmp_path / "weights.pth")
    assert len(done.adapted) == 1
    assert len(done.left_out) == 2


@pytest.mark.parametrize("name", ["fast", "bird-plane", "timm/test_resnet"])
def test_our_own_file_comes_back(tmp_path, make_spec, name):
    spec = make_spec(channels=3, side=32)
    torch.manual_seed(0)
    first, second = (build(Architecture(name=name), spec).eval() for _ in range(2))
    done = load_weights(second, written(tmp_path / "model.safetensors", first.state_dict()))
    assert (done.adapted, done.left_out) == ((), ())
    pictures = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(first(pictures), second(pictures))


def test_googlenets_auxiliary_classifiers_are_left_out(tmp_path):
    reference = torchvision.models.GoogLeNet(10, init_weights=False)
    model = MODELS["googlenet"]((3, 65, 65), 10)
    done = load_weights(model, written(tmp_path / "weights.pth", reference.state_dict()))
    assert done.adapted == ()
    assert len(done.left_out) == sum(name.startswith("aux") for name in reference.state_dict()) > 0
    assert torch.equal(model.fc.weight, reference.fc.weight)


def test_backbone_without_a_head_keeps_the_networks_own_and_says_so(tmp_path):
    state = {name: tensor for name, tensor in resnet18().state_dict().items() if not name.startswith("fc.")}
    model = MODELS["resnet18"]((3, 65, 65), 4)
    done = load_weights(model, written(tmp_path / "weights.safetensors", state))
    assert done.left_out == ("fc.weight: not in the file", "fc.bias: not in the file")


@pytest.mark.parametrize("name", [*MODELS, "timm/test_vit", "timm/test_convnext", "timm/test_efficientnet"])
def test_head_is_the_last_layers_weights(make_spec, name):
    spec = make_spec(side=32, classes=5)
    model = build(Architecture(name=name), spec)
    before = torch.random.get_rng_state()
    names = head_names(model)
    assert torch.equal(torch.random.get_rng_state(), before)
    last = list(dict(model.named_parameters()).items())[-2:]
    assert names == [name for name, _ in last]
    assert [len(parameter) for _, parameter in last] == [5, 5]


def test_file_with_more_than_tensors_is_refused_and_its_code_not_run(tmp_path):
    torch.save({"conv1.weight": Canary(tmp_path / "ran")}, tmp_path / "weights.pth")
    with pytest.raises(ModelFileError, match="could run code") as caught:
        load_weights(MODELS["fast"]((3, 28, 28), 4), tmp_path / "weights.pth")
    assert caught.value.exit_code == 4
    assert not (tmp_path / "ran").exists()


def without(state: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if name not in names}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "body.1.conv.weight"), "body.1.conv.weight is missing"),
        (lambda s: {**s, "extra": torch.ones(1)}, "extra is not in the network"),
        (lambda s: {**s, "body.1.conv.weight": torch.ones(64, 16, 5, 5)}, r"has shape \(64, 16, 5, 5\), the network"),
        (lambda s: {**s, "classifier.weight": torch.ones(4, 3)}, "classifier.weight has shape"),
        (lambda s: {**s, "body.0.conv.weight": torch.full((16, 3, 3, 3), torch.nan)}, "not finite: body.0.conv.weight"),
        (lambda s: {f"module.{name}": tensor for name, tensor in s.items()}, "and [0-9]+ more"),
        (lambda s: {}, "body.0.conv.weight is missing; .* more"),
    ],
)
def test_weights_that_do_not_fit_are_named_and_the_network_is_left_alone(tmp_path, change, message):
    model = MODELS["fast"]((3, 28, 28), 4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    file = written(tmp_path / "weights.pth", change(model.state_dict()))
    with pytest.raises(ModelFileError, match=message) as caught:
        load_weights(model, file)
    assert str(file) in str(caught.value)
    assert str(caught.value).count(" is missing") <= 5
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_old_files_without_the_counters_of_batch_norm_load(tmp_path):
    model = MODELS["fast"]((3, 28, 28), 4)
    state = {name: tensor for name, tensor in model.state_dict().items() if "num_batches" not in name}
    assert load_weights(model, written(tmp_path / "weights.pth", state)).left_out == ()


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth", "weights.h5", "folder.pth", "absent.pth"])
def test_what_is_no_file_of_weights_is_refused(tmp_path, name):
    (tmp_path / "folder.pth").mkdir()
    if name.startswith("weights"):
        (tmp_path / name).write_bytes(b"not weights at all")
    with pytest.raises(ModelFileError) as caught:
        load_weights(MODELS["fast"]((3, 28, 28), 4), tmp_path / name)
    assert caught.value.fix


@pytest.mark.parametrize(
    "content", [[torch.ones(1)], {"state_dict": 3}, {"weights": {"a": torch.ones(1)}}, torch.ones(2)]
)
def test_other_things_of_tensors_are_no_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ModelFileError, match="state dict"):
        load_weights(MODELS["fast"]((3, 28, 28), 4), tmp_path / "weights.pth")
