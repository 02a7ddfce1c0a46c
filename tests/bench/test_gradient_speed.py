"""What a rule for one sample costs once it is batched, as ratios within interleaved rounds: `pytest tests/bench`.

Every figure is printed beside its target. Assertions are several times wider than the targets: a machine under load
must not fail them, an adapter that fell back to its loop must.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_bench.lab.problems import Workload
from kexue_bench.lab.timing import time_group
from kexue_gradients import Distribution, FunctionObjective, Reinforce, Rloo, from_per_sample

BITS, DRAWS = 200, 1024
LAW = Distribution(kind="bernoulli", logits=torch.zeros(BITS))
OBJECTIVE = FunctionObjective(lambda x: (x - 0.499).square().mean(-1))


@pytest.fixture
def figure(benchmark, capsys):
    """Measure once, print the figure beside its target, and hand it to pytest-benchmark's report."""

    def take(name: str, measure: Callable[[], float], *, target: str) -> float:
        value = benchmark.pedantic(measure, rounds=1, iterations=1)
        benchmark.extra_info[name] = value
        with capsys.disabled():
            sys.stdout.write(f"\n  {name}: {value:.3g}   (target {target})\n")
        return value

    return take


def rule(distribution, f, u):
    x = (u[0] < distribution.mean).to(u.dtype)
    return f(x) * (x - distribution.mean)


def branching_rule(distribution, f, u):
    """The same, with a branch that `vmap` refuses."""
    x = (u[0] < distribution.mean).to(u.dtype)
    value = f(x)
    return value * (x - distribution.mean) if value < math.inf else x


def workload(method, draws: int) -> Workload:
    noise = Noise.seeded(0)
    return Workload(call=lambda: method.estimate(LAW, OBJECTIVE, noise, draws), units=draws, unit="draw")


def autograd_loop(draws: int) -> Workload:
    """REINFORCE as one writes it first: a sample, its score by autograd, one after the other."""
    theta = torch.zeros(BITS, requires_grad=True)

    def call() -> None:
        gradients = []
        with torch.enable_grad():
            for _ in range(draws):
                law = torch.distributions.Bernoulli(logits=theta)
                x = law.sample()
                value = (x - 0.499).square().mean()
                gradients.append(torch.autograd.grad(value * law.log_prob(x).sum(), theta)[0])
        torch.stack(gradients)

    return Workload(call=call, units=draws, unit="draw")


def ratio(above: Workload, below: Workload) -> float:
    """Geometric median of the ratios of seconds a draw within rounds."""
    with torch.no_grad():
        times = time_group({"above": above, "below": below}, rounds=31, seed=0).members
    pairs = zip(times["above"].seconds, times["below"].seconds, strict=True)
    return math.exp(statistics.median(math.log(a / b) for a, b in pairs if a is not None and b is not None))


def test_a_rule_under_vmap_against_an_autograd_loop(figure):
    """Seconds a draw of a per-sample autograd loop over those of the same estimator as a batched rule, 200 bits."""

    def measure() -> float:
        return ratio(autograd_loop(64), workload(from_per_sample(rule), DRAWS))

    assert figure("rule under vmap, times a per-sample autograd loop", measure, target=">= 60") > 20


def test_a_rule_under_vmap_against_its_own_loop(figure):
    """The same rule with a branch runs in the fallback loop, without any autograd: what the branch costs its author."""

    def measure() -> float:
        return ratio(workload(from_per_sample(branching_rule), 64), workload(from_per_sample(rule), DRAWS))

    assert figure("rule under vmap, times its fallback loop", measure, target=">= 30") > 10


def test_a_rule_under_vmap_against_the_batched_method(figure):
    """Seconds a draw of the rule over those of the family's own reinforce: what batching by hand would still win."""

    def measure() -> float:
        return ratio(workload(from_per_sample(rule), DRAWS), workload(Reinforce(), DRAWS))

    assert figure("rule under vmap, times the method written batched", measure, target="<= 2") < 6


# -- beside Storchastic, where it happens to be installed: its licence forbids depending on it -------------------------


def storchastic(draws: int, *, rows: int) -> Workload:
    """Its score function with the leave-one-out baseline of two samples: `rows` problems in a batch, or one a call."""
    import storch
    from storch.method import ScoreFunction

    method = ScoreFunction("x", n_samples=2, baseline_factory="batch_average")

    def call() -> None:
        for _ in range(draws // rows):
            storch.reset()
            theta = torch.zeros(rows, BITS, requires_grad=True)
            with torch.enable_grad():
                logits = storch.denote_independent(theta, 0, "rows") if rows > 1 else theta[0]
                x = method(torch.distributions.Bernoulli(logits=logits))
                storch.add_cost(((x - 0.499) ** 2).mean(-1), "cost")
                storch.backward()

    return Workload(call=call, units=draws, unit="draw")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "draws", "rows", "target", "least"),
    [("batched", DRAWS, DRAWS, ">= 5", 2), ("one estimate a backward pass", 8, 1, ">= 500", 100)],
)
def test_rloo_against_storchastic(figure, name, draws, rows, target, least):
    """Seconds an estimate of its RLOO over ours, 200 bits: with its own batching, and as its documentation has it."""
    pytest.importorskip("storch")
    above = storchastic(draws, rows=rows)
    assert (
        figure(f"rloo, times storchastic, {name}", lambda: ratio(above, workload(Rloo(), DRAWS)), target=target) > least
    )
