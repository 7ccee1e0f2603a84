"""Randomness: Philox against its published vectors, uniform numbers and permutations against their distributions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from striate.core.random import Stream, permutation, philox, start_generator, step_seed, uniform

ONES = 0xFFFFFFFF
# kat_vectors of Random123 (D. E. Shaw Research), philox4x32 with 10 rounds: counter, key, result
PUBLISHED = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
WORDS = st.integers(0, ONES)
# every statistic below has a fixed seed, so a test passes always or never; P is what chance alone may cost
P = 1e-3


@pytest.mark.parametrize(("counter", "key", "result"), PUBLISHED)
def test_philox_of_integers_gives_the_published_vectors(counter, key, result):
    assert philox(counter, key) == result


@pytest.mark.parametrize(("counter", "key", "result"), PUBLISHED)
def test_philox_of_tensors_gives_the_published_vectors(counter, key, result):
    words = philox(tuple(torch.tensor([word, word]) for word in counter), key)
    assert [word.tolist() for word in words] == [[word, word] for word in result]


@settings(deadline=None, max_examples=100)
@given(st.tuples(WORDS, WORDS, WORDS, WORDS), st.tuples(WORDS, WORDS))
def test_philox_of_tensors_equals_philox_of_unbounded_integers(counter, key):
    words = philox(tuple(torch.tensor(word) for word in counter), key)
    assert tuple(int(word) for word in words) == philox(counter, key)


def test_philox_is_a_bijection_of_the_counter():
    counter = torch.arange(100_000)
    zero = torch.zeros_like(counter)
    words = torch.stack(philox((counter, zero, zero, zero), (1, 2)), dim=1)
    assert len(torch.unique(words, dim=0)) == len(counter)


def test_streams_have_their_own_numbers():
    # an IntEnum makes a silent alias of a number used twice
    assert len(Stream.__members__) == len({int(stream) for stream in Stream.__members__.values()})
    assert all(0 <= int(stream) < 2**32 for stream in Stream)


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 2**64 - 1),
    epoch=st.integers(0, 2**32 - 1),
    indices=st.lists(st.integers(0, 2**40), min_size=1, max_size=20),
    stream=st.sampled_from(list(Stream)),
)
def test_uniform_is_philox_of_seed_epoch_index_and_stream(seed, epoch, indices, stream):
    key = (seed % 2**32, seed // 2**32)
    expected = [
        (philox((index % 2**32, index // 2**32, epoch, int(stream)), key)[0] // 256) / 2**24 for index in indices
    ]
    assert uniform(seed, epoch, torch.tensor(indices), stream).tolist() == expected


def test_uniform_does_not_depend_on_order_batches_or_shape():
    indices = torch.arange(1000)
    whole = uniform(7, 3, indices, Stream.ZOOM)
    order = torch.from_numpy(np.random.default_rng(0).permutation(1000))
    assert torch.equal(uniform(7, 3, indices[order], Stream.ZOOM), whole[order])
    assert torch.equal(torch.cat([uniform(7, 3, part, Stream.ZOOM) for part in indices.split(13)]), whole)
    assert torch.equal(uniform(7, 3, indices.reshape(10, 100), Stream.ZOOM).flatten(), whole)
    assert torch.equal(uniform(7, 3, indices, Stream.ZOOM), whole)


def test_uniform_with_several_streams_equals_each_stream_alone():
    indices = torch.arange(50).reshape(5, 10)
    streams = [Stream.SHIFT_X, Stream.SHIFT_Y, Stream.ERASE]
    together = uniform(1, 2, indices, streams)
    assert together.shape == (5, 10, 3)
    for place, stream in enumerate(streams):
        assert torch.equal(together[..., place], uniform(1, 2, indices, stream))


def test_uniform_leaves_the_global_generator_and_its_argument_alone():
    state = torch.get_rng_state()
    indices = torch.arange(10)
    uniform(0, 0, indices, Stream.HUE)
    permutation(0, 0, 10)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(indices, torch.arange(10))


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**63 + 5])
@pytest.mark.parametrize("stream", [Stream.FLIP_HORIZONTAL, Stream.STEP])
def test_uniform_is_uniform_on_zero_to_one(seed, stream):
    numbers = uniform(seed, 1, torch.arange(50_000), stream)
    assert numbers.dtype == torch.float32
    assert float(numbers.min()) >= 0
    assert float(numbers.max()) < 1
    assert stats.kstest(numbers.double().numpy(), "uniform").pvalue > P
    assert stats.chisquare(np.histogram(numbers.numpy(), bins=256, range=(0, 1))[0]).pvalue > P
    assert torch.equal(numbers * 2**24, (numbers * 2**24).round())


def test_uniform_is_uniform_in_its_lowest_bits():
    low = (uniform(3, 0, torch.arange(64_000), Stream.HUE) * 2**24).to(torch.int64) % 64
    assert stats.chisquare(torch.bincount(low, minlength=64).numpy()).pvalue > P


def test_uniform_is_uniform_across_epochs_of_one_picture():
    numbers = torch.cat([uniform(5, epoch, torch.tensor([17]), Stream.FLIP_HORIZONTAL) for epoch in range(2000)])
    assert stats.kstest(numbers.double().numpy(), "uniform").pvalue > P


def neighbours(kind: str) -> tuple[np.ndarray, np.ndarray]:
    indices = torch.arange(1, 40_001)
    first = uniform(11, 4, indices, Stream.SHIFT_X)
    second = {
        "stream": uniform(11, 4, indices, Stream.SHIFT_Y),
        "epoch": uniform(11, 5, indices, Stream.SHIFT_X),
        "seed": uniform(12, 4, indices, Stream.SHIFT_X),
        "seed's upper half": uniform(11 + 2**32, 4, indices, Stream.SHIFT_X),
        "index": uniform(11, 4, indices + 1, Stream.SHIFT_X),
        "index's upper half": uniform(11, 4, indices + 2**32, Stream.SHIFT_X),
        # were the arguments merely added, these would be equal
        "epoch for index": uniform(11, 5, indices - 1, Stream.SHIFT_X),
        "stream for index": uniform(11, 4, indices - 1, Stream.SHIFT_Y),
        "seed and epoch swapped": uniform(4, 11, indices, Stream.SHIFT_X),
    }[kind]
    return first.double().numpy(), second.double().numpy()


@pytest.mark.parametrize(
    "kind",
    [
        "stream",
        "epoch",
        "seed",
        "seed's upper half",
        "index",
        "index's upper half",
        "epoch for index",
        "stream for index",
        "seed and epoch swapped",
    ],
)
def test_numbers_that_differ_in_one_argument_are_independent(kind):
    first, second = neighbours(kind)
    assert stats.pearsonr(first, second).pvalue > P
    counts, _, _ = np.histogram2d(first, second, bins=16, range=[(0, 1), (0, 1)])
    # 256 cells of known probability 1/256 each: uniform on the square, not only uncorrelated
    assert stats.chisquare(counts.ravel()).pvalue > P


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 1000), st.integers(0, 300))
def test_permutation_holds_every_number_once(seed, epoch, count):
    order = permutation(seed, epoch, count)
    assert order.dtype == torch.int64
    assert sorted(order.tolist()) == list(range(count))
    assert torch.equal(order, permutation(seed, epoch, count))


def test_permutation_differs_between_epochs_seeds_and_streams():
    orders = [
        *(permutation(0, epoch, 500) for epoch in range(20)),
        *(permutation(seed, 0, 500) for seed in range(1, 20)),
        permutation(0, 0, 500, Stream.SPLIT),
    ]
    assert len({tuple(order.tolist()) for order in orders}) == len(orders)


def test_every_order_of_four_is_equally_likely():
    counts = dict.fromkeys(permutations(range(4)), 0)
    for epoch in range(2400):
        counts[tuple(permutation(9, epoch, 4).tolist())] += 1
    assert stats.chisquare(list(counts.values())).pvalue > P


def test_every_place_of_a_long_permutation_is_equally_likely():
    places = torch.cat([(permutation(3, epoch, 10_000) == 1234).nonzero().flatten() for epoch in range(300)])
    assert stats.kstest(places.double().numpy() / 10_000, "uniform").pvalue > P
    # and successive entries do not follow each other
    order = permutation(3, 0, 10_000).double().numpy()
    assert stats.pearsonr(order[:-1], order[1:]).pvalue > P


def test_step_seeds_are_32_bit_reproducible_and_all_different():
    seeds = [step_seed(0, step) for step in range(5000)] + [step_seed(1, step) for step in range(5000)]
    assert seeds[:5000] == [step_seed(0, step) for step in range(5000)]
    assert all(0 <= seed < 2**32 for seed in seeds)
    # of 10,000 numbers drawn from 2³², 0.0116 pairs are expected to be equal
    assert len(set(seeds)) >= len(seeds) - 1
    assert step_seed(0, 2**32) != step_seed(0, 0)


def test_a_devices_generator_starts_from_the_seed():
    start_generator(torch.device("cpu"), 2**32 - 1)
    expected = torch.Generator().manual_seed(2**32 - 1)
    assert torch.equal(torch.rand(5), torch.rand(5, generator=expected))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_uniform_on_the_gpu_equals_the_cpu_bit_for_bit():
    indices = torch.cat([torch.arange(10_000), torch.arange(2**40, 2**40 + 1000)])
    here = uniform(2**63 + 1, 2**32 - 1, indices, list(Stream))
    there = uniform(2**63 + 1, 2**32 - 1, indices.cuda(), list(Stream))
    assert there.is_cuda
    assert torch.equal(here, there.cpu())
