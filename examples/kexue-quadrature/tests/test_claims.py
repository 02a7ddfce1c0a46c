"""Each claim fails for a rule with the fault that it is there to find, and for no other reason."""

from pathlib import Path

import pytest
from mutants import CAUGHT_BY

import kexue_bench


@pytest.fixture(scope="module")
def verified():
    """What `verify` says about every mutant, in this process."""
    return kexue_bench.verify(
        "quadrature",
        methods=list(CAUGHT_BY),
        tasks=["integral[points=33]", "random-integral"],
        plugins=str(Path(__file__).with_name("mutants.py")),
        isolation="none",
        output=None,
        quiet=True,
    )


@pytest.mark.parametrize(("mutant", "claim"), CAUGHT_BY.items())
def test_a_mutant_fails_its_claim(verified, mutant, claim):
    """And keeps the others."""
    failed = {row.case.claim for row in verified.findings if row.case.method.name == mutant and row.verdict == "FAIL"}
    assert failed == {claim}
