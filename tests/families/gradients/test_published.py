"""Published figures that can be reproduced, at the published size and with the tolerances of their sources.

Heights were read from plots, by eye and on logarithmic axes, unless said otherwise. Each tolerance is that of the
reading, plus our sampling error.
"""

from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate, stats

from kexue_bench.lab.noise import Noise

DOUBLE = torch.float64
N = 2**18

# Mohamed et al., Monte Carlo Gradient Estimation in Machine Learning (arXiv:1906.10652), figures 2 and 3: variance of
# one estimate at mu = sigma = 1, f = (x - k)^2 and exp(-k x^2). A pair is a published bound, (low, high).
INF = math.inf
POINTS = (-3.0, 0.0, 1.0, 3.0)
MC_GRADIENTS = {
    ("quadratic", 0): {
        "score": dict(zip(POINTS, (500, 30, 15, 88), strict=True)),
        "optimal": dict(zip(POINTS, (135, 14, 6, 38), strict=True)),
        "pathwise": dict(zip(POINTS, (4, 4, 4, 4), strict=True)),
        "measure-valued": dict(zip(POINTS, (18, 1.1, (0, 1), 4.4), strict=True)),
    },
    ("quadratic", 1): {
        "score": dict(zip(POINTS, ((1000, INF), 136, 74, 345), strict=True)),
        "optimal": dict(zip(POINTS, (660, 64, 24, 185), strict=True)),
        "pathwise": dict(zip(POINTS, (72, 12, 8, 24), strict=True)),
        "measure-valued": dict(zip(POINTS, (68, 8, 4, 20), strict=True)),
    },
    ("exp", 0): {
        "score": {0.1: 0.56, 1.0: 0.176, 10.0: 0.077},
        "optimal": {0.1: 0.04, 1.0: 0.072, 10.0: 0.06},
        "pathwise": {0.1: 0.0163, 1.0: 0.21, 10.0: 0.94},
        "measure-valued": {0.1: 0.0025, 1.0: 0.0125, 10.0: 0.0205},
    },
}


def optimal_baseline(function, k, parameter):
    """`E[f s^2] / E[s^2]` for the score s of one parameter at mu = sigma = 1, by quadrature."""

    def mean(weight):
        return integrate.quad(lambda e: weight(e) * stats.norm.pdf(e), -12, 12, limit=400, points=[-1.0])[0]

    def f(x):
        return (x - k) ** 2 if function == "quadratic" else math.exp(-k * x * x)

    def square(e):
        return e * e if parameter == 0 else (e * e - 1) ** 2

    return mean(lambda e: f(1 + e) * square(e)) / mean(square)


@pytest.mark.statistical
@pytest.mark.parametrize(("function", "parameter"), MC_GRADIENTS)
@pytest.mark.parametrize("curve", ["score", "optimal", "pathwise", "measure-valued"])
def test_variance_curves_of_normal_variables(build, context, function, parameter, curve):
    """Within 8 % of the printed curves, plus 5 standard errors of a sample variance over 2^18 draws."""
    for k, published in MC_GRADIENTS[function, parameter][curve].items():
        method = build("reinforce" if curve in ("score", "optimal") else curve)
        if curve == "optimal":
            method = build("reinforce", baseline="constant", value=optimal_baseline(function, k, parameter))
        task = build("gaussian-cost", function=function, k=k, mu=1.0)
        draws = task.problem(method, context(dtype="float64")).draw(Noise.seeded(11, dtype=DOUBLE), N)
        g = draws[:, 0, parameter]
        variance = float(g.var())
        error = 5 * float((g - g.mean()).square().std()) / N**0.5
        low, high = published if isinstance(published, tuple) else (0.92 * published, 1.08 * published)
        assert low - error <= variance <= high + error, (k, variance, published)


# Kool et al., Estimating Gradients for Discrete Random Variables by Sampling without Replacement (arXiv:2002.06043):
# the unordered set estimator with built-in baseline on three bits with one logit, k evaluations.
KOOL = {
    0.0: ((2, 0.006, 0.15), (3, 0.0023, 0.15), (4, 0.0011, 0.15), (5, 0.00065, 0.15), (6, 0.00032, 0.15)),
    -4.0: ((2, 3e-5, 0.3), (3, 8e-6, 0.3), (4, 1e-6, 0.3)),
}


@pytest.mark.statistical
@pytest.mark.parametrize("phi", KOOL)
def test_sampling_without_replacement(build, context, phi):
    """Within 15 % of the curve at logit 0, within a factor 1.3 at -4 for k <= 4; k = 8 is exact.

    Plus 5 standard errors of a sample variance over 2^15 draws, 2^17 at -4.
    """
    task = build("shared-bits", phi=phi)
    for k, published, tolerance in KOOL[phi]:
        problem = task.problem(build("unordered-set", k=k), context(dtype="float64"))
        g = problem.draw(Noise.seeded(12, dtype=DOUBLE), n := 2**15 if phi == 0 else 2**17).flatten()
        variance, error = float(g.var()), 5 * float((g - g.mean()).square().std()) / n**0.5
        assert published / (1 + tolerance) - error <= variance <= published * (1 + tolerance) + error, (k, variance)
    problem = task.problem(build("unordered-set", k=8), context(dtype="float64"))
    assert problem.draw(Noise.seeded(13, dtype=DOUBLE), 16).std() < 1e-12


# Dimitriev and Zhou, ARMS (arXiv:2105.14141), the README's toy: f = (b - 0.49)^2, variance of one estimate of n
# evaluations; ARM and DisARM average n / 2 pairs.
ARMS_TOY = (
    (0.5, 2, "rloo", 2.5e-5),
    (0.5, 2, "arm", 8.3e-6),
    (0.5, 2, "disarm", 0.0),
    (0.5, 4, "rloo", 4.2e-6),
    (0.5, 4, "arm", 4.2e-6),
    (0.5, 4, "disarm", 0.0),
    (0.5, 10, "rloo", 5.5e-7),
    (0.5, 10, "arm", 1.7e-6),
    (0.2, 4, "rloo", 7.5e-6),
    (0.2, 4, "arm", 7.7e-6),
    (0.2, 4, "disarm", 7.4e-6),
)


def _toy_variance(build, context, p, n, name, t=0.49):
    method = build(name, n=n) if name in ("rloo", "arms") else build(name)
    task = build("bernoulli-toy", theta=math.log(p / (1 - p)), t=t)
    g = task.problem(method, context(dtype="float64")).draw(Noise.seeded(14, dtype=DOUBLE), N)
    return float(g.var()) / (1 if name in ("rloo", "arms") else n / 2)


@pytest.mark.statistical
@pytest.mark.parametrize(("p", "n", "name", "published"), ARMS_TOY)
def test_the_toy_of_arms(build, context, p, n, name, published):
    """Within 10 % of the curve, sampling error (below 1 % at 2^18 draws) included."""
    assert _toy_variance(build, context, p, n, name) == pytest.approx(published, rel=0.1, abs=1e-18)


@pytest.mark.statistical
def test_arms_lies_lowest(build, context):
    """The claim of the figure: from n = 4 on the Dirichlet copula has the smallest variance, but for DisARM near 1/2.

    The height of ARMS itself at p = 1/2 and n = 4 was read as 5e-7; ours is 6.1e-7, outside 10 %, and so is not
    reproduced here.
    """
    for p in (0.2, 0.8):
        for n in (4, 10):
            lowest = _toy_variance(build, context, p, n, "arms")
            assert all(lowest < _toy_variance(build, context, p, n, name) for name in ("rloo", "arm", "disarm"))


# Titsias and Shi, Double Control Variates (arXiv:2111.05300), README figures: E f after 2,000 steps with two
# evaluations per step, and the variance of a coordinate there: (estimates per step, E f, range of the variance).
DOUBLE_CV = {
    "rloo": (1, {}, 0.25053, (0.9 * 6.2e-10, 1.1 * 6.2e-10)),
    "disarm": (1, {}, 0.25057, (0.9 * 6e-10, 1.1 * 6e-10)),
    "exact-baseline": (1, {"n": 2}, 0.2507, (0.9 * 1.65e-10, 1.1 * 1.65e-10)),
    "double-cv": (1, {"rate": 5e-4, "warmup": 0}, 0.251, (0.0, 0.05 * 6.2e-10)),
    "reinforce": (2, {}, 0.25, (0.0, INF)),
    "muprop": (2, {}, 0.25, (0.0, INF)),
}


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("name", DOUBLE_CV)
def test_the_toy_of_double_control_variates(build, context, name):
    """The exact expectation after training is within 3e-5 of the figure, the variance within 10 %: means of ten seeds.

    Methods of one evaluation average two estimates per step, as published (of muprop, the two draws).
    """
    repeats, fields, published, (low, high) = DOUBLE_CV[name]
    task = build("double-cv-toy", repeats=repeats)
    ctx = context("double-cv-toy", {"steps": 2000}, replicates=tuple(range(10)), dtype="float64", seed=15)
    made = task.build(build(name, **fields), ctx)
    final = ctx.train(made, steps=2000, measure=task.measure(made, ctx), marks=()).final
    assert float(final["objective"].mean()) == pytest.approx(published, abs=3e-5)
    assert low <= float(final["coordinate-variance"].mean()) <= high


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["rloo", "disarm"])
def test_where_double_control_variates_start(build, context, name):
    """At logit 0 the mean variance of a coordinate is 1.3e-9, within 5 % (closed form of rloo: 1.26e-9)."""
    problem = build("bernoulli-toy", theta=0.0, t=0.499, bits=200).problem(build(name), context(dtype="float64"))
    draws = problem.draw(Noise.seeded(16, dtype=DOUBLE), 2**14)
    assert float(draws.var(0).mean()) == pytest.approx(1.3e-9, rel=0.05)
