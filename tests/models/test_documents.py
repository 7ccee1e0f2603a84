"""The documents' networks equal plain stacks of torch layers with the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from striate.core.errors import SettingsError
from striate.models.documents import fashion_cnn, mnist_cnn
from striate.models.summary import parameter_count


def plain_mnist(channels: int, flat: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(flat, 1024),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(1024, classes),
    )


def plain_fashion(channels: int, flat: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(64, 128, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(flat, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def leaves(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if not any(module.children())]


def outputs(model: nn.Module, pictures: torch.Tensor) -> list[torch.Tensor]:
    seen: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, out: seen.append(out.detach().clone())) for layer in leaves(model)
    ]
    model(pictures)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize(
    ("make", "plain", "shape", "flat", "classes"),
    [
        (mnist_cnn, plain_mnist, (1, 28, 28), 64 * 7 * 7, 10),
        (mnist_cnn, plain_mnist, (3, 21, 18), 64 * 5 * 4, 3),
        (fashion_cnn, plain_fashion, (1, 28, 28), 128 * 3 * 3, 10),
        (fashion_cnn, plain_fashion, (3, 32, 25), 128 * 4 * 2, 3),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_every_layer_equals_a_plain_stack_with_the_same_weights(make, plain, shape, flat, classes, training):
    torch.manual_seed(0)
    ours, stack = make(shape, classes), plain(shape[0], flat, classes)
    assert [type(layer) for layer in leaves(ours)] == [type(layer) for layer in leaves(stack)]
    for mine, theirs in zip(leaves(ours), leaves(stack), strict=True):
        theirs.load_state_dict(mine.state_dict())
    ours.train(training)
    stack.train(training)
    pictures = torch.randn(3, *shape)
    torch.manual_seed(5)  # of the dropout
    ours_seen = outputs(ours, pictures)
    torch.manual_seed(5)
    plain_seen = outputs(stack, pictures)
    assert len(ours_seen) == len(plain_seen) == len(leaves(stack))
    for mine, theirs in zip(ours_seen, plain_seen, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)


def test_mnist_cnn_has_the_number_of_parameters_counted_by_hand():
    by_hand = (25 * 1 + 1) * 32 + (25 * 32 + 1) * 64 + (7 * 7 * 64 + 1) * 1024 + (1024 + 1) * 10
    assert by_hand == 3_274_634
    assert parameter_count(mnist_cnn((1, 28, 28), 10)) == by_hand


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_dropout_of_mnist_cnn_is_as_asked(dropout):
    torch.manual_seed(0)
    model = mnist_cnn((1, 8, 8), 2, dropout=dropout).train()
    layer = next(module for module in model.modules() if isinstance(module, nn.Dropout))
    dropped = float((layer(torch.ones(100_000)) == 0).float().mean())
    assert dropped == pytest.approx(dropout, abs=0.01)  # seven standard deviations


@pytest.mark.parametrize(("make", "least"), [(mnist_cnn, 4), (fashion_cnn, 18)])
def test_the_least_side_works_and_one_less_is_refused(make, least):
    with torch.no_grad():
        assert make((1, least, least), 2).eval()(torch.zeros(1, 1, least, least)).shape == (1, 2)
    with pytest.raises(SettingsError, match=f"--img-size {least}"):
        make((1, least, least - 1), 2)
