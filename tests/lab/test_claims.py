"""The checks of claims: false alarms at their level, power as printed, and one planted violation each."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from kexue_bench.api import Case, Instance
from kexue_bench.catalog.core_claims import ALPHA, decide
from kexue_bench.lab import claims
from kexue_bench.lab.context import Context
from kexue_bench.lab.intervals import BatchMeans
from kexue_bench.lab.problems import ExactMoments, Sampling


def context(seed=0, budget=4096, **options):
    return Context(
        Case(
            family="f",
            task=Instance(name="t", target="m:T"),
            task_version=1,
            method=Instance(name="a", target="m:A"),
            stage="verify",
            claim="c",
            seed=seed,
            dtype="float64",
            options={"budget": budget, **options},
        )
    )


def problem(draw, truth=0.0, batch=64, **more):
    return Sampling(draw=draw, truth=torch.as_tensor(truth, dtype=torch.float64), batch=batch, **more)


def normal(noise, n):
    return noise.normal(n)


def allowed(tests, level, sure=1e-4):
    """Largest number of false alarms among the tests that chance at this level exceeds with probability `sure`."""
    return int(stats.binom.ppf(1 - sure, tests, level))


# -- the test of a bias -----------------------------------------------------------------------------------------------

_SPECTRUM = 1 / np.arange(1, 9)
LAWS = {
    "normal": lambda rng, shape: rng.normal(size=(*shape, 1)),
    "exponential": lambda rng, shape: rng.exponential(size=(*shape, 1)) - 1,
    "lognormal": lambda rng, shape: np.exp(rng.normal(size=(*shape, 1))) - math.exp(0.5),
    "rare": lambda rng, shape: (rng.random((*shape, 1)) < 0.01) - 0.01,
    "anisotropic": lambda rng, shape: rng.normal(size=(*shape, 8)) * _SPECTRUM,
    "anisotropic and skewed": lambda rng, shape: (rng.exponential(size=(*shape, 8)) - 1) * _SPECTRUM,
}


def simulated(law, *, simulations, draws, seed):
    """p-values of one half of the draws, as the check computes them, for unbiased draws of a law."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(simulations // 250):
        g = law(rng, (250, 64, draws // 64))
        units = BatchMeans(
            squares=np.square(g).sum(-1).mean(-1),
            means=g.mean(2),
            offset=np.zeros(g.shape[-1]),
            draws=draws // 64,
        )
        found.append(claims._chi_square_p(units))
    return np.concatenate(found)


@pytest.mark.statistical
@pytest.mark.parametrize("name", LAWS)
def test_two_halves_keep_the_level_on_skewed_and_anisotropic_draws(name):
    """Both halves reject at sqrt(level) no more often than 1.5 times the level, at 1e-2 and at 1e-3.

    Beyond the factor, a binomial count is exceeded by chance once in 1e4 runs. A half has 512 draws, and 2,048 (the
    fewest of a first look) of the rare event, of which it then sees twenty.
    """
    p = simulated(LAWS[name], simulations=8_000, draws=2048 if name == "rare" else 512, seed=1)
    joined = np.maximum(p[::2], p[1::2]) ** 2
    for level in (1e-2, 1e-3):
        assert (joined < level).sum() <= allowed(len(joined), 1.5 * level)


@pytest.mark.statistical
def test_unbiased_draws_are_not_rejected_by_the_whole_check():
    """150 seeds at the 1 % level, end to end: rejections within what chance gives once in 1e4 runs."""
    p = [claims.unbiased(problem(normal, batch=32), None, context(seed, 2048)).p for seed in range(150)]
    assert sum(value < 1e-2 for value in p) <= allowed(150, 1e-2)


@pytest.mark.statistical
@pytest.mark.parametrize("dimension", [1, 6])
def test_a_bias_of_the_printed_size_is_found_nine_times_in_ten(dimension):
    """At the detectable bias the check fails in 90 % of 150 seeds, within the binomial error of once in 1e4 runs."""

    def draws(bias):
        direction = bias / math.sqrt(dimension) * torch.ones(dimension, dtype=torch.float64)
        return lambda noise, n: noise.normal(n, dimension) / math.sqrt(dimension) + direction

    truth = torch.zeros(dimension)
    printed = claims.unbiased(problem(draws(0.0), truth, batch=32), None, context(0, 2048)).detectable
    found = [
        claims.unbiased(problem(draws(printed), truth, batch=32), None, context(seed, 2048)).p < ALPHA
        for seed in range(150)
    ]
    low, high = stats.binom.ppf([1e-4 / 2, 1 - 1e-4 / 2], 150, 0.9)
    assert low <= sum(found) <= high


@pytest.mark.parametrize(("bias", "verdict"), [(0.0, "PASS"), (0.09, "PASS"), (0.6, "FAIL")])
def test_a_bias_within_the_error_of_a_reference_is_none(bias, verdict):
    """With an error of 0.1 a gap of 0.09 may be that of the reference, and is detected without it; 0.6 lies beyond."""
    given = replace(problem(lambda noise, n: normal(noise, n) + bias), error=0.1)
    found = claims.unbiased(given, None, context(budget=2**16), tolerance=0.2)
    assert decide(found) == verdict
    assert found.detectable > 0.1
    if bias == 0.09:
        assert decide(claims.unbiased(replace(given, error=0.0), None, context(budget=2**16), tolerance=0.2)) == "FAIL"


def test_the_printed_power_agrees_with_the_normal_formula():
    """For one dimension: half of n draws, each half at level 1 % two-sided with power sqrt(.9)."""
    found = claims.unbiased(problem(normal), None, context(budget=4096))
    expected = (stats.norm.ppf(1 - 0.01 / 2) + stats.norm.ppf(math.sqrt(0.9))) / math.sqrt(4096 / 2)
    assert found.detectable == pytest.approx(expected, rel=1e-3)


def constant(value):
    return problem(lambda noise, n: torch.full((n,), value, dtype=torch.float64), 1.0)


def test_a_deterministic_method_is_compared_with_rounding():
    """A constant at the truth passes, one beside it fails, and neither is tested."""
    right, wrong = (
        claims.unbiased(constant(value), None, context(deterministic=True)) for value in (1.0 + 1e-15, 1.001)
    )
    assert (right.p, decide(right)) == (None, "PASS")
    assert (wrong.p, decide(wrong)) == (None, "FAIL")


@pytest.mark.parametrize("value", [1.0, 1.001])
def test_draws_that_do_not_vary_leave_rare_events_open(value):
    """4,096 equal draws exclude events above 3 in 4,096, whatever they equal: UNDECIDED, with that bound."""
    found = claims.unbiased(constant(value), None, context())
    assert decide(found) == "UNDECIDED"
    assert "probability above 0.00073" in found.note


def exactly(mean, variance=1.0, draw=normal, truth=0.5, **more):
    moments = ExactMoments(mean=torch.tensor(mean, dtype=torch.float64), variance=variance, how="by hand", **more)
    return problem(draw, truth, exact_moments=lambda: moments)


def test_a_known_mean_is_compared_with_the_truth_without_noise():
    """One per mille of the truth fails although no test of draws could see it; the error of a quadrature is allowed."""

    def shifted(noise, n):
        return noise.normal(n) + 0.5

    assert decide(claims.unbiased(exactly(0.5, draw=shifted), None, context())) == "PASS"
    found = claims.unbiased(exactly(0.5005, draw=shifted), None, context())
    assert (decide(found), found.value) == ("FAIL", pytest.approx(1e-3))
    assert decide(claims.unbiased(exactly(0.5005, draw=shifted, error=1e-3), None, context())) == "PASS"


def test_moments_that_do_not_describe_the_draws_are_not_believed():
    """Draws with another mean than the moments are tested themselves, and fail."""
    found = claims.unbiased(exactly(0.5), None, context())
    assert (decide(found), found.unit) == ("FAIL", "sd")


def test_a_draw_that_is_not_finite_at_some_state_has_no_mean():
    """However rare the state is."""
    assert decide(claims.unbiased(exactly(math.nan, math.inf), None, context())) == "FAIL"


def test_draws_go_on_until_a_small_share_of_the_truth_is_detectable():
    """For 1 % of a truth of 3 deviations, 0.03, another look is taken; with a truth of 0.1 it is out of reach."""

    def looked(truth):
        found = claims.unbiased(problem(lambda noise, n: noise.normal(n) + truth, truth), None, context(budget=2**18))
        assert decide(found) == "PASS"
        return found.n

    assert (looked(3.0), looked(0.1)) == (2**16, 2**14)


def test_what_moves_in_one_half_only_is_undecided():
    """An event seen once among all draws is no evidence of a bias, however constant the rest is."""
    seen = iter([True])

    def draw(noise, n):
        values = torch.zeros(n, dtype=torch.float64)
        if next(seen, False):
            values[0] = 1.0
        return values

    assert decide(claims.unbiased(problem(draw, 1e-3), None, context())) == "UNDECIDED"


def test_a_small_budget_decides_nothing():
    """A budget that could not have caught a bias that matters gives UNDECIDED, not PASS."""
    assert decide(claims.unbiased(problem(normal, batch=4), None, context(budget=128))) == "UNDECIDED"


def bound(shift, side=1, seed=0, budget=4096, claim="c"):
    return claims.bounded(
        problem(lambda noise, n: noise.normal(n) + shift), context(seed, budget), claim=claim, side=side
    )


@pytest.mark.parametrize("side", [1, -1])
def test_a_bound_holds_where_all_of_the_interval_is_on_its_side(side):
    """A mean one deviation on the right side passes, on the wrong side fails, and at the truth nothing is decided."""
    assert [decide(bound(shift, side)) for shift in (side, -side, 0.0)] == ["PASS", "FAIL", "UNDECIDED"]


def test_contradictory_bounds_never_both_pass():
    """For any mean at most one of the two claims passes, whatever the seed; far from the truth one does."""
    for seed, shift in enumerate(np.linspace(-0.3, 0.3, 25)):
        verdicts = [decide(bound(float(shift), side, seed)) for side in (1, -1)]
        assert verdicts.count("PASS") <= 1
        assert (verdicts.count("FAIL") == 1) == (verdicts.count("PASS") == 1)


@pytest.mark.statistical
def test_a_bound_that_holds_with_equality_fails_at_the_level():
    """150 seeds at 1 %: rejections within what chance gives once in 1e4 runs."""
    p = [bound(0.0, seed=seed, budget=1024).p for seed in range(150)]
    assert sum(value < 1e-2 for value in p) <= allowed(150, 1e-2)


# -- the test of rows -------------------------------------------------------------------------------------------------


def rows(draw, seed=0, **more):
    return claims.independent_rows(problem(draw, **more), None, context(seed, budget=2048))


@pytest.mark.statistical
@pytest.mark.parametrize(
    "draw",
    [normal, lambda noise, n: torch.exp(noise.normal(n)), lambda noise, n: (noise.uniform(n) < 0.01).double()],
    ids=["normal", "lognormal", "rare"],
)
def test_independent_rows_are_rejected_no_more_often_than_the_level(draw):
    """150 seeds at 5 %: within what chance gives once in 1e4 runs; skewed draws and rare events too."""
    p = [found.p for found in (rows(draw, seed, truth=0.5) for seed in range(150)) if found.p is not None]
    assert sum(value < 0.05 for value in p) <= allowed(len(p), 0.05)


@pytest.mark.parametrize(
    "draw",
    [
        lambda noise, n: (noise.normal(n) + noise.normal(1)) / 2,
        lambda noise, n: torch.cat([half := noise.normal(n // 2), -half, noise.normal(n % 2)]),
        lambda noise, n: noise.normal(n) * (10.0 if n == 1 else 1.0),
        lambda noise, n: noise.normal(1).expand(n),
    ],
    ids=["shared noise", "antithetic", "single draws of another law", "one draw copied"],
)
def test_rows_that_depend_on_each_other_or_on_their_number_fail(draw):
    """A shared component, mirrored rows, a law that depends on the batch, and copies are each caught."""
    assert decide(rows(draw)) == "FAIL"


def test_the_median_test_is_the_hypergeometric_one():
    """Agrees with twice the tail of scipy's distribution."""
    many, few = torch.arange(1, 41.0), torch.tensor([30.5, 35.5, 38.5, 39.5, 2.5])
    threshold = torch.cat([many, few]).median() * 1.001
    k, above = int((few > threshold).sum()), int((torch.cat([many, few]) > threshold).sum())
    law = stats.hypergeom(45, above, 5)
    assert claims._median_test(many, few) == pytest.approx(min(1, 2 * min(law.cdf(k), law.sf(k - 1))), rel=1e-12)


# -- identities: each passes an honest method and fails a planted one -----------------------------------------------


def globally(noise, n):
    return noise.normal(n) + 1e-3 * torch.rand(n)


def python_globally(noise, n):
    return noise.normal(n) + 1e-3 * random.random()


def numpy_globally(noise, n):
    return noise.normal(n) + 1e-3 * np.random.random()  # noqa: NPY002  # what is to be caught


def seeded(noise, n):
    torch.manual_seed(0)
    return noise.normal(n)


class Counted:
    def __init__(self):
        self.calls = 0

    def __call__(self, noise, n):
        self.calls += 1
        return noise.normal(n) + 1e-6 * self.calls


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        (claims.repeatable, Counted()),
        (claims.own_stream, globally),
        (claims.own_stream, python_globally),
        (claims.own_stream, numpy_globally),
        (claims.own_stream, seeded),
        (claims.shape_and_dtype, lambda noise, n: noise.normal(n).float()),
        (claims.shape_and_dtype, lambda noise, n: noise.normal(n, 1)),
        (claims.finite, lambda noise, n: torch.where(noise.uniform(n) < 0.01, math.nan, 1.0)),
        (claims.finite, lambda noise, n: torch.where(noise.uniform(n) < 0.01, math.inf, 1.0)),
    ],
)
def test_identities_pass_the_honest_and_fail_the_planted(check, wrong):
    """A plain normal draw keeps every promise; each planted violation breaks the one it is planted for."""
    assert decide(check(problem(normal), None, context())) == "PASS"
    assert decide(check(problem(wrong), None, context())) == "FAIL"


def test_the_global_generators_are_left_as_they_were():
    """Checking for stray randomness leaves no trace of its own seeds."""
    torch.manual_seed(5)
    before = torch.get_rng_state()
    claims.own_stream(problem(globally), None, context())
    assert torch.equal(torch.get_rng_state(), before)


def test_changed_inputs_and_settings_are_named_and_settings_put_back():
    """A written input and a new default dtype are two violations; the dtype is restored."""
    given = torch.zeros(3)

    def careless(noise, n):
        given.add_(1)
        torch.set_default_dtype(torch.float64)
        return noise.normal(n)

    found = claims.pure(problem(careless, inputs=(given,)), None, context())
    assert (found.value, decide(found)) == (2.0, "FAIL")
    assert "default dtype" in found.note
    assert torch.get_default_dtype() == torch.float32
    assert decide(claims.pure(problem(normal, inputs=(torch.zeros(3),)), None, context())) == "PASS"


def test_a_task_may_state_a_dtype_of_its_own():
    """Draws in float64 keep the promise of a task that says so, and break it where the case asks for another."""
    wide = problem(lambda noise, n: noise.normal(n).double(), dtype=torch.float64)
    assert decide(claims.shape_and_dtype(wide, None, context())) == "PASS"


@pytest.mark.parametrize(("declared", "verdict"), [(2.0, "PASS"), (1.0, "FAIL")])
def test_declared_cost_is_the_counted_one(declared, verdict):
    """Two units a draw are counted; one declared is a violation of one."""
    ctx = context(work="products", declared=declared)

    def draw(noise, n):
        ctx.counter.add(products=2 * n)
        return noise.normal(n)

    found = claims.declared_cost(problem(draw), None, ctx)
    assert (found.value, decide(found)) == (2.0 - declared, verdict)


def test_deterministic_means_the_same_bits_under_other_noise():
    """A constant passes; a draw fails by its own size."""
    assert decide(claims.deterministic(problem(lambda noise, n: torch.ones(n)), None, context())) == "PASS"
    assert decide(claims.deterministic(problem(normal), None, context())) == "FAIL"


@pytest.mark.parametrize(("exact", "verdict"), [(2.5, "PASS"), (math.inf, "FAIL"), (None, "UNDECIDED")])
def test_finite_variance_is_established_by_the_task_alone(exact, verdict):
    """A number passes, infinity fails, ignorance is undecided: no draw is taken."""

    def never(noise, n):
        raise AssertionError("no sample can establish a variance")

    supplied = problem(never, exact_variance=lambda: exact)
    assert decide(claims.finite_variance(supplied, None, context())) == verdict
    assert decide(claims.finite_variance(problem(never), None, context())) == "UNDECIDED"


def test_looks_grow_to_the_budget():
    """Fourfold each, the last one the budget itself, none so small that a half has no 32 batches."""
    assert claims._looks(2**18, 1024) == [2**16, 2**18]
    assert claims._looks(2**13, 64) == [2**13]


def test_the_detectable_bias_shrinks_with_the_square_root_of_the_draws():
    """Four times the draws halve it; more looks at the same draws raise it."""
    small, large = (claims.unbiased(problem(normal), None, context(budget=n)).detectable for n in (2048, 8192))
    assert small / large == pytest.approx(2, rel=1e-2)
