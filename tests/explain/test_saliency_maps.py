"""Maps agree with Captum's and with formulas worked out elsewhere; what says nothing is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from striate.core.errors import DataError, SettingsError
from striate.explain.saliency.grad_cam import grad_cam, grad_cam_plus_plus
from striate.explain.saliency.integrated_gradients import integrated_gradients
from striate.explain.saliency.layer import choose_layer, maps_and_gradients
from striate.explain.saliency.maps import METHODS, saliency, why_blank
from striate.explain.saliency.occlusion import occlusion
from striate.models import Architecture, Classifier, build

from ..contracts.networks import as_after_training, pictures_of, spec_of_shape

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def captum():
    return pytest.importorskip("captum.attr")


def network(name: str, shape: tuple[int, int, int]) -> tuple[Classifier, Tensor, Tensor]:
    return as_after_training(name, shape), pictures_of(shape, 3), torch.tensor([0, 2, 3])


@pytest.mark.parametrize("name", ["fast", "resnet18", "lenet5", "mobilenetv2"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 33, 26)])
def test_grad_cam_is_captums_on_the_same_layer(captum, name, shape):
    model, inputs, targets = network(name, shape)
    stage = choose_layer(model, inputs, targets)
    expected = captum.LayerGradCam(model, model.stages()[stage]).attribute(
        inputs, target=targets, relu_attributions=True
    )
    torch.testing.assert_close(grad_cam(model, inputs, targets), expected[:, 0].detach(), **CLOSE)
    assert expected.any()


@pytest.mark.parametrize("name", ["fast", "lenet5", "mobilenetv2"])
def test_integrated_gradients_are_captums(captum, name):
    model, inputs, targets = network(name, (3, 33, 26))
    baseline = torch.full((1, 3, 1, 1), -0.3)
    expected = captum.IntegratedGradients(model).attribute(
        inputs, baseline.expand_as(inputs), targets, n_steps=8, method="gausslegendre"
    )
    ours = integrated_gradients(model, inputs, targets, baseline, steps=(8,)).values
    torch.testing.assert_close(ours, expected.float(), **CLOSE)


def test_occlusion_is_captums_where_the_patches_tile_the_picture(captum):
    model, inputs, targets = network("fast", (3, 33, 27))
    expected = captum.Occlusion(model).attribute(inputs, (3, 6, 6), strides=(3, 3, 3), target=targets, baselines=0)
    ours = occlusion(model, inputs, targets, side=6, stride=3)
    torch.testing.assert_close(ours, expected.mean(1), **CLOSE)  # Captum repeats it in every channel


class Linear(Classifier):
    """One stage that is the picture itself, and a linear head: everything about it can be worked out by hand."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.stage = nn.Identity()
        self.weight = nn.Parameter(weight)  # K C H W

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.stage(images)
        return features

    def head(self, features: Tensor) -> Tensor:
        return torch.einsum("nchw,kchw->nk", features, self.weight)

    def stages(self) -> dict[str, nn.Module]:
        return {"stage": self.stage}

    def replace_head(self, classes: int) -> None:
        raise NotImplementedError


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_grad_cam_plus_plus_has_the_coefficients_of_the_exponential_of_the_score():
    """α is the second derivative of exp(S) over twice itself and the sum of maps times the third (equation 19)."""
    maps, weight = drawn(1, 3, 4, 4).abs(), drawn(2, 3, 4, 4, seed=1) / 4
    model = Linear(weight)
    expected = torch.zeros(4, 4, dtype=torch.float64)
    for k in range(3):
        a = maps[0].double().requires_grad_()

        def derivative(value: Tensor, k: int = k, a: Tensor = a) -> Tensor:
            """Return the derivative by each place of map k alone, of a value per place."""
            rows = [torch.autograd.grad(one, a, create_graph=True)[0][k].flatten() for one in value.flatten()]
            return torch.stack([row[i % 16] for i, row in enumerate(rows)])

        score = torch.einsum("chw,chw->", a, weight[1].double()).exp()
        (first,) = torch.autograd.grad(score, a, create_graph=True)
        second = derivative(first[k])
        third = derivative(second)
        alpha = second / (2 * second + a[k].sum() * third)
        expected += (alpha * (first[k].flatten() / score).clamp_min(0)).sum().detach() * maps[0, k]
    found = grad_cam_plus_plus(model, maps, 1)[0]
    torch.testing.assert_close(found.double(), expected.clamp_min(0), **CLOSE)


def test_the_gradient_of_a_layer_is_that_of_the_head():
    model, inputs = Linear(drawn(3, 2, 5, 6)), drawn(4, 2, 5, 6, seed=2)
    targets = torch.tensor([2, 0, 1, 1])
    maps, gradients = maps_and_gradients(model, inputs, targets, ("stage", model.stage))
    assert maps.equal(inputs)
    assert gradients.equal(model.weight[targets])


def test_integrated_gradients_of_a_linear_network_are_weight_times_difference():
    model, inputs = Linear(drawn(3, 2, 5, 6)), drawn(4, 2, 5, 6, seed=2)
    result = integrated_gradients(model, inputs, 1, baseline=torch.tensor(0.5))
    torch.testing.assert_close(result.values, (inputs - 0.5) * model.weight[1].detach(), **CLOSE)
    assert result.complete.all()
    assert set(result.steps.tolist()) == {32}


@pytest.mark.parametrize("name", ["fast", "lenet5", "vgg11"])
def test_integrated_gradients_sum_to_the_change_of_the_score_within_a_hundredth(name):
    model, inputs, targets = network(name, (3, 32, 32))
    result = integrated_gradients(model, inputs, targets)
    with torch.no_grad():
        scores = [model(x).gather(1, targets[:, None])[:, 0] for x in (inputs, torch.zeros_like(inputs))]
    change = scores[0] - scores[1]
    off = (result.values.sum((1, 2, 3)) - change).abs() / change.abs()
    assert (off <= 0.01).equal(result.complete)
    assert result.complete.all()


def test_more_steps_are_taken_where_the_sum_is_off_and_what_stays_off_is_told():
    model, inputs, targets = network("fast", (1, 28, 28))
    rough = integrated_gradients(model, inputs, targets, steps=(1,))
    assert not rough.complete.all()
    finer = integrated_gradients(model, inputs, targets, steps=(1, 512))
    assert set(finer.steps[~rough.complete].tolist()) == {512}
    assert set(finer.steps[rough.complete].tolist()) <= {1}
    assert finer.complete.all()


def test_occlusion_of_a_linear_network_is_the_mean_weight_of_the_patches_over_a_pixel():
    model, inputs = Linear(drawn(2, 1, 7, 5)), drawn(1, 1, 7, 5, seed=3)
    product = (model.weight[1] * inputs[0])[0].detach().numpy()
    total, counts = np.zeros((7, 5)), np.zeros((7, 5))
    for top in (0, 2, 4, 5):  # the last ends at the edge
        for left in (0, 2, 3):
            place = (slice(top, top + 2), slice(left, left + 2))
            total[place] += product[place].sum()
            counts[place] += 1
    found = occlusion(model, inputs, 1, side=2, stride=2)[0]
    np.testing.assert_allclose(found.numpy(), total / counts, rtol=1e-4, atol=1e-5)


def test_the_layer_is_the_last_whose_map_says_where():
    model, inputs = as_after_training("resnet18", (3, 33, 26)), pictures_of((3, 33, 26), 2)
    assert choose_layer(model, inputs) == "layer4"  # 5×4
    model, inputs = as_after_training("fast", (1, 28, 28)), pictures_of((1, 28, 28), 2)
    assert choose_layer(model, inputs) == "stage3"  # 3×3
    model, inputs = as_after_training("fast", (1, 16, 16)), pictures_of((1, 16, 16), 2)
    assert choose_layer(model, inputs) == "stage2"  # 4×4; the next is 2×2
    model, inputs = as_after_training("efficientnet-lite0", (3, 72, 72)), pictures_of((3, 72, 72), 2)
    assert choose_layer(model, inputs) == "last"  # 3×3


def test_where_every_map_is_small_the_largest_is_taken_and_a_single_cell_refused():
    model, inputs = as_after_training("cifar10-cnn", (1, 4, 4)), pictures_of((1, 4, 4), 2)
    assert choose_layer(model, inputs) == "conv1"
    with pytest.raises(SettingsError, match="1×1") as caught:
        choose_layer(Linear(drawn(2, 1, 1, 1)), drawn(1, 1, 1, 1))
    assert "occlusion" in str(caught.value)


def test_of_a_transformer_that_reads_its_class_token_an_earlier_stage_is_taken():
    model = as_after_training("timm/vit_tiny_patch16_224", (3, 72 - 8, 72 - 8))
    inputs = pictures_of((3, 64, 64), 2)
    chosen = choose_layer(model, inputs)
    stages = list(model.stages())
    assert chosen in stages[:-1]
    assert grad_cam(model, inputs).any()
    with pytest.raises(DataError, match="is blank"):
        saliency(model, inputs, "grad-cam", layer=stages[-1]).of(0)


def test_a_layer_by_name_is_obeyed_and_one_without_maps_refused():
    model, inputs = as_after_training("fast", (1, 28, 28)), pictures_of((1, 28, 28), 2)
    assert grad_cam(model, inputs, layer="stage1").shape == (2, 14, 14)
    assert saliency(model, inputs, "grad-cam", layer="body.0.conv").layer == "body.0.conv"
    with pytest.raises(SettingsError, match="no maps") as caught:
        grad_cam(model, inputs, layer="classifier")
    assert "stage1" in str(caught.value)
    with pytest.raises(SettingsError, match="no such layer"):
        grad_cam(model, inputs, layer="stage9")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (torch.tensor([[0.0, 0.0], [0.0, 0.0]]), "nothing in it speaks"),
        (torch.tensor([[-1.0, -2.0], [0.0, -3.0]]), "nothing in it speaks"),
        (torch.full((3, 3), 0.7), "the same everywhere"),
        (torch.tensor([[1.0, float("nan")]]), "not finite"),
        (torch.tensor([[1.0, float("inf")]]), "not finite"),
        (torch.tensor([[0.0, 1e-6], [0.0, 0.0]]), None),
        (torch.tensor([[1.0, -5.0]]), None),
    ],
)
def test_a_blank_map_is_known_by_its_reason(values, reason):
    found = why_blank(values)
    assert found is None if reason is None else reason in found


@pytest.mark.parametrize("method", METHODS)
def test_a_network_that_ignores_the_picture_has_no_map_and_the_remedy_is_told(method):
    model = Linear(torch.zeros(2, 1, 6, 6))
    maps = saliency(model, drawn(2, 1, 6, 6), method, 0)
    assert None not in maps.blank
    with pytest.raises(DataError, match="blank") as caught:
        maps.of(1)
    assert "another layer" in str(caught.value) if maps.layer else "grad-cam" in str(caught.value)


@given(st.integers(1, 3), st.integers(5, 20), st.integers(5, 20), st.sampled_from(list(METHODS)))
def test_a_map_has_the_size_of_its_picture_and_its_class_is_the_predicted_one(count, height, width, method):
    model, inputs = Linear(drawn(3, 2, height, width)), drawn(count, 2, height, width, seed=5)
    maps = saliency(model, inputs, method)
    assert maps.values.shape == (count, height, width)
    assert maps.targets.equal(model(inputs).argmax(1))


def test_classes_are_checked():
    model, inputs = Linear(drawn(3, 1, 5, 5)), drawn(2, 1, 5, 5)
    with pytest.raises(SettingsError, match="no such class: 3"):
        grad_cam(model, inputs, 3)
    with pytest.raises(DataError, match="3 classes for 2 pictures"):
        grad_cam(model, inputs, torch.tensor([0, 1, 2]))
    with pytest.raises(DataError, match="no picture"):
        grad_cam(model, inputs[:0])
    with pytest.raises(SettingsError, match="unknown saliency method"):
        saliency(model, inputs, "grad-cam+++")
    with pytest.raises(SettingsError, match="does not fit"):
        occlusion(model, inputs, side=6)


def test_of_one_logistic_output_both_classes_can_be_explained():
    shape = (1, 28, 28)
    torch.manual_seed(0)
    model = build(Architecture(name="fast", one_logit=True), spec_of_shape(shape, 2)).eval()
    inputs = pictures_of(shape, 2)
    against, for_ = (integrated_gradients(model, inputs, target).values for target in (0, 1))
    torch.testing.assert_close(against, -for_)
    assert for_.any()
