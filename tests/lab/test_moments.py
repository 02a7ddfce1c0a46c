import tracemalloc

import numpy as np
import pytest
import torch
from draws import ALL, all_draws, constant, gaussian, noise, row

from kexue_bench.api import SUSPECT
from kexue_bench.errors import InvalidResult
from kexue_bench.lab.moments import estimate
from kexue_bench.lab.problems import Sampling


@pytest.mark.parametrize("dimension", [0, 5])
@pytest.mark.parametrize("batches", [32, 64, 256])
def test_moments_are_numpys_on_the_same_draws(dimension, batches):
    """Mean, variance and mse equal numpy's two-pass values on all draws at once, to 1e-12."""
    problem = gaussian(mean=1.5, dimension=dimension)
    found = estimate(problem, noise(), precision=None, budget=batches * 16)
    g = all_draws(problem, noise(), batches).reshape(batches * 16, -1)
    assert found.n == len(g)
    assert found.mean.numpy().reshape(-1) == pytest.approx(g.mean(0), rel=1e-12)
    assert found.variance == pytest.approx(g.var(0, ddof=1).sum(), rel=1e-12)
    assert found.mse == pytest.approx(np.square(g - 1).sum(1).mean(), rel=1e-12)
    squared = np.square(g.mean(0) - 1).sum() - g.var(0, ddof=1).sum() / len(g)
    assert found.bias == pytest.approx(squared**0.5, rel=1e-10)


@pytest.mark.parametrize(("ratio", "dtype"), [(1e3, torch.float32), (1e3, torch.float64), (1e7, torch.float64)])
@pytest.mark.parametrize("far", [False, True])
def test_large_mean_costs_no_digits(ratio, dtype, far):
    """Draws with mean / sd of `ratio`, far from the truth or at it: moments to 1e-6 of two long-double passes."""
    truth = 0.0 if far else ratio
    problem = gaussian(mean=ratio, sd=1.0, truth=truth, dtype=dtype)
    found = estimate(problem, noise(), precision=None, budget=128 * 16)
    g = all_draws(problem, noise(), 128).astype(np.longdouble)
    expected = float(np.square(g - g.mean()).sum() / (len(g) - 1))
    assert found.variance == pytest.approx(expected, rel=1e-6)
    assert found.mse == pytest.approx(float(np.square(g - truth).mean()), rel=1e-6)


def test_memory_is_flat_in_the_number_of_draws():
    """Sixteen times the draws need the 32 numbers of each further look: not a tenth of the 64 unit means held."""

    def peak(batches):
        estimate(problem, noise(), precision=None, budget=64 * 16)
        tracemalloc.start()
        try:
            estimate(problem, noise(), precision=None, budget=batches * 16)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    problem = gaussian(dimension=500)
    assert peak(2048) - peak(128) < 64 * 500 * 8 / 10


def test_batch_draws_from_its_own_stream():
    """Batch b sees the stream at b whatever the method drew before, so that two methods share their batches."""

    def wasteful(source, n):
        source.uniform(999)
        return source.at(0).normal(n)

    seen = []

    def thrifty(source, n):
        seen.append(source.uniform(3))
        return source.at(0).normal(n)

    truth = torch.tensor(0.0, dtype=torch.float64)
    found = [
        estimate(Sampling(draw=draw, truth=truth, batch=8), noise(), precision=None, budget=512)
        for draw in (wasteful, thrifty)
    ]
    assert found[0].errors.tolist() == found[1].errors.tolist()
    assert torch.equal(seen[5], noise().at(5).uniform(3))


def test_shorter_run_is_a_prefix_of_a_longer_one():
    """The ledger only ever grows, so that two methods that stopped at different looks can be paired."""
    problem = gaussian()
    series = [row(estimate(problem, noise(), precision=None, budget=16 * b), "mse").series for b in (32, 64, 512)]
    assert [s.looks for s in series] == [1, 2, 5]
    assert [len(s.values) for s in series] == [32, 64, 160]
    assert series[0].values == series[1].values[:32]
    assert series[1].values == series[2].values[:64]
    assert {(s.kind, s.batch) for s in series} == {("dyadic", 16)}


def test_unit_of_a_look_is_the_mean_of_its_batches():
    """Units 64 .. 95 of the ledger are means over two batches each, by numpy on the draws."""
    problem = gaussian()
    found = estimate(problem, noise(), precision=None, budget=16 * 128)
    error = np.square(all_draws(problem, noise(), 128) - 1).reshape(128, 16).mean(1)
    expected = np.concatenate([error[:64], error[64:].reshape(32, 2).mean(1)])
    assert found.errors == pytest.approx(expected, rel=1e-12)


def test_stops_at_the_first_look_that_is_precise_enough():
    """The relative half-width of the mse is at most the precision, and was above it one look before."""
    problem = gaussian()
    found = estimate(problem, noise(), precision=0.05, budget=None)
    mse = row(found, "mse")
    assert found.stop == "precision"
    assert mse.high - mse.low <= 0.1 * mse.value
    before = row(estimate(problem, noise(), precision=None, budget=found.n // 2), "mse")
    assert before.high - before.low > 0.1 * before.value


@pytest.mark.parametrize(("budget", "draws"), [(16 * 32, 16 * 32), (16 * 100, 16 * 64), (16 * 5 + 3, 16 * 5), (1, 32)])
def test_budget_holds_whole_looks(budget, draws):
    """The largest exact prefix within the budget is drawn; below 32 batches each batch is a unit, and two at least."""
    found = estimate(gaussian(), noise(), precision=1e-6, budget=budget)
    assert (found.n, found.stop) == (draws, "budget")
    low, high = row(found, "variance").low, row(found, "variance").high
    assert low < found.variance < high


def test_needs_a_reason_to_stop():
    """Neither precision nor budget would draw for ever."""
    with pytest.raises(ValueError, match="precision or a budget"):
        estimate(gaussian(), noise(), precision=None, budget=None)


def test_deterministic_method_is_called_twice_and_is_exact():
    """Two equal calls settle it: one draw, no series, an interval of rounding around its error."""
    calls = []
    problem = constant(value=0.3)

    def draw(source, n):
        calls.append(n)
        return problem.draw(source, n)

    exact = Sampling(draw=draw, truth=problem.truth, batch=4, losses={"error": lambda g: (g - 0.3).abs()})
    found = estimate(exact, noise(), precision=0.05, budget=100, deterministic=True)
    rows = {m.metric: m for m in found.measurements(ALL)}
    assert (len(calls), found.n, found.stop) == (2, 1, "exact")
    assert all("exact" in m.flags and m.series is None for m in rows.values())
    assert rows["estimate"].low < 0.3 < rows["estimate"].high
    assert rows["bias"].low == 0 < rows["bias"].value < 2e-8
    assert (rows["variance"].value, rows["cosine"].value) == (0, 1)
    assert rows["error"].value < 2e-8


@pytest.mark.parametrize("kind", ["calls", "rows"])
def test_false_claim_of_determinism_is_invalid(kind):
    """A method that says it is deterministic may vary neither between calls nor within one."""
    fixed = torch.arange(16.0, dtype=torch.float64)
    problem = gaussian() if kind == "calls" else Sampling(draw=lambda _, n: fixed[:n], truth=fixed[0], batch=16)
    with pytest.raises(InvalidResult, match="deterministic"):
        estimate(problem, noise(), precision=0.05, budget=100, deterministic=True)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda s, n: s.normal(n, 1), "must have shape"),
        (lambda s, n: s.normal(n + 1), "must have shape"),
        (lambda s, n: s.integers(3, n), "floating dtype, got torch.int64"),
        (lambda s, n: [0.0] * n, "floating dtype, got list"),
        (lambda s, n: s.normal(n).log(), "must be finite"),
        (lambda s, n: s.normal(n) / 0, "must be finite"),
        (lambda s, n: torch.zeros(n, device="meta"), "must stay on cpu"),
    ],
    ids=["shape", "length", "integers", "list", "nan", "inf", "device"],
)
def test_draws_that_break_the_contract_are_invalid(draw, message):
    """A wrong shape, type or device, or a value that is not finite is named, not averaged."""
    problem = Sampling(draw=draw, truth=torch.tensor(0.0), batch=8)
    with pytest.raises(InvalidResult, match=message):
        estimate(problem, noise(), precision=0.05, budget=1000)


@pytest.mark.parametrize("deterministic", [False, True])
def test_changed_input_is_invalid(deterministic):
    """A method that writes to what it was given changes the problem of the next draw."""
    given = torch.zeros(3)

    def draw(source, n):
        given.add_(1)
        return torch.ones(n) if deterministic else source.normal(n)

    problem = Sampling(draw=draw, truth=torch.tensor(0.0), batch=8, inputs=(torch.ones(2), given))
    with pytest.raises(InvalidResult, match="input 1 changed"):
        estimate(problem, noise(), precision=None, budget=1000, deterministic=deterministic)


def test_loss_of_another_shape_is_invalid():
    """A loss gives one number for each draw."""
    problem = gaussian(losses={"sum": torch.sum})
    with pytest.raises(InvalidResult, match="loss 'sum' must give"):
        estimate(problem, noise(), precision=None, budget=1000)


def flags(draw, *, truth=0.3, dtype=torch.float32, deterministic=False):
    """Remarks on draws `[n]` in a case of float32."""
    problem = Sampling(
        draw=lambda source, n: draw(source, n).to(dtype), truth=torch.tensor(truth, dtype=torch.float64), batch=16
    )
    found = estimate(problem, noise(dtype=torch.float32), precision=0.1, budget=4096, deterministic=deterministic)
    return found.measurements(("mse",))[0].flags - {"degenerate", "exact", "heavy-tail"}


def test_draws_that_are_the_truth_to_the_last_bit_are_suspect():
    """Rounded to their dtype; not if one differs, if the truth is 0, or if the method declares itself deterministic."""

    def constant(value):
        return lambda source, n: torch.full((n,), value, dtype=torch.float64)

    def late(source, n):
        return torch.full((n,), 0.3) + (source.uniform(n) < 1e-3) * 1e-6

    assert flags(constant(0.3)) == {SUSPECT}
    assert flags(constant(0.3 + 1e-7)) == frozenset()
    assert flags(late) == frozenset()
    assert flags(constant(0.0), truth=0.0) == frozenset()
    assert flags(constant(0.3), deterministic=True) == frozenset()


@pytest.mark.parametrize("deterministic", [False, True])
def test_draws_of_another_dtype_are_told(deterministic):
    """Their numbers are kept: they were measured."""
    found = flags(lambda source, n: torch.full((n,), 0.25), dtype=torch.float64, deterministic=deterministic)
    assert found == {"draws are float64 instead of float32"}
