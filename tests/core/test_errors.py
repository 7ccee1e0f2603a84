"""The tree of errors: exit codes, families, and the form of the message."""

from __future__ import annotations

import pytest

from striate.core import errors
from striate.core.errors import (
    DataError,
    DivergedError,
    Interrupted,
    ModelFileError,
    ResourceError,
    SettingsError,
    StriateError,
)

CODES = [(SettingsError, 2), (DataError, 3), (ModelFileError, 4), (DivergedError, 5), (ResourceError, 6)]


@pytest.mark.parametrize(("kind", "code"), CODES)
def test_each_kind_has_its_exit_code(kind, code):
    assert kind("something").exit_code == code
    assert issubclass(kind, StriateError)


def test_every_kind_that_exists_is_listed_and_none_leaves_with_the_code_of_our_own_mistakes():
    kinds = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, StriateError)}
    assert kinds == {StriateError, Interrupted, *(kind for kind, _ in CODES)}
    assert all(kind.exit_code != 1 for kind, _ in CODES)


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_interruption_leaves_with_128_plus_the_signal(number, code):
    error = Interrupted(number, "stopped after saving", where="runs/a", fix="go on with --resume")
    assert error.exit_code == code
    assert str(error) == "stopped after saving: runs/a\nfix: go on with --resume"


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        (SettingsError, ValueError),
        (DataError, ValueError),
        (ModelFileError, ValueError),
        (DivergedError, ArithmeticError),
        (ResourceError, OSError),
        (Interrupted, Exception),
    ],
)
def test_each_kind_can_be_caught_as_its_builtin_family(kind, family):
    error = kind(2, "x") if kind is Interrupted else kind("x")
    assert isinstance(error, family)
    assert isinstance(error, StriateError)


@pytest.mark.parametrize("kind", [kind for kind, _ in CODES])
def test_message_is_what_where_and_the_fix_on_a_second_line(kind):
    error = kind("picture cannot be read", where="a/b.png", fix="take another")
    assert str(error) == "picture cannot be read: a/b.png\nfix: take another"
    assert (error.what, error.where, error.fix) == ("picture cannot be read", "a/b.png", "take another")
    usual = f"\nfix: {kind.usual_fix}" if kind.usual_fix else ""
    assert str(kind("picture cannot be read")) == "picture cannot be read" + usual
    assert str(kind("picture cannot be read", where="a")) == "picture cannot be read: a" + usual
    assert str(kind("picture cannot be read", fix="b")) == "picture cannot be read\nfix: b"


def test_where_may_be_any_object():
    assert SettingsError("too large", where=12).where == "12"
