"""Checks of what averages promise, on small models and on quadratics."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from scipy import stats
from torch import Tensor, nn

from kexue_bench import claim
from kexue_bench.api import Evidence
from kexue_bench.lab.evidence import identity, same

from .tasks.given_path import follow, stated
from .tasks.quadratic import Quadratic
from .tasks.subject import SmallModels

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling

STEPS = 12
"""Steps of a small network: enough for two snapshots every five steps, or a slow step every five."""
FOLLOWED = 12000
"""Updates after which an EMA with decay .999 in float32 has stopped 3e-5 short, and the exact one is 6e-6 away."""
DRAWS, CHAINS = 32768, 4096
"""Draws of a quadratic, and how many descend together."""
_ALPHA_POWER = stats.norm.isf(1e-4 / 4) + stats.norm.isf(0.1)


@claim("passive", "the path of the parameters is bit for bit that of a training without it", of="subject")
def passive(subject: SmallModels, method: object, ctx: Context) -> Evidence:
    """Two trainings of the small network, measured on the way."""
    alone, beside = subject.network(), subject.network()
    first, second = subject.training(alone), subject.training(beside, subject.attach(beside))
    differ = 0
    for _ in range(STEPS):
        first.step()
        second.step()
        with second.measuring():
            beside(subject.inputs(0))
        differ += _differing(_tensors(alone), _tensors(beside))
    return identity("passive", differ, f"{differ} tensors differ from those of a training alone, over {STEPS} steps")


@claim("restores", "weights, buffers and gradients return after measuring, also after an error", of="subject")
def restores(subject: SmallModels, method: object, ctx: Context) -> Evidence:
    """An error raised inside, after some steps."""
    model = subject.network()
    average = _trained(subject, model)
    before = _tensors(model)
    with average.measuring():
        pass
    with suppress(_Planted), average.measuring():
        raise _Planted
    differ = _differing(before, _tensors(model))
    return identity("restores", differ, f"{differ} of {len(before)} tensors are not those from before measuring")


@claim("resumes", "a state saved on the way and loaded goes on as if nothing had happened", of="subject")
def resumes(subject: SmallModels, method: object, ctx: Context) -> Evidence:
    """Half of the steps, a new model and average from the two state dicts, the other half."""
    model = subject.network()
    average = subject.attach(model)
    training = subject.training(model, average)
    _step(training, STEPS // 2)
    again = subject.network()
    restored = subject.attach(again)
    second = subject.training(again, restored)
    again.load_state_dict(model.state_dict())
    restored.load_state_dict(average.state_dict())
    second.done = training.done
    _step(training, STEPS - STEPS // 2)
    _step(second, STEPS - STEPS // 2)
    whole, parts = average.averaged(), restored.averaged()
    differ = _differing(list(whole.values()), list(parts.values()))
    return identity("resumes", differ, f"{differ} of {len(whole)} tensors differ from those of the uninterrupted run")


@claim("compiled", "of a compiled model every parameter is averaged, under the names of the plain one", of="subject")
def compiled(subject: SmallModels, method: object, ctx: Context) -> Evidence:
    """The same steps of the plain model and of its compiled wrapper, which is not called."""
    plain, wrapped = subject.network(), subject.network()
    averages = subject.attach(plain), subject.attach(torch.compile(wrapped, backend="eager"))  # pyright: ignore[reportArgumentType]  # a module
    for model, average in zip((plain, wrapped), averages, strict=True):
        _step(subject.training(model, average), STEPS)
    expected, found = (average.averaged() for average in averages)
    odd = len(expected.keys() ^ found.keys())
    odd += _differing([expected[n] for n in expected if n in found], [found[n] for n in expected if n in found])
    return identity("compiled", odd, f"{odd} of {len(expected)} entries have another name or value")


@claim("buffers", "buffers are those of the declared rule while measuring", of="subject")
def buffers(subject: SmallModels, method: object, ctx: Context) -> Evidence:
    """Running statistics inside `measuring`: the model's, their average, or those at averaged weights."""
    model = subject.network()
    average = _trained(subject, model)
    rule, statistics = getattr(method, "buffers", "copy"), dict(model.named_buffers())["norm.running_mean"]
    kept = statistics.clone()
    with average.measuring():
        found = statistics.clone()
        # What the averaged first layer gives, over the batches that statistics are estimated from.
        estimated = torch.stack([model.first(subject.inputs(i)).mean(0) for i in range(16)]).mean(0)
    expected = {"copy": kept, "recompute": estimated}.get(rule, found)
    distance = float((found - expected).abs().max())
    tolerance = 1e3 * torch.finfo(found.dtype).eps
    if rule == "average" and bool((found == kept).all()):
        distance = math.inf
    return identity("buffers", distance, f"with buffers={rule} they are {distance:.2g} away", tolerance=tolerance)


@claim("matches-weights", "the average is the stated combination of the iterates", of="subject")
def matches_weights(subject: SmallModels, method: Any, ctx: Context) -> Evidence:
    """The head of the small network over its steps, in float64, against the coefficients; at several lengths."""
    model = subject.network().double()
    average, worst = subject.attach(model), 0.0
    path = [model.head.weight.detach().clone()]
    moved = ctx.again().noise("measure")
    for step in range(1, 4 * STEPS + 1):
        with torch.no_grad():
            model.head.weight += moved.at(step).normal(*model.head.weight.shape)
        path.append(model.head.weight.detach().clone())
        average.after_(step)
        expected = torch.einsum("k,kij->ij", method.weights(step), torch.stack(path))
        worst = max(worst, float((average.averaged()["head.weight"] - expected).abs().max()))
    note = f"largest distance {worst:.2g} from the stated combination over {4 * STEPS} steps of about 1"
    return identity("matches-weights", worst, note, tolerance=1e-6)


@claim("convex", "the stated coefficients are not negative, and their sum is 1", of="subject")
def convex(subject: SmallModels, method: Any, ctx: Context) -> Evidence:
    """The coefficients after 0 .. 3 and some longer numbers of steps, and what a model of ones becomes."""
    worst = 0.0
    for n in (0, 1, 2, 3, 10, 100, 1001):
        weights: Tensor = method.weights(n)
        worst = max(worst, abs(float(weights.sum()) - 1), -float(weights.min()), abs(len(weights) - n - 1))
    kept = abs(follow(method, lambda _: 1.0, steps=STEPS, dtype=torch.float64) - 1)
    note = f"off by {worst:.2g}; the average of a weight that stays 1 is off by {kept:.2g}"
    return identity("convex", max(worst, kept), note, tolerance=1e-9)


@claim("follows-constant", "the average of a float32 weight that stands still does not stop short of it", of="subject")
def follows_constant(subject: SmallModels, method: object, ctx: Context) -> Evidence:
    """A weight of 0 at first and 1 for 12,000 updates, against the coefficients."""

    def path(step: int) -> float:
        return 1.0 if step else 0.0

    expected = stated(method, path, steps=FOLLOWED) or 1.0
    short = abs(expected - follow(method, path, steps=FOLLOWED, dtype=torch.float32))
    note = f"{short:.2g} away from the exact average after {FOLLOWED:,} updates"
    return identity("follows-constant", short, note, tolerance=1e-6)


@claim("exact-moments", "bias and variance on a quadratic are those of the stated law")
def exact_moments(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The draws are normal, so that both tests are exact: chi-square for the mean and for the variance."""
    task = ctx.task
    exact = task.exact(method) if isinstance(task, Quadratic) else None
    if exact is None:
        return Evidence(
            claim="exact-moments", metric="violation", value=None, note="no law is stated, or the task has none"
        )
    bias, variance = exact
    noise = ctx.noise("noise")
    draws = torch.cat([problem.draw(noise.at(i), CHAINS) for i in range(DRAWS // CHAINS)]).double().cpu()
    n = len(draws)
    away = draws.mean(0) - (problem.truth.double().cpu() + bias)
    location = float((away.square() / (variance / n)).sum())
    spread = float(((n - 1) * draws.var(0) / variance).sum())
    freedom = len(bias) * (n - 1)
    p = [float(stats.chi2.sf(location, len(bias)))]
    p += [float(stats.chi2.cdf(spread, freedom)), float(stats.chi2.sf(spread, freedom))]
    detectable = max(float(_ALPHA_POWER) / math.sqrt(n), float(_ALPHA_POWER) * math.sqrt(2 / freedom))
    return Evidence(
        claim="exact-moments",
        metric="violation",
        value=max(math.sqrt(location / n / len(bias)), abs(spread / freedom - 1)),
        n=n,
        unit="sd",
        p=min(1.0, 4 * min(p)),
        detectable=detectable,
        tolerance=0.05,
        note=f"mean {math.sqrt(location / n):.2g} sd away, variance {spread / freedom:.4f} of the stated one",
    )


class _Planted(Exception):  # noqa: N818  # raised and caught here
    """An error inside `measuring`."""


def _trained(subject: SmallModels, model: nn.Module) -> Any:
    average = subject.attach(model)
    _step(subject.training(model, average), STEPS)
    return average


def _step(training: Any, steps: int) -> None:
    for _ in range(steps):
        training.step()


def _tensors(model: nn.Module) -> list[Tensor]:
    parameters = list(model.parameters())
    gradients = [p.grad.clone() for p in parameters if p.grad is not None]
    return [t.detach().clone() for t in (*parameters, *model.buffers())] + gradients


def _differing(a: list[Tensor], b: list[Tensor]) -> int:
    return abs(len(a) - len(b)) + sum(not same(x, y) for x, y in zip(a, b, strict=False))
