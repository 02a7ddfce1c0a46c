"""errors: each says what is wrong, what was got and what to do, and has an exit code."""

from __future__ import annotations

import pytest

from kexue_bench.errors import (
    InvalidResult,
    KexueError,
    NotOffered,
    PluginError,
    ResultsError,
    UnknownNameError,
    UsageError,
    nearest,
    suggestion,
)

KNOWN = ("reinforce", "rloo", "disarm")


@pytest.mark.parametrize(
    ("got", "do", "text"),
    [
        ("", "", "it is wrong"),
        ("3", "", "it is wrong, got 3"),
        ("", "write 2", "it is wrong; write 2"),
        ("3", "write 2", "it is wrong, got 3; write 2"),
    ],
)
def test_an_error_says_what_got_and_do(got, do, text):
    """In this order, without empty parts; the parts can be read apart."""
    error = KexueError("it is wrong", got=got, do=do)
    assert str(error) == text
    assert (error.what, error.got, error.do) == ("it is wrong", got, do)


def test_the_nearest_name_comes_first():
    """`rlo` is nearer to `rloo` than to any other, and what resembles nothing is not guessed."""
    assert nearest("rlo", KNOWN)[0] == "rloo"
    assert suggestion("rlo", KNOWN) == "did you mean rloo?"
    assert suggestion("xyzzy", KNOWN) == ""


def test_an_unknown_name_tells_near_ones_or_else_all():
    """A near name, the known ones (twelve at most), or that there is none."""
    assert str(UnknownNameError("method", "rlo", KNOWN)) == "unknown method, got 'rlo'; did you mean rloo?"
    assert str(UnknownNameError("method", "xyzzy", KNOWN)).endswith("known: disarm, reinforce, rloo")
    assert str(UnknownNameError("method", "xyzzy", map("q{:02}".format, range(13)))).endswith(", q11 ...")
    assert "kexue-bench plugins" in str(UnknownNameError("method", "xyzzy", ()))
    assert str(UnknownNameError("method", "rlo", KNOWN, hint="x is broken")).endswith("did you mean rloo?; x is broken")
    assert UnknownNameError("method", "rlo", KNOWN).near == ("rloo",)


def test_a_request_that_makes_no_sense_exits_with_2_and_a_bad_folder_with_4():
    """Scripts tell the two apart; 1 is a claim that failed."""
    codes = {error: error.exit_code for error in (KexueError, UsageError, UnknownNameError, PluginError, ResultsError)}
    assert codes == {KexueError: 2, UsageError: 2, UnknownNameError: 2, PluginError: 2, ResultsError: 4}


def test_what_a_method_does_wrong_is_no_error_of_the_user():
    """It becomes the row of one case, so it must pass handlers of errors that end the command."""
    assert not issubclass(InvalidResult, KexueError)
    assert not issubclass(NotOffered, KexueError)
