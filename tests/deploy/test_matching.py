"""Which pictures of two runs are the same: by name and content, each at most once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from striate.deploy.matching import match
from striate.runs.answers import Answer

pictures = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("123456")), max_size=12)


def answers(named: list[tuple[str, str]]) -> list[Answer]:
    return [Answer(name, "test", "cat", "cat", pixels) for name, pixels in named]


def test_equal_names_and_pixels_match_whatever_their_order() -> None:
    first = [("a", "1"), ("b", "2"), ("c", "3")]
    matched = match(answers(first), answers(first[::-1]), same_view=True)
    assert (matched.partner, matched.renamed, matched.changed) == ([2, 1, 0], 0, [])


def test_a_picture_with_another_name_is_found_by_its_pixels() -> None:
    matched = match(answers([("a", "1"), ("b", "2")]), answers([("x/b", "2"), ("a", "1")]), same_view=True)
    assert (matched.partner, matched.renamed, matched.changed) == ([1, 0], 1, [])


def test_names_that_changed_hands_follow_the_pixels() -> None:
    matched = match(answers([("a", "1"), ("b", "2")]), answers([("a", "2"), ("b", "1")]), same_view=True)
    assert (matched.partner, matched.renamed, matched.changed) == ([1, 0], 2, [])


def test_other_pixels_under_the_same_name_are_another_picture() -> None:
    first, other = answers([("a", "1"), ("b", "2")]), answers([("a", "9"), ("b", "2")])
    matched = match(first, other, same_view=True)
    assert (matched.partner, matched.renamed, matched.changed) == ([None, 1], 0, ["a"])
    assert match(first, other, same_view=False).partner == [0, 1]


@given(pictures, pictures, st.booleans())
def test_no_picture_is_matched_twice_and_matches_are_what_they_are_called(first, other, same_view) -> None:
    matched = match(answers(first), answers(other), same_view)
    places = [place for place in matched.partner if place is not None]
    assert len(places) == len(set(places))
    assert len(matched.partner) == len(first)
    for mine, place in zip(first, matched.partner, strict=True):
        if place is not None:
            assert mine[1] == other[place][1] if same_view else mine[0] == other[place][0]
    if same_view:  # none is left over that has a partner
        mine = sorted(pixels for _, pixels in first)
        common = sum(min(mine.count(p), sum(o == p for _, o in other)) for p in set(mine))
        assert len(places) == common


@given(pictures)
def test_a_run_matches_itself_picture_by_picture(first) -> None:
    assert match(answers(first), answers(first), same_view=True).partner == list(range(len(first)))
