"""The printed 95 % intervals cover the exact value, over seeds of whole cases."""

from __future__ import annotations

import pytest

SEEDS = 200


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["reinforce", "rloo", "disarm", "straight-through", "gumbel-softmax"])
def test_intervals_cover_the_exact_moments(build, context, reference, name):
    """Over 200 seeds of the one-bit toy the intervals of variance and mse cover the exact value at least 180 times.

    A 95 % interval does so with probability 0.998 (binomial); one that covered 88 % would fail with probability
    0.84. The statistic of straight-through is constant, and its interval is the rounding floor. Exact moments are
    closed forms and one-dimensional quadratures.
    """
    point = {"theta": 0.5, "t": 0.45, "power": 2.0}
    entry = next(
        e
        for e in reference
        if e["task"] == "bernoulli-toy" and e["task_params"] == point and e["method"] == name and defaults(e, name)
    )
    bias = entry["mean"][0] - entry["truth"][0]
    exact = {"variance": entry["variance"][0], "mse": entry["variance"][0] + bias**2}
    task, method = build("bernoulli-toy", **point), build(name)
    hits = dict.fromkeys(exact, 0)
    for seed in range(SEEDS):
        ctx = context("bernoulli-toy", point, seed=seed, options={"precision": 0.05, "budget": 2**14})
        problem = task.problem(method, ctx)
        for row in ctx.estimate(problem).measurements(problem.metrics):
            if row.metric in exact:
                hits[row.metric] += row.low <= exact[row.metric] <= row.high
    assert min(hits.values()) >= 0.9 * SEEDS, hits


def defaults(entry, name):
    """Whether a reference entry is the method at its default parameters."""
    expected = {"rloo": {"n": 2}, "straight-through": {}, "gumbel-softmax": {"temperature": 0.5}}.get(name, {})
    given = entry["method_params"]
    return given == expected or (name == "straight-through" and given == {"temperature": 1.0})
