"""ImageSpec: what it refuses, and that it travels through JSON unchanged."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from striate.core.spec import ImageSpec

GREY = {"channels": 1, "height": 8, "width": 9, "classes": ("a", "b"), "mean": (0.5,), "std": (0.25,)}


def test_input_shape_is_channels_height_width():
    assert ImageSpec(**GREY).input_shape == (1, 8, 9)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"channels": 2, "mean": (0.5, 0.5), "std": (1, 1)}, "1 or 3"),
        ({"channels": 3}, "3 values each"),
        ({"mean": (0.5, 0.5)}, "1 values each"),
        ({"std": ()}, "1 values each"),
        ({"std": (0.0,)}, "positive"),
        ({"std": (-1.0,)}, "positive"),
        ({"std": (math.nan,)}, "finite"),
        ({"std": (math.inf,)}, "finite"),
        ({"mean": (math.nan,)}, "finite"),
        ({"mean": (-math.inf,)}, "finite"),
        ({"height": 0}, "greater than or equal to 1"),
        ({"width": -3}, "greater than or equal to 1"),
        ({"height": 8.5}, "integer"),
        ({"classes": ("a", "b", "a")}, "must differ"),
        ({"resize": "stretch"}, "'crop', 'pad' or 'squash'"),
        ({"interpolation": "cubic"}, "'bicubic'"),
        ({"background": (0, 0)}, "background"),
        ({"colour": "red"}, "colour"),
        ({"crop": (9, 9)}, "does not fit"),
        ({"crop": (0, 4)}, "greater than or equal to 1"),
    ],
)
def test_inconsistent_spec_is_refused_with_the_rule(changed, rule):
    with pytest.raises(ValidationError, match=rule):
        ImageSpec(**{**GREY, **changed})


def test_a_spec_written_before_there_were_crops_is_read():
    spec = ImageSpec.model_validate_json(json.dumps({**GREY, "resize": "pad"}))
    assert spec.crop is None
    assert not spec.whiten
    assert spec.input_shape == (1, 8, 9)


@pytest.mark.parametrize("field", ["channels", "height", "width", "classes", "mean", "std"])
def test_what_has_no_default_must_be_given(field):
    with pytest.raises(ValidationError, match=field):
        ImageSpec(**{key: value for key, value in GREY.items() if key != field})


def test_spec_is_frozen():
    with pytest.raises(ValidationError):
        ImageSpec(**GREY).height = 3


@settings(deadline=None, max_examples=50)
@given(
    channels=st.sampled_from([1, 3]),
    sides=st.tuples(st.integers(1, 2048), st.integers(1, 2048)),
    classes=st.lists(st.text(), unique=True, min_size=1, max_size=5),
    numbers=st.tuples(st.floats(-10, 10), st.floats(1e-6, 10)),
    resize=st.sampled_from(["crop", "pad", "squash"]),
    crop=st.booleans(),
    whiten=st.booleans(),
)
def test_spec_survives_json_bit_for_bit(channels, sides, classes, numbers, resize, crop, whiten):
    spec = ImageSpec(
        channels=channels,
        height=sides[0],
        width=sides[1],
        classes=tuple(classes),
        mean=(numbers[0],) * channels,
        std=(numbers[1],) * channels,
        resize=resize,
        crop=(sides[0], max(sides[1] // 2, 1)) if crop else None,
        whiten=whiten,
    )
    assert ImageSpec.model_validate_json(spec.model_dump_json()) == spec
    assert ImageSpec.model_validate(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


@pytest.mark.parametrize(
    "change", [{"height": 10**6}, {"width": 0}, {"classes": ()}, {"background": (300, 0, 0)}, {"background": (0, 0)}]
)
def test_a_spec_that_would_fill_the_memory_or_means_nothing_is_refused(make_spec, change) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- pydantic's error, whose words are not ours
        ImageSpec.model_validate({**make_spec().model_dump(), **change})
