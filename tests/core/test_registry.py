"""The registry: names, duplicates, suggestions."""

from __future__ import annotations

import pytest

from striate.core.errors import SettingsError
from striate.core.registry import Registry, nearest


def animals() -> Registry[int]:
    registry: Registry[int] = Registry("animal")
    for number, name in enumerate(("zebra", "cat", "dog")):
        registry.register(name)(number)
    return registry


def test_entries_are_found_by_name_and_listed_in_alphabetical_order():
    registry = animals()
    assert registry["dog"] == 2
    assert list(registry) == ["cat", "dog", "zebra"]
    assert len(registry) == 3
    assert "cat" in registry
    assert "cow" not in registry


def test_register_returns_what_it_registers():
    registry: Registry[object] = Registry("thing")

    @registry.register("f")
    def function() -> int:
        return 1

    assert registry["f"] is function


def test_duplicate_is_refused_and_the_first_entry_kept():
    registry = animals()
    with pytest.raises(ValueError, match="animal 'cat' is registered twice"):
        registry.register("cat")(99)
    assert registry["cat"] == 1


def test_unknown_name_gets_the_nearest_and_all_known():
    with pytest.raises(SettingsError) as caught:
        animals()["zebrra"]
    assert caught.value.exit_code == 2
    assert str(caught.value) == "unknown animal: zebrra\nfix: did you mean 'zebra'? Known: cat, dog, zebra"


def test_unknown_name_like_nothing_gets_all_known():
    with pytest.raises(SettingsError) as caught:
        animals()["xyxyxy"]
    assert str(caught.value) == "unknown animal: xyxyxy\nfix: Known: cat, dog, zebra"


@pytest.mark.parametrize(
    ("name", "expected"), [("minst", "mnist"), ("cifar", "cifar10"), ("mnist", "mnist"), ("qqq", None), ("", None)]
)
def test_nearest_is_the_known_name_most_alike(name, expected):
    assert nearest(name, ["mnist", "cifar10", "digits"]) == expected


def test_capitals_are_no_other_name_and_what_is_no_name_is_refused_alike():
    assert nearest("ONNX", ["onnx", "torch"]) == "onnx"
    with pytest.raises(SettingsError, match=r"unknown animal: --animal DOG\nfix: did you mean 'dog'\? Known: all, cat"):
        animals().require("DOG", "--animal", also=("all",))
    animals().require("all", also=("all",))
    for name in (None, 3, ["cat"]):
        with pytest.raises(SettingsError, match="unknown animal"):
            animals()[name]
