"""What a transfer takes is counted before it begins, and the size lowered where it does not fit."""

from __future__ import annotations

import pytest
import torch

from striate.core.errors import ResourceError
from striate.style import memory
from striate.style.memory import LEFT, fitting_side, needed_memory
from tests.style.looking import network


def square(side: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (side, side), (side, side)


def test_the_count_holds_what_a_real_step_keeps():
    """A second path: the tensors that torch saves for the backward pass on real values, each storage once."""
    looks = network("resnet18")
    looks.model.requires_grad_(False)
    saved: dict[int, int] = {}
    kept = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {p.untyped_storage().data_ptr() for p in [*looks.model.parameters(), *looks.model.buffers()]}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        looks.maps(torch.rand(1, 3, 64, 64, requires_grad=True))
    real = sum(size for place, size in saved.items() if place not in weights)
    counted = needed_memory(looks, (64, 64), (64, 64))
    assert real < counted < 2.5 * real


def test_it_grows_with_the_area():
    looks = network("efficientnet-lite0")
    small, large = (needed_memory(looks, *square(side)) for side in (64, 256))
    assert large == pytest.approx(16 * small, rel=0.1)


def test_nothing_is_lowered_that_fits_or_where_the_system_does_not_tell(monkeypatch):
    looks = network()
    for free in (None, 2**40):
        monkeypatch.setattr(memory, "free_memory", lambda free=free: free)
        assert fitting_side(looks, 64, square) == (64, needed_memory(looks, *square(64)), None)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
def test_the_size_is_lowered_until_it_fits_and_not_much_further(monkeypatch, share):
    looks = network()
    free = int(share * needed_memory(looks, *square(256)))
    monkeypatch.setattr(memory, "free_memory", lambda: free)
    side, needed, note = fitting_side(looks, 256, square)
    assert needed == needed_memory(looks, *square(side)) <= LEFT * free
    assert needed > 0.7 * LEFT * free
    assert note is not None
    assert f"the size is {side}" in note
    assert "size of 256" in note


def test_where_not_even_the_least_size_fits_it_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    with pytest.raises(ResourceError, match="pictures of 16 pixels need") as caught:
        fitting_side(network("lenet5"), 64, square)
    assert caught.value.exit_code == 6
