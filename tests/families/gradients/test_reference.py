"""Every method on both toys against exact moments."""

from __future__ import annotations

import math

import pytest

from kexue_bench.lab.noise import Noise

N = 2**16
Z = 5.0
METHODS = ("reinforce", "rloo", "disarm", "gumbel-softmax", "st-gumbel-softmax", "straight-through", "reinmax")


def _scores(entry, draws):
    """z-scores of the mean and of the variance; a spread below rounding counts as exact agreement."""
    scores = []
    flat = draws.reshape(len(draws), -1)
    for g, mean, variance, fourth in zip(flat.T, entry["mean"], entry["variance"], entry["fourth"], strict=True):
        m, s2 = float(g.mean()), float(g.var())
        spread = math.sqrt(max(0.0, (fourth - variance**2 * (N - 3) / (N - 1)) / N))
        # The reference has 12 digits, which is all there is if the variance or the kurtosis - 1 is zero.
        digits = 1e-10
        scores.append(abs(m - mean) / (math.sqrt(variance / N) + digits * (1 + abs(mean))))
        scores.append(abs(s2 - variance) / (spread + digits * (1 + variance)))
    return scores


def _draws(entry, build, context, seed):
    task = build(entry["task"], **entry["task_params"])
    method = build(entry["method"], **entry["method_params"])
    ctx = context(dtype="float64")
    problem = task.problem(method, ctx)
    return problem, problem.draw(Noise.seeded(seed, dtype=ctx.dtype), N), ctx


@pytest.mark.statistical
@pytest.mark.parametrize("name", METHODS)
def test_mean_and_variance_are_exact(name, reference, build, context):
    """At every theta, t, power, temperature and n the draws have the mean and variance that theory gives.

    False alarms: 5 sigma on about 650 scores in all, 6e-4 for normal scores.
    """
    wrong = []
    entries = [entry for entry in reference if entry["method"] == name]
    for seed, entry in enumerate(entries):
        problem, draws, _ = _draws(entry, build, context, seed)
        assert problem.truth.flatten().tolist() == pytest.approx(entry["truth"], abs=1e-11)
        if max(scores := _scores(entry, draws)) > Z:
            wrong.append((entry["id"], scores))
    assert entries
    assert wrong == []


def test_exact_is_the_gradient(reference, build, context):
    """`exact` gives the true gradient of every entry to the digits of the reference, for any noise."""
    for entry in (e for e in reference if e["method"] == "exact"):
        task = build(entry["task"], **entry["task_params"])
        problem = task.problem(build("exact"), context(dtype="float64"))
        draws = problem.draw(Noise.seeded(0, dtype=problem.truth.dtype), 3)
        assert draws.shape == (3, *problem.truth.shape)
        for row in draws.flatten(1).tolist():
            assert row == pytest.approx(entry["truth"], abs=1e-11)


def test_counted_work_is_the_declared_work(reference, build, context):
    """A draw costs the evaluations and backward passes that the literature counts."""
    for entry in reference:
        task = build(entry["task"], **entry["task_params"])
        ctx = context()
        problem = task.problem(build(entry["method"], **entry["method_params"]), ctx)
        before = dict(ctx.counter.units)
        problem.draw(Noise.seeded(0), problem.batch)
        spent = {name: ctx.counter.units[name] - before.get(name, 0) for name in ctx.counter.units}
        assert spent["evaluations"] == entry["evaluations"] * problem.batch, entry["id"]
        assert spent.get("backwards", 0) == entry["backwards"] * problem.batch, entry["id"]


@pytest.mark.statistical
def test_rows_of_the_core_agree_at_the_default_seed(build, context, reference):
    """What the core records of the first toy agrees with the exact moments within 4 standard errors.

    False alarms: 6e-5 per row, 12 rows; half-widths of 95 % intervals are 1.96 standard errors.
    """
    from kexue_bench.lab import stages

    params = {"theta": 0.5, "t": 0.45, "power": 2.0}
    point = [e for e in reference if e["task"] == "bernoulli-toy" and e["task_params"] == params]
    defaults = {
        "reinforce": {},
        "rloo": {"n": 2},
        "disarm": {},
        "straight-through": {},
        "reinmax": {"temperature": 1.0},
    }
    for name, fields in defaults.items():
        (entry,) = [e for e in point if e["method"] == name and e["method_params"] == fields]
        ctx = context("bernoulli-toy", {**params, "bits": 1}, options={"precision": 0.05, "budget": 2**18})
        stages.evaluate(build("bernoulli-toy", **params), build(name, **fields), ctx)
        rows = {row.metric: row for row in ctx.measurements}
        for metric, truth in (("variance", entry["variance"][0]), ("bias", abs(entry["mean"][0] - entry["truth"][0]))):
            row = rows[metric]
            half = max(row.high - row.value, row.value - row.low) / 1.96
            assert abs(row.value - truth) <= 4 * half, (name, metric, row.value, truth)
        assert rows["evaluations"].value == entry["evaluations"]
