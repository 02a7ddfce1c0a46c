"""`verify` passes correct estimators for residual operators and fails those with one error each."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path

import installed
import pytest
import torch

from kexue_bench.api import Case, Instance
from kexue_bench.catalog import conditions
from kexue_bench.catalog.conditions import Scope
from kexue_bench.catalog.core_claims import decide
from kexue_bench.lab import claims
from kexue_bench.lab.context import Context
from kexue_logdet.methods.golub_kahan_slq import GolubKahanSLQ
from kexue_logdet.methods.neumann_roulette import NeumannRoulette
from kexue_logdet.methods.russian_roulette import RussianRoulette
from kexue_logdet.tasks.convolution_block import ConvolutionBlock
from kexue_logdet.tasks.reference_matrix import ReferenceMatrix
from kexue_logdet.tasks.residual_block import ResidualBlock
from kexue_logdet.tasks.residual_gradient import ResidualGradient

sys.path.append(str(Path(__file__).parents[2] / "plugins"))
from mutants_residual.methods import UnweightedNeumann, UnweightedRoulette


def verdict(check, task, method, budget=16384):
    names = (Instance(name=type(x).__name__, target="m:T") for x in (task, method))
    case = Case(
        family="logdet",
        task=next(names),
        task_version=1,
        method=next(names),
        stage="verify",
        dtype="float64",
        options={"budget": budget},
    )
    ctx = Context(case)
    with torch.no_grad():
        return decide(check(task.problem(method, ctx), method, ctx))


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("task", "method"),
    [
        (ReferenceMatrix(name="bidiag6"), RussianRoulette(probability=0.5, probes=1)),
        (ReferenceMatrix(name="mlp6", c=0.7), NeumannRoulette(probability=0.3, probes=1)),
    ],
)
def test_honest_ones_are_unbiased(task, method):
    """Values pass at the level of verify, 1e-4; gradients are enumerated in the tests of the methods."""
    assert verdict(claims.unbiased, task, method) == "PASS"


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("task", "method"),
    [
        (ReferenceMatrix(name="bidiag6"), UnweightedRoulette()),
        (ReferenceMatrix(name="mod7_6"), UnweightedNeumann()),
        (ResidualGradient(c=0.5, d=6), UnweightedNeumann()),
        (ResidualGradient(c=0.5, d=6), UnweightedRoulette()),
    ],
)
def test_roulette_without_reweighting_fails(task, method):
    """Both series, in value and in gradient."""
    assert verdict(claims.unbiased, task, method, budget=4096) == "FAIL"


@pytest.mark.parametrize(
    ("task", "method", "expected"),
    [
        (ReferenceMatrix(name="mlp6", c=0.9), RussianRoulette(probability=0.19), "PASS"),
        (ReferenceMatrix(name="mlp6", c=0.9), RussianRoulette(probability=0.21), "FAIL"),
        (ReferenceMatrix(name="mlp6", c=0.98), RussianRoulette(probability=0.04), "PASS"),
        (ReferenceMatrix(name="mlp6", c=0.98), RussianRoulette(), "FAIL"),
        (ResidualBlock(c=0.9), NeumannRoulette(), "PASS"),
        (ResidualBlock(c=0.9), NeumannRoulette(probability=0.5), "FAIL"),
        (ResidualBlock(c=0.98), RussianRoulette(stopping="norm", probes=1), "PASS"),
        (ConvolutionBlock(c=0.9), RussianRoulette(probability=0.5), "PASS"),
        (ReferenceMatrix(name="mod11_6"), RussianRoulette(stopping="poisson"), "FAIL"),
    ],
)
def test_finite_variance_is_decided_by_the_spectral_radius(task, method, expected):
    """The radius is 0.8952 at c = 0.9 and 0.97478 at c = 0.98 for mlp6: the border is p = 0.1986 and 0.0498. A
    convolution of norm 0.9 has radius 0.515, so that p = 1/2 is fine there; Poisson tails never are.
    """
    assert verdict(claims.finite_variance, task, method) == expected


@pytest.mark.parametrize("name", ["unbiased", "finite-variance"])
def test_claims_are_made_where_the_norm_obeys_the_rule(name):
    """c^2 < 1 - p with the norm c, which bounds rho, or p from a norm that is known; never for Poisson or for a norm
    that the method estimates, and never asked of SPD tasks.
    """
    spec = installed.registry().methods["logdet", "russian-roulette"]
    claim = next(claim for claim in spec.claims if claim.name == name)

    def holds(*, p=0.1, stopping="geometric", c=0.9, offers=("residual", "variance"), bounds="known"):
        fields = {"probability": p, "stopping": stopping}
        return conditions.holds(claim.when, Scope(fields=fields, task={"c": c, "bounds": bounds}, offers=offers))

    assert holds()
    assert not holds(p=0.19 + 1e-9)
    assert not holds(stopping="poisson")
    assert not holds(c=math.sqrt(0.9) + 1e-9)
    assert holds(p=0.5, stopping="norm", c=0.98, offers=("residual", "variance", "bounds"))
    assert not holds(stopping="norm", offers=("residual", "variance", "bounds"), bounds="none")
    spd = Scope(fields={"probability": 0.1, "stopping": "geometric"}, offers={"spd"})
    assert not conditions.holds(claim.when, spd)


@pytest.mark.parametrize(
    ("offers", "task"), [({"six"}, ReferenceMatrix()), (set(), ResidualBlock()), ({"gradient"}, ResidualGradient())]
)
def test_bidiagonalisation_costs_what_is_declared(offers, task):
    """At most n steps are taken, and a gradient takes one more product per probe."""
    spec, method = installed.registry().methods["logdet", "golub-kahan-slq"], GolubKahanSLQ()
    declared = conditions.amount(spec.cost, Scope(fields=dataclasses.asdict(method), offers=offers))
    case = Case(
        family="logdet",
        task=Instance(name="t", target="m:T"),
        task_version=1,
        method=Instance(name="m", target="m:M"),
        stage="verify",
        dtype="float64",
        options={"budget": 64, "work": "products", "declared": declared},
    )
    ctx = Context(case)
    with torch.no_grad():
        assert decide(claims.declared_cost(task.problem(method, ctx), method, ctx)) == "PASS"
