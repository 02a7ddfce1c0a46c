"""Exact values against published ones, without sampling if possible; and the truths of the published tasks.

The exact values are computed here in numpy and scipy, by quadrature, enumeration or closed form.
"""

from __future__ import annotations

import itertools
import math

import installed
import numpy as np
import pytest
import torch
from scipy import integrate, stats

from kexue_bench.lab.noise import Noise
from kexue_gradients import Arm, Disarm, Distribution, FunctionObjective, GumbelRao, StGumbelSoftmax
from kexue_gradients.tasks.simplex_quadratic import POINTS

DOUBLE = torch.float64
FIGURES = {spec.name: spec for spec in installed.published("gradients")}


def accepts(name, value):
    spec = FIGURES[name]
    return (spec.low is None or spec.low <= value) and (spec.high is None or value <= spec.high)


# -- normal variables --------------------------------------------------------------------------------------------------


def mean(f):
    return integrate.quad(lambda e: f(e) * stats.norm.pdf(e), -14, 14, limit=500, points=[-1.0, 0.0])[0]


def curves(f, slope, sigma):
    """Variance of one estimate of each curve at mu = sigma = 1, by quadrature over the standard normal."""

    def score(e):
        return e * e - 1 if sigma else e

    truth = mean(lambda e: f(1 + e) * score(e))
    square = mean(lambda e: score(e) ** 2)
    best = mean(lambda e: f(1 + e) * score(e) ** 2) / square
    found = {
        "score": mean(lambda e: (f(1 + e) * score(e)) ** 2) - truth**2,
        "score-optimal": mean(lambda e: ((f(1 + e) - best) * score(e)) ** 2) - truth**2,
        "pathwise": mean(lambda e: (slope(1 + e) * (e if sigma else 1)) ** 2) - truth**2,
    }
    if sigma:
        # Double-sided Maxwell m, and m u beside it.
        def maxwell(m):
            return m * m * stats.norm.pdf(m)

        second = integrate.dblquad(
            lambda u, m: maxwell(m) * (f(1 + m) - f(1 + m * u)) ** 2, -12, 12, 0, 1, epsabs=1e-7, epsrel=1e-7
        )[0]
    else:
        rayleigh = integrate.quad(
            lambda w: w * math.exp(-w * w / 2) * (f(1 + w) - f(1 - w)) ** 2, 0, 14, limit=500, points=[1.0]
        )[0]
        second = rayleigh / (2 * math.pi)
    return found | {"measure-valued": second - truth**2}


@pytest.mark.parametrize("k", [-3.0, 0.0, 1.0, 3.0])
@pytest.mark.parametrize("parameter", ["mu", "sigma"])
def test_curves_of_the_quadratic_cost(k, parameter):
    """Figure 2: quadrature lies in every accepted range, and is the closed form.

    With d = 1 - k, for mu: score d^4 + 14 d^2 + 15, pathwise 4, measure-valued 4 d^2 (4/pi - 1), and a constant c takes
    (d^2 + 3)^2 from the score if it is best; for sigma: 2 d^4 + 60 d^2 + 74, 4 d^2 + 8, 4 d^2 + 4, 2 (d^2 + 5)^2.
    """
    d = 1 - k
    found = curves(lambda x: (x - k) ** 2, lambda x: 2 * (x - k), parameter == "sigma")
    score, most = {
        "mu": (d**4 + 14 * d**2 + 15, (d**2 + 3) ** 2),
        "sigma": (2 * d**4 + 60 * d**2 + 74, 2 * (d**2 + 5) ** 2),
    }[parameter]
    expected = {
        "mu": {"pathwise": 4.0, "measure-valued": 4 * d**2 * (4 / math.pi - 1)},
        "sigma": {"pathwise": 4 * d**2 + 8, "measure-valued": 4 * d**2 + 4},
    }[parameter] | {"score": score, "score-optimal": score - most}
    for curve, value in expected.items():
        assert found[curve] == pytest.approx(value, rel=1e-6, abs=1e-9)
    for curve, value in found.items():
        assert accepts(f"mc-gradients-2-{parameter}-{curve}-k={k:g}", value), (curve, value)


@pytest.mark.parametrize("k", [0.1, 1.0, 10.0])
def test_curves_of_the_exponential_cost(k):
    """Figure 3 for mu, by adaptive quadrature: 120 Gauss-Hermite nodes would give 0.891 instead of 0.942 at k = 10."""
    found = curves(lambda x: math.exp(-k * x * x), lambda x: -2 * k * x * math.exp(-k * x * x), sigma=False)
    for curve, value in found.items():
        assert accepts(f"mc-gradients-3-mu-{curve}-k={k:g}", value), (curve, value)


# -- three bits with one logit -----------------------------------------------------------------------------------------

BITS = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
TARGETS = np.array([0.6, 0.51, 0.48])


def liu_variance(phi, top):
    """Variance of the sum over the states `top` and one draw of the rest, a fresh draw as baseline of each.

    The score of the common logit at a state is its number of ones, less 3 sigmoid(phi).
    """
    p1 = 1 / (1 + math.exp(-phi))
    p = np.where(BITS > 0, p1, 1 - p1).prod(1)
    f, score = ((BITS - TARGETS) ** 2).sum(1), BITS.sum(1) - 3 * p1
    centred = f - p @ f
    spread = p @ centred**2
    top = list(top)
    rest = [i for i in range(8) if i not in top]
    variance = spread * (p[top] ** 2 * score[top] ** 2).sum()
    if rest:
        left = p[rest].sum()
        q = p[rest] / left
        first = q @ (centred[rest] * score[rest])
        variance += left**2 * (q @ ((centred[rest] ** 2 + spread) * score[rest] ** 2) - first**2)
    return variance


def test_top_k_sums_where_no_tie_decides():
    """Logit 0 at k = 0, 7, 8; logit -4 at k = 0, 1, 4, 7, 8, where the most likely states have 0, then 0 or 1 ones."""
    for k in (0, 7, 8):
        assert accepts(f"liu-logit-0-k={k}", liu_variance(0.0, range(k)))
    order = np.argsort(BITS.sum(1), kind="stable")
    for k in (0, 1, 4, 7, 8):
        assert accepts(f"liu-logit-minus-4-k={k}", liu_variance(-4.0, order[:k]))


PRINTED = [0.007561707, 0.0063339313, 0.0052510267, 0.0036332605, 0.0016138406, 0.001178532]
"""Liu et al., figure 2, logit 0, k = 1 .. 6 (cell outputs)."""


@pytest.mark.parametrize("k", range(1, 7))
def test_printed_variances_lie_in_the_range_over_ties(k):
    """At logit 0 every k states are a choice that the source does not tell, and which moves the variance by up to a
    factor of 3.7: the printed value of 10,000 draws lies between the ends, widened by its sampling error of 4 %.
    """
    found = [liu_variance(0.0, top) for top in itertools.combinations(range(8), k)]
    assert 0.96 * min(found) <= PRINTED[k - 1] <= 1.04 * max(found)
    assert max(found) / min(found) > 1.3


def test_at_logit_minus_four_ties_move_two_and_three_states():
    """Why k = 2 and 3 have no figure there: the choice among equally likely states changes them by at least a third."""
    ones = [i for i in range(8) if BITS[i].sum() == 1]
    zero = [i for i in range(8) if BITS[i].sum() == 0]
    two = [liu_variance(-4.0, [*zero, i]) for i in ones]
    three = [liu_variance(-4.0, [*zero, *pair]) for pair in itertools.combinations(ones, 2)]
    assert max(two) / min(two) > 1.3
    assert max(three) / min(three) > 1.3


@pytest.mark.statistical
@pytest.mark.parametrize(("phi", "k"), [(0.0, 0), (0.0, 8), (-4.0, 1), (-4.0, 4)])
def test_top_k_sum_has_the_variance_of_the_enumeration(build, context, phi, k):
    """5 standard errors of a sample variance over 2^16 draws: 6e-7 on each of 4."""
    problem = build("shared-bits", phi=phi).problem(build("top-k-sum", k=k), context(dtype="float64"))
    g = problem.draw(Noise.seeded(21, dtype=DOUBLE), n := 2**16).flatten()
    order = np.argsort(BITS.sum(1), kind="stable") if phi else np.arange(8)
    error = float((g - g.mean()).square().std()) / n**0.5
    assert abs(float(g.var()) - liu_variance(phi, order[:k])) < 5 * error


# -- pairs of bits -----------------------------------------------------------------------------------------------------


def over_uniforms(method, logit, step, n=4096):
    """Exact variance of one pair on one bit with f(1) - f(0) = step: both sides of every jump are midpoints."""
    law = Distribution(kind="bernoulli", logits=torch.tensor([logit], dtype=DOUBLE))
    grid = ((torch.arange(n, dtype=DOUBLE) + 0.5) / n).unsqueeze(1)

    class Grid:
        def uniform(self, *shape):
            return grid.reshape(shape)

    f = FunctionObjective(lambda x: step * x.sum(-1) + 0.3)
    return float(method.estimate(law, f, Grid(), n).gradient.var(correction=0))


def test_disarm_is_never_more_variable_than_arm():
    """Over a grid of logits and steps of f, and both are their closed forms, to the grid's 1/4096.

    ARM D^2 (1/12 - 2 a^3 / 3 - v^2), DisARM D^2 (v M / 2 - v^2), with v = p (1 - p), a = |p - 1/2|, M = max(p, 1 - p).
    """
    for logit in np.linspace(-5, 5, 41):
        p = 1 / (1 + math.exp(-logit))
        v, a, most = p * (1 - p), abs(p - 0.5), max(p, 1 - p)
        for step in (-2.0, 0.1, 0.9):
            arm, disarm = (over_uniforms(method, logit, step) for method in (Arm(), Disarm()))
            exact = 1 / 12 - 2 * a**3 / 3 - v**2, v * most / 2 - v**2
            assert exact[1] <= exact[0]
            assert (arm, disarm) == pytest.approx([step**2 * value for value in exact], abs=5e-4 * step**2)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("n", [2, 4, 10])
def test_heights_of_the_toy_of_arms(p, n):
    """Closed forms at n evaluations lie in the ranges, D = 0.02; rloo D^2 (mu4 / n - v^2 (n - 3)/(n (n - 1)))."""
    v, a, most, step = p * (1 - p), abs(p - 0.5), max(p, 1 - p), 0.02
    mu4 = v * (1 - 3 * v)
    exact = {
        "rloo": step**2 * (mu4 / n - v**2 * (n - 3) / (n * (n - 1))),
        "arm": step**2 * (1 / 12 - 2 * a**3 / 3 - v**2) / (n / 2),
        "disarm": step**2 * (v * most / 2 - v**2) / (n / 2),
    }
    for name, value in exact.items():
        if (figure := f"arms-p={p:g}-n={n}-{name}") in FIGURES:
            assert accepts(figure, value), (figure, value)


# -- 200 bits ----------------------------------------------------------------------------------------------------------


def test_variance_at_the_start_of_double_control_variates():
    """Sum over 200 coordinates at logit 0, two draws; f is a mean of 200 independent steps D = 0.002 at v = 1/4.

    Exact baseline: (Var f v + (D / 200)^2 (v (1 - 3 v) - 2 v^2)) / 2 a coordinate, the own bit's fourth moment in it;
    rloo: ((f1 - f2) / 2)^2 (b1 - b2)^2 by the same moments.
    """
    d, v, size = 0.002 / 200, 0.25, 200
    others = (size - 1) * d**2 * v
    baseline = (others * v + d**2 * v * (1 - 3 * v) - (d * v) ** 2) / 2
    # (b1 - b2)^2 is 1 with probability 2 v = 1/2; then the own bit adds D^2 to the squared difference.
    rloo = 0.25 * 2 * v * (2 * others + d**2) - (d * v) ** 2
    assert accepts("double-cv-start-exact-baseline", size * baseline)
    for name in ("rloo", "double-cv", "disarm"):
        assert accepts(f"double-cv-start-{name}", size * rloo), size * rloo


def test_objectives_at_the_ends_of_double_control_variates():
    """Without learning E f is 0.250001, the maximum is 0.251001: the ranges of both ends contain them, or nearly."""
    nothing, best = (0.499**2 + 0.501**2) / 2, 0.501**2
    assert (nothing, best) == pytest.approx((0.250001, 0.251001), abs=1e-9)
    for name in ("reinforce", "muprop"):
        assert accepts(f"double-cv-objective-{name}", nothing)
    assert accepts("double-cv-objective-double-cv", best)


# -- truths of the tasks that exist for their figures ------------------------------------------------------------------


@pytest.mark.parametrize("parameter", ["mu", "sigma"])
def test_truth_of_one_parameter(build, context, parameter):
    """`[1, 1]`: 2 (mu - k) for mu, 2 sigma for sigma."""
    task = build("gaussian-cost", k=-3.0, mu=1.0, sigma=1.5, parameter=parameter)
    truth = task.problem(build("pathwise"), context()).truth
    assert truth.shape == (1, 1)
    assert float(truth) == pytest.approx({"mu": 8.0, "sigma": 3.0}[parameter])


def test_truth_of_the_toy_of_arms(build, context):
    """`p (1 - p) (1 - 2 * .49)`."""
    for p in (0.2, 0.5, 0.8):
        truth = build("arms-toy", p=p).problem(build("arm"), context()).truth
        assert float(truth) == pytest.approx(p * (1 - p) * 0.02, rel=1e-12)


@pytest.mark.parametrize("point", [0, 12, 17, 35])
def test_truth_of_the_simplex_quadratic(build, context, point):
    """`sum_k f(k) p_k (e_k - p)` with A written out by loops in numpy."""
    p = np.array(POINTS[point]) / 10
    a = np.empty((3, 3))
    for i, j in itertools.product(range(3), repeat=2):
        gap = (p[i] - 1 / 3) * (p[j] - 1 / 3)
        below = p[i] - 2 * p[i] / 3 + 1 / 9 if i == j else 1 / 9 - p[i] / 3 - p[j] / 3
        a[i, j] = gap / below * math.exp(-2 * abs(i - j))
    gaps = np.eye(3) - 1 / 3
    f = np.einsum("ki,ij,kj->k", gaps, a, gaps)
    problem = build("simplex-quadratic", point=point).problem(build("exact"), context(dtype="float64"))
    np.testing.assert_allclose(problem.truth[0].numpy(), p * (f - p @ f), rtol=1e-10, atol=1e-15)


# -- claims without a number -------------------------------------------------------------------------------------------


def log_ratio(build, point, temperature, noise, n):
    """`log10` of the variance of the straight-through estimator over that of 100 relaxations, from n draws each."""
    task = build("simplex-quadratic", point=point)
    law = task.distribution(torch.float32, torch.device("cpu"))
    plain, rao = (
        float(method.estimate(law, task.objective(law), noise, n).gradient.var(0).sum())
        for method in (StGumbelSoftmax(temperature=temperature), GumbelRao(temperature=temperature, draws=100))
    )
    return math.log10(plain / rao)


@pytest.mark.statistical
@pytest.mark.parametrize("point", [0, 12, 17])
def test_gumbel_rao_lies_below_where_it_is_printed(build, point):
    """More so at low temperature; 2^10 draws: a relative error near 6 %, 0.03 in log10, against steps >= 0.1."""
    low, middle, high = (log_ratio(build, point, t, Noise.seeded(24), 2**10) for t in (0.1, 0.5, 1.0))
    assert low > middle > high > 0


@pytest.mark.slow
@pytest.mark.statistical
def test_gumbel_rao_lies_below_at_every_point_of_the_simplex(build):
    """At each of the 36 points, more so at low temperature; 2^11 draws, 100 relaxations each.

    The smallest log10 ratio found elsewhere was 0.756, 0.209 and 0.07 at temperatures 0.1, 0.5 and 1, the median 0.825,
    0.242 and 0.096. A relative error of a variance is near 4 %, 0.02 in log10, and the smallest of 36 lies below its
    mean.
    """
    noise, n = Noise.seeded(22), 2**11
    medians = []
    for temperature, least, median in ((0.1, 0.756, 0.825), (0.5, 0.209, 0.242), (1.0, 0.07, 0.096)):
        ratios = [log_ratio(build, point, temperature, noise.at(point), n) for point in range(len(POINTS))]
        assert min(ratios) == pytest.approx(least, abs=0.07)
        assert np.median(ratios) == pytest.approx(median, abs=0.04)
        assert min(ratios) > 0
        medians.append(np.median(ratios))
    assert medians == sorted(medians, reverse=True)


def scores(build, context, name, method, **params):
    """The records of a task of kind `record`, without its curves."""
    ctx = context(name, params, replicates=(0, 1), seed=23)
    build(name, **params).evaluate(method, ctx)
    rows = [row for row in ctx.measurements if row.point is None]
    return {metric: [r.value for r in rows if r.metric == metric] for metric in {row.metric for row in rows}}


@pytest.mark.statistical
def test_the_climb_of_arm_is_that_of_the_true_gradient(build, context):
    """On one uniform per step; REINFORCE ends at the wrong corner in a good part of 200 runs (500 of 3,000 steps).

    The ascent on the true gradient is compared with itself: the gap is rounding.
    """
    arm = scores(build, context, "arm-toy", build("arm"), steps=500)
    assert all(accepts("arm-toy-path", value) for value in arm["path-gap"])
    assert arm["wrong-side"] == [0.0, 0.0]
    reinforce = scores(build, context, "arm-toy", build("reinforce"), steps=500, t=0.501)
    assert all(accepts("arm-toy-reinforce", value) for value in reinforce["wrong-side"])
    exact = scores(build, context, "arm-toy", build("exact"), steps=100)
    assert max(exact["path-gap"]) < 1e-6


@pytest.mark.statistical
def test_relax_learns_the_variance_away(build, context):
    """After 600 of 5,000 steps at most a tenth of REINFORCE's variance is left; the published order needs less."""
    relax = scores(build, context, "relax-toy", build("relax", eta=0.0, rate=0.01, coupled=False), steps=600)
    plain = scores(build, context, "relax-toy", build("reinforce"), steps=600)
    assert max(relax["path-variance"]) < 0.1 * min(plain["path-variance"])
    assert plain["path-variance"] == pytest.approx([0.0156] * 2, rel=0.1)
