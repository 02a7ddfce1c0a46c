"""`verify` passes correct probing methods and fails those with one error each."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from kexue_bench.api import Case, Instance
from kexue_bench.catalog.core_claims import decide
from kexue_bench.lab import claims
from kexue_bench.lab.context import Context
from kexue_logdet import SLQ, OneProbeSLQ, PowerSeries, PreconditionedSLQ, ResidualBlock
from kexue_logdet import claims as family_claims
from kexue_logdet.methods.chebyshev import Chebyshev
from kexue_logdet.methods.hutchinson import Hutchinson
from kexue_logdet.methods.hutchpp import HutchPP
from kexue_logdet.methods.na_hutchpp import NAHutchPP
from kexue_logdet.methods.xnystrace import XNysTrace
from kexue_logdet.methods.xtrace import XTrace
from kexue_logdet.spd_claims import closed_variance, error_bar
from kexue_logdet.tasks.grid_laplacian import GridLaplacian
from kexue_logdet.tasks.spectrum import Spectrum

sys.path.append(str(Path(__file__).parents[2] / "plugins"))
from mutants_logdet.methods import (
    AbsoluteSLQ,
    CorrelatedHutchinson,
    ForgetfulPreconditionedSLQ,
    NonSymmetricSLQ,
    OverspendingHutchPP,
)

TRACE = Spectrum(name="slowexp", n=30)
LOGDET = GridLaplacian(side=5)


def verdict(check, task, method, **options):
    names = (Instance(name=type(x).__name__, target="m:T") for x in (task, method))
    case = Case(
        family="logdet",
        task=next(names),
        task_version=1,
        method=next(names),
        stage="verify",
        dtype="float64",
        options={"budget": 1024} | options,
    )
    ctx = Context(case)
    with torch.no_grad():
        return decide(check(task.problem(method, ctx), method, ctx))


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("task", "method"),
    [
        (TRACE, Hutchinson(probes=6)),
        (TRACE, Hutchinson(probes=6, distribution="orthogonal")),
        (TRACE, HutchPP(vectors=12)),
        (TRACE, NAHutchPP(vectors=12)),
        (LOGDET, SLQ(steps=8)),
        (LOGDET, Chebyshev(degree=12)),
        (LOGDET, PowerSeries(degree=8)),
        (LOGDET, PowerSeries(degree=4, probes=6, distribution="orthogonal")),
        (LOGDET, OneProbeSLQ(rank=5, steps=6)),
    ],
)
def test_honest_error_bars_pass(task, method):
    """Independent probes, and orthogonal ones with their correction: E stderr^2 is the variance (level 1e-4 each)."""
    assert verdict(error_bar, task, method) == "PASS"


@pytest.mark.statistical
@pytest.mark.parametrize("distribution", ["rademacher", "gaussian", "sphere", "orthogonal"])
def test_the_closed_variance_of_every_distribution_passes(distribution):
    """The formulas of the four distributions against 1,024 estimates each (level 1e-4)."""
    assert verdict(closed_variance, TRACE, Hutchinson(probes=6, distribution=distribution)) == "PASS"


@pytest.mark.statistical
@pytest.mark.parametrize(
    "method",
    [Hutchinson(probes=6), HutchPP(vectors=12), NAHutchPP(vectors=12), XTrace(vectors=12), XNysTrace(vectors=12)],
)
def test_trace_estimators_are_unbiased(method):
    """Each of the five on a decaying spectrum (level 1e-4)."""
    assert verdict(family_claims.unbiased, TRACE, method) == "PASS"


@pytest.mark.parametrize("check", [error_bar, closed_variance])
def test_correlated_probes_fail_by_their_variance(check):
    """Copies of probes double the variance beyond the error bar and the closed form."""
    assert verdict(check, TRACE, CorrelatedHutchinson(probes=6)) == "FAIL"


@pytest.mark.statistical
def test_correlated_probes_stay_unbiased():
    """Only the variance fails: the mean passes (level 1e-4)."""
    assert verdict(family_claims.unbiased, TRACE, CorrelatedHutchinson(probes=6)) == "PASS"


def test_overspending_fails_by_its_cost():
    """4 m / 3 products where m are declared; the correct one passes."""
    honest = verdict(claims.declared_cost, TRACE, HutchPP(vectors=18), work="products", declared=18)
    wrong = verdict(claims.declared_cost, TRACE, OverspendingHutchPP(vectors=18), work="products", declared=18)
    assert (honest, wrong) == ("PASS", "FAIL")


@pytest.mark.parametrize(("check", "c"), [(claims.finite, 0.9), (family_claims.unbiased, 0.3)])
def test_lanczos_on_a_non_symmetric_operator_fails(check, c):
    """J is far from symmetric: Ritz values fall below 0, or if they do not, the quadrature of I + J is biased."""
    assert verdict(check, ResidualBlock(c=c, d=16, budget=60), NonSymmetricSLQ(steps=8), budget=512) == "FAIL"


@pytest.mark.parametrize("method", [SLQ(), Chebyshev(), OneProbeSLQ()])
def test_a_lost_sign_fails(method):
    """The log-determinant of a matrix with eigenvalues from 0.2 to 0.8 is negative; its absolute value is 200 % off."""
    check = family_claims.small_determinant
    assert (verdict(check, LOGDET, method), verdict(check, LOGDET, AbsoluteSLQ())) == ("PASS", "FAIL")


def test_a_forgotten_preconditioner_fails():
    """What it leaves lies below the whole: the mean falls under the truth, where Lanczos quadrature cannot be."""
    honest, wrong = PreconditionedSLQ(rank=5, steps=8), ForgetfulPreconditionedSLQ(rank=5, steps=8)
    verdicts = [verdict(family_claims.upper_bound, LOGDET, method) for method in (honest, wrong)]
    assert verdicts == ["PASS", "FAIL"]
