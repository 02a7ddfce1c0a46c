"""Evidence becomes PASS, FAIL or UNDECIDED by one rule, whatever else was verified."""

from __future__ import annotations

import math

import pytest

from kexue_bench.api import Evidence
from kexue_bench.catalog.core_claims import ALPHA, CORE_CLAIMS, GENERAL, decide


def evidence(**changes):
    return Evidence(**{"claim": "c", "metric": "m", "value": 0.0, "tolerance": 0.05, **changes})


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"value": None}, "UNDECIDED"),
        ({"value": 0.05}, "PASS"),
        ({"value": 0.0501}, "FAIL"),
        ({"value": math.inf, "tolerance": 0.0}, "FAIL"),
        ({"p": ALPHA / 2, "detectable": 0.01}, "FAIL"),
        ({"p": ALPHA, "detectable": 0.05}, "PASS"),
        ({"p": 0.9, "detectable": 0.051}, "UNDECIDED"),
        ({"p": 0.9, "detectable": None}, "UNDECIDED"),
    ],
)
def test_one_rule_decides(changes, verdict):
    """A rejecting test fails; another passes only if it would have caught what matters; without one the tolerance."""
    assert decide(evidence(**changes)) == verdict


def test_a_pass_is_never_given_for_want_of_data():
    """However large p is, a test that could not have caught a violation that matters decides nothing."""
    assert decide(evidence(p=1.0, detectable=10.0)) == "UNDECIDED"


def test_what_every_method_promises_is_what_is_always_checked():
    """The general claims are the core's claims with `always`, each with a check of its own."""
    always = {(spec.of, spec.name) for spec in CORE_CLAIMS if spec.always}
    assert always == {(of, name) for of, names in GENERAL.items() for name in names}
    assert len({spec.target for spec in CORE_CLAIMS}) == len(CORE_CLAIMS)
