"""The schedule bends where its length is revised: against linear interpolation, under any revisions."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from striate.core.settings import OptimizerSettings
from striate.training.optimizer import learning_rate
from striate.training.schedule import Schedule

STEPS = st.integers(1, 60)
REVISIONS = st.lists(st.tuples(st.integers(0, 20), STEPS), max_size=6)


def revised(steps: int, revisions: list[tuple[int, int]]) -> Schedule:
    """Return a schedule revised so many steps after its last revision, each time to end so many later."""
    schedule, step = Schedule(steps), 0
    for done, left in revisions:
        step = min(step + done, schedule.steps - 1)
        schedule.revise(step, step + left)
    return schedule


@given(STEPS, REVISIONS)
def test_progress_is_the_straight_line_through_the_points_of_the_revisions(steps: int, revisions) -> None:
    schedule = revised(steps, revisions)
    corners = [(step, done) for step, done, _ in schedule.pieces] + [(schedule.steps, 1.0)]
    places = np.arange(0, schedule.steps + 0.5, 0.5)
    wanted = np.interp(places, *zip(*corners, strict=True))
    np.testing.assert_allclose([schedule.progress(place) for place in places], wanted, rtol=0, atol=1e-12)


@given(STEPS, REVISIONS)
def test_progress_rises_from_0_to_1_and_the_rate_ends_at_zero(steps: int, revisions) -> None:
    schedule = revised(steps, revisions)
    progress = [schedule.progress(step) for step in range(schedule.steps + 1)]
    assert progress[0] == 0
    assert progress[-1] == 1
    assert all(a <= b for a, b in pairwise(progress))
    for course in ("one-cycle", "linear"):
        assert learning_rate(OptimizerSettings(lr=0.3, schedule=course), progress[-1]) == 0


@given(STEPS, REVISIONS, STEPS)
def test_a_revision_changes_nothing_up_to_its_step(steps: int, revisions, left: int) -> None:
    schedule = revised(steps, revisions)
    step = max(schedule.steps // 2, schedule.pieces[-1][0])
    before = [schedule.progress(place) for place in np.arange(0, step + 0.5, 0.5)]
    schedule.revise(step, step + left)
    assert [schedule.progress(place) for place in np.arange(0, step + 0.5, 0.5)] == before
    assert schedule.steps == step + left


@given(STEPS, REVISIONS)
def test_a_schedule_survives_a_checkpoint_to_the_last_bit(steps: int, revisions) -> None:
    schedule = revised(steps, revisions)
    again = Schedule(1)
    again.load(json.loads(json.dumps(schedule.pieces)))
    assert again.pieces == schedule.pieces
    assert [again.progress(s + 0.5) for s in range(again.steps)] == [
        schedule.progress(s + 0.5) for s in range(schedule.steps)
    ]


def test_a_schedule_that_nobody_revises_is_the_share_of_its_steps() -> None:
    for steps in (1, 7, 300):
        assert [Schedule(steps).progress(s + 0.5) for s in range(steps)] == [(s + 0.5) / steps for s in range(steps)]
