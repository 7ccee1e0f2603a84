"""Output sizes and receptive fields against counting by hand and torch's gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from striate.convolution import output_shape, output_size, receptive_field


@pytest.mark.parametrize(
    ("n", "m", "padding", "stride", "size"),
    [
        (10, 5, 2, 1, 10),  # the document's examples
        (10, 3, 2, 2, 6),  # (10 + 4 - 3) / 2 + 1 = 6.5: floor; the document's ceiling would say 7
        (10, 5, "full", 1, 14),
        (10, 5, "same", 1, 10),
        (10, 5, "valid", 1, 6),
        (10, 4, "same", 1, 10),
        (224, 7, 3, 2, 112),  # the first layer of ResNet
    ],
)
def test_the_documents_sizes(n, m, padding, stride, size) -> None:
    assert output_size(n, m, padding, stride) == size


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 30), m=st.integers(1, 9), p=st.integers(0, 5), s=st.integers(1, 5))
def test_size_is_the_number_of_places_where_the_window_lies_inside(n, m, p, s) -> None:
    if m <= n + 2 * p:
        assert output_size(n, m, p, s) == sum(start + m <= n + 2 * p for start in range(0, n + 2 * p, s))


def test_shape_is_the_size_along_each_axis() -> None:
    assert output_shape((5, 9, 7), (3, 3, 1), ("same", "valid", 2), (1, 2, 3)) == (5, 4, 4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=4))
def test_receptive_field_is_where_the_gradient_of_one_output_arrives(windows) -> None:
    size, step = receptive_field(windows)
    net = nn.Sequential(*(nn.Conv1d(1, 1, m, stride=s, bias=False) for m, s in windows)).double()
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    x = torch.zeros(1, 1, size + step, dtype=torch.float64, requires_grad=True)
    first, second = net(x)[0, 0, :2]
    (one,) = torch.autograd.grad(first, x, retain_graph=True)
    (next_one,) = torch.autograd.grad(second, x)
    spans = [gradient[0, 0].nonzero().flatten().tolist() for gradient in (one, next_one)]
    assert (spans[0][0], spans[0][-1]) == (0, size - 1)
    assert (spans[1][0], spans[1][-1]) == (step, step + size - 1)
