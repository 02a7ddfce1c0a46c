"""Claims of log-determinant methods: exactness at n Lanczos steps, also with a planted loss of orthogonality."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from kexue_bench.api import Case, Instance
from kexue_bench.catalog.core_claims import decide
from kexue_bench.lab.context import Context
from kexue_bench.lab.problems import Sampling
from kexue_logdet import SLQ, LogdetSample, claims


def context(claim):
    return Context(
        Case(
            family="logdet",
            task=Instance(name="t", target="m:T"),
            task_version=1,
            method=Instance(name="a", target="m:A"),
            stage="verify",
            claim=claim,
            dtype="float64",
            options={"budget": 1024},
        )
    )


def shifted(shift):
    return Sampling(draw=lambda noise, n: noise.normal(n) + shift, truth=torch.zeros((), dtype=torch.float64), batch=8)


@dataclass(frozen=True, kw_only=True)
class Dense:
    """The truth, with a relative error of 1e-3 unless it has n probes."""

    probes: int = 1

    def estimate(self, op, budget, noise, repeats):
        value = torch.linalg.slogdet(op.dense()).logabsdet
        return LogdetSample(value=(value * (1 if self.probes == op.n else 1.001)).expand(repeats))


def test_slq_is_exact_at_n_steps():
    """Gauss quadrature with as many nodes as eigenvalues, whatever the number of probes."""
    for distribution in ("rademacher", "gaussian"):
        found = claims.exact_at(shifted(0), SLQ(distribution=distribution), context("exact-at(steps=n)"))
        assert decide(found) == "PASS"


def test_exactness_is_asked_of_the_field_that_the_claim_names():
    """With n probes the stand-in is exact and passes; the same method held below n fails."""

    @dataclass(frozen=True, kw_only=True)
    class Capped(Dense):
        def estimate(self, op, budget, noise, repeats):
            return Dense(probes=1).estimate(op, budget, noise, repeats)

    verdicts = [
        decide(claims.exact_at(shifted(0), method, context("exact-at(probes=n)"))) for method in (Dense(), Capped())
    ]
    assert verdicts == ["PASS", "FAIL"]


def test_a_claim_of_another_form_is_refused():
    """The message states the required form."""
    with pytest.raises(ValueError, match=r"exact-at\(FIELD=n\), got 'exact'"):
        claims.exact_at(shifted(0), SLQ(), context("exact"))


@pytest.mark.parametrize(("check", "side"), [(claims.upper_bound, 1), (claims.lower_bound, -1)])
def test_bounds_hold_on_their_side_only(check, side):
    """A mean one standard deviation on the right side passes and on the wrong side fails."""
    assert decide(check(shifted(side), None, context("c"))) == "PASS"
    assert decide(check(shifted(-side), None, context("c"))) == "FAIL"


def test_unbiased_has_the_tolerance_of_the_family():
    """A quick budget of 1,024 draws is enough to pass."""
    found = claims.unbiased(shifted(0.0), None, context("unbiased"))
    assert (decide(found), found.tolerance) == ("PASS", 0.2)
