"""A finding is a value, and only failures are complained of."""

import pytest

from kexue_bench.testing.findings import Finding, complain, finding


def test_a_finding_with_faults_is_not_in_order():
    """Empty faults are none; the others are joined into one message."""
    assert finding("knobs", "f/m", "", "") == Finding(check="knobs", subject="f/m", ok=True)
    assert finding("knobs", "f/m", "one", "", "two") == Finding(
        check="knobs", subject="f/m", ok=False, message="one; two"
    )


def test_complaints_name_every_failure_and_nothing_else():
    """A line for each; what is in order or undecided raises nothing."""
    quiet = [Finding(check="a", subject="s"), Finding(check="b", subject="s", ok=None, message="unknown")]
    complain(quiet)
    wrong = [finding("c", "f/m", "write one", place="toy, float32"), finding("d", "f/m", "drop it")]
    with pytest.raises(AssertionError) as caught:
        complain([*quiet, *wrong])
    assert str(caught.value).splitlines() == ["f/m: c (toy, float32): write one", "f/m: d: drop it"]
