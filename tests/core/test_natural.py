"""The order in which people count names."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from striate.core.natural import natural


def test_numbers_within_names_count_by_their_value() -> None:
    ordered = ["", "007", "7", "10", "a", "a1", "a2", "a2b", "a10", "b", "patient 9 x", "patient 10 a"]
    assert sorted(random.Random(0).sample(ordered, len(ordered)), key=natural) == ordered


@given(
    numbers=st.lists(st.integers(0, 10**6), unique=True), name=st.text(st.characters(exclude_categories=["N", "Cs"]))
)
def test_one_name_with_numbers_is_sorted_by_them(numbers: list[int], name: str) -> None:
    assert sorted((f"{name}{number}" for number in numbers), key=natural) == [f"{name}{n}" for n in sorted(numbers)]


@given(names=st.lists(st.text("0123ab", max_size=5), unique=True))
def test_the_order_is_total_whatever_the_names(names: list[str]) -> None:
    keys = [natural(name) for name in names]
    assert len(set(keys)) == len(names)
    assert [natural(name) for name in sorted(names, key=natural)] == sorted(keys)


def test_a_number_longer_than_python_reads_is_compared_too() -> None:
    assert natural("9" * 5000) < natural("1" + "0" * 5000)
