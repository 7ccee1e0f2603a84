"""Times as people write and read them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.core.duration import duration, read_duration
from striate.core.errors import SettingsError
from striate.core.settings import TrainSettings


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 999))
def test_hours_minutes_and_seconds_add_up(hours: int, minutes: int, seconds: int) -> None:
    wanted = timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    assert read_duration(f"{hours}h{minutes}m{seconds}s") == wanted
    assert read_duration(f" {hours}h {minutes}m {seconds}s") == wanted


@pytest.mark.parametrize(("text", "seconds"), [("20s", 20), ("2m", 120), ("1h30m", 5400), ("1.5m", 90), ("0.5s", 0.5)])
def test_each_part_may_stand_alone(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds
    assert TrainSettings.parse({"time_budget": text}).time_budget == seconds


@pytest.mark.parametrize("text", ["", " ", "m", "20", "2m1h", "-2m", "2min", "1e3s", "20 seconds", "½h"])
def test_anything_else_is_nothing_such(text: str) -> None:
    assert read_duration(text) is None


@pytest.mark.parametrize(
    ("value", "rule"),
    [("soon", "'20s', '2m' or '1h30m'"), ("2m1h", "'1h30m'"), (0, "greater than 0"), ("0s", "greater than 0"),
     ("-5", "greater than 0"), ([], "number"), (True, "true and false")],
)  # fmt: skip
def test_a_time_that_is_none_is_refused_with_the_forms(value: object, rule: str) -> None:
    with pytest.raises(SettingsError, match="time_budget = ") as caught:
        TrainSettings.parse({"time_budget": value})
    assert rule in str(caught.value)


def test_a_plain_number_is_seconds_also_as_text() -> None:
    assert TrainSettings.parse({"time_budget": 90}) == TrainSettings.parse({"time_budget": "90"})


@pytest.mark.parametrize(("seconds", "text"), [(8.26, "8.3 s"), (125, "2:05"), (3725, "1:02:05"), (59.99, "60.0 s")])
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
