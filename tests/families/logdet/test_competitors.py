"""Other libraries behind the contract: products are counted, and results tested like all others."""

from __future__ import annotations

import math
import subprocess
import sys

import installed
import pytest
import torch

from kexue_bench.api import Case, Instance
from kexue_bench.catalog.core_claims import decide
from kexue_bench.lab.context import Context
from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise
from kexue_logdet import Bounds, BudgetError, GridLaplacian, Operator, Spectrum
from kexue_logdet.claims import small_determinant
from kexue_logdet.methods import competitors
from kexue_logdet.methods.competitors import CoLALogdet, Curvlinops, Imate, LinearOperatorLogdet
from kexue_logdet.variances import one_probe_variance

# Warnings of these libraries on import are not ours.
pytestmark = pytest.mark.filterwarnings("ignore")
GRID = GridLaplacian(side=16, tau=1.0)


def seeded(seed=0):
    return Noise.seeded(seed, dtype=torch.float64)


def estimate(method, op, *, budget, repeats=16, seed=0):
    """The sample, and what was counted; torch's own generators stay as they were."""
    counter, before = Counter(), torch.get_rng_state()
    metered = op.within(budget=budget, repeats=repeats, counter=counter)
    with torch.no_grad():
        sample = method.estimate(metered, budget, seeded(seed), repeats)
    assert torch.equal(torch.get_rng_state(), before)
    return sample, counter.units


def verdict(method):
    names = (Instance(name=name, target="m:T") for name in ("task", "method"))
    case = Case(
        family="logdet", task=next(names), task_version=1, method=next(names), stage="verify", dtype="float64",
        options={"budget": 64},
    )  # fmt: skip
    ctx = Context(case)
    with torch.no_grad():
        return decide(small_determinant(GRID.problem(method, ctx), method, ctx))


def test_no_library_is_imported_before_it_is_asked():
    """Importing the adapters, and building every one, loads none of the four."""
    code = (
        "import sys; from kexue_logdet.methods import competitors as c;"
        "[kind() for kind in (c.LinearOperatorLogdet, c.CoLALogdet, c.Imate, c.Curvlinops)];"
        "print(sorted({'linear_operator', 'cola', 'imate', 'curvlinops'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_adapter_says_what_it_needs_and_how_to_install_it():
    """No suite of a machine without the library runs them."""
    specs = [spec for spec in installed.methods("logdet") if spec.target.startswith(competitors.__name__)]
    assert len(specs) == 4
    assert all(spec.requires and "kexue-bench[competitors]" in spec.install for spec in specs)


@pytest.mark.statistical
def test_linear_operator_estimates_with_counted_products():
    """(20 + 1) products per probe; the mean of 16 within 5 standard errors of the truth, spread that of sphere probes
    (closed form of the dense logarithm) within a factor of 2: chi-square with 15 degrees, false alarm below 1e-3.
    """
    pytest.importorskip("linear_operator")
    sample, units = estimate(LinearOperatorLogdet(steps=20, probes=3), GRID.operator(), budget=63)
    assert units == {"products": 16 * 63}
    values, vectors = torch.linalg.eigh(GRID.operator().dense())
    sd = math.sqrt(one_probe_variance((vectors * values.log()) @ vectors.mT, "sphere") / 3)
    assert float(sample.value.mean()) == pytest.approx(GRID.truth(), abs=5 * sd / 4)
    assert 0.5 < float(sample.value.std()) / sd < 2
    with pytest.raises(BudgetError):
        estimate(LinearOperatorLogdet(), GRID.operator(), budget=59)
    assert verdict(LinearOperatorLogdet()) == "PASS"


@pytest.mark.statistical
def test_cola_loses_the_sign_and_fails_for_it():
    """Right if the determinant is above 1, minus the truth if it is below; 100 steps products per repeat."""
    pytest.importorskip("cola")
    sample, units = estimate(CoLALogdet(steps=10), GRID.operator(), budget=1000, repeats=4)
    assert units == {"products": 4000}
    assert float(sample.value.mean()) == pytest.approx(GRID.truth(), rel=0.02)
    values = torch.linspace(0.2, 0.8, 40, dtype=torch.float64)
    small = Operator.of(torch.diag(values), "spd", bounds=Bounds(low=0.2))
    wrong, _ = estimate(CoLALogdet(steps=10), small, budget=1000, repeats=4)
    assert float(wrong.value.mean()) == pytest.approx(-float(values.log().sum()), rel=0.2)
    assert verdict(CoLALogdet()) == "FAIL"


@pytest.mark.statistical
def test_imate_works_on_entries_and_counts_no_product():
    """Its nonzeros are counted; the mean of 16 within 5 of its own standard errors, the same seed the same value."""
    pytest.importorskip("imate")
    method = Imate(steps=20, probes=30)
    sample, units = estimate(method, GRID.operator(), budget=600)
    assert units == {"entries": GRID.matrix().nnz}
    assert float(sample.value.mean()) == pytest.approx(GRID.truth(), abs=5 * float(sample.stderr.mean()) / 4)
    assert torch.equal(sample.value, estimate(method, GRID.operator(), budget=600)[0].value)
    assert float(sample.value.std()) > 0
    assert verdict(Imate()) == "PASS"


@pytest.mark.statistical
@pytest.mark.parametrize("algorithm", ["hutchinson_trace", "hutchpp_trace", "xtrace"])
def test_curvlinops_estimates_traces_with_counted_products(algorithm):
    """60 products per repeat; the mean of 16 within 5 standard errors of the trace."""
    pytest.importorskip("curvlinops")
    task = Spectrum(name="slowexp", n=200)
    op = Operator.of(task.matrix(seeded(3)), "spd", target="trace")
    sample, units = estimate(Curvlinops(algorithm=algorithm), op, budget=60)
    assert units == {"products": 16 * 60}
    assert float(sample.value.mean()) == pytest.approx(task.truth(), abs=5 * float(sample.value.std()) / 4)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LinearOperatorLogdet(tolerance=0.0), "tolerance > 0, got 19, 3 and 0.0"),
        (lambda: CoLALogdet(steps=0), "steps must be >= 1, got 0"),
        (lambda: Imate(probes=1), "probes >= 2, got 20 and 1"),
        (lambda: Imate(orthogonalisation="some"), "orthogonalisation must be one of none, full"),
        (lambda: Curvlinops(algorithm="trace"), "algorithm must be one of"),
        (lambda: Curvlinops(algorithm="hutchpp_trace", vectors=61), "multiple of 3, got 61"),
        (lambda: Curvlinops(distribution="sphere"), "distribution must be one of rademacher, normal"),
    ],
)
def test_bad_parameters_say_what_was_got(build, message):
    """Refused when the method is built, with or without the library."""
    with pytest.raises(ValueError, match=message):
        build()
