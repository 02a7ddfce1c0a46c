"""Every registered estimator on laws of any dtype, for tests of what real training loops hand in."""

from __future__ import annotations

import re
from importlib import import_module

import installed
import torch

from kexue_bench.lab.noise import Noise
from kexue_gradients import Distribution, Enumeration, FunctionObjective, Gamma, Gaussian

NAMES = tuple(spec.name for spec in installed.methods("gradients"))
KINDS = ("bernoulli", "categorical", "gaussian", "gamma")
_SHAPES = {"bernoulli": (4, 3), "categorical": (4, 3, 5), "gaussian": (4, 3), "gamma": (4, 3)}
_SPECS = {spec.name: spec for spec in installed.methods("gradients")}


def build(name):
    """The estimator with its defaults."""
    module, _, cls = _SPECS[name].target.partition(":")
    return getattr(import_module(module), cls)(**_SPECS[name].fixed, **_SPECS[name].defaults)


def numbers(kind, dtype):
    """Parameters that bfloat16 holds exactly, the same ones in every dtype."""
    drawn = Noise.seeded(0).normal(*_SHAPES[kind]).to(torch.bfloat16)
    return (drawn.abs() + 1 if kind in ("gaussian", "gamma") else drawn).to(dtype)


def law(kind, parameters):
    """The distribution of a kind; a gaussian has its parameters both as means and as deviations."""
    if kind == "gaussian":
        return Gaussian(mu=parameters, sigma=parameters)
    return Gamma(shape=parameters) if kind == "gamma" else Distribution(kind=kind, logits=parameters)


def square(kind):
    """A smooth f of one number a row, which tells classes apart."""
    if kind == "categorical":
        return lambda x: (x - torch.arange(x.shape[-1], dtype=x.dtype) / 8).square().sum((-1, -2))
    return lambda x: (x - 0.45).square().sum(-1)


def three_steps(name, distribution, f, noise, **options):
    """Three steps of an estimator as in a training loop; None if it is for other laws, or refuses with a sentence."""
    if "discrete" in _SPECS[name].needs and not isinstance(distribution, Distribution):
        return None
    method, objective, sample = build(name), FunctionObjective(f, **options), None
    try:
        state = method.init(distribution, noise.at(9)) if hasattr(method, "init") else None
        for step in range(3):
            if hasattr(method, "adapt"):
                sample, state = method.adapt(distribution, objective, noise.at(step), 6, state)
            else:
                sample = method.estimate(distribution, objective, noise.at(step), 6)
    except (ValueError, AttributeError):
        return None
    return sample


class Bound:
    """A bound over four samples whose weights do not depend on the logits but through x."""

    samples = 4

    def __init__(self, distribution):
        self._parameters = distribution.parameters

    def log_weights(self, x):
        return -(x - 0.45).square().sum(tuple(range(2, x.dim()))), self._parameters.new_zeros(
            len(x), *self._parameters.shape
        )


def stated(name):
    """The powers of B, L and K in the time and the memory that a method's docstring states."""
    text = " ".join((type(build(name)).__doc__ or "").split())
    found = re.search(r"takes time O\(([^)]*)\) and memory O\(([^)]*)\), f apart", text)
    assert found, f"{name}: say 'One estimate takes time O(...) and memory O(...), f apart.' in the docstring"
    bounds = zip(("time", "memory"), found.groups(), strict=True)
    return {what: {axis: _power(axis, bound) for axis in "BLK"} for what, bound in bounds}


def _power(axis, bound):
    found = re.search(rf"\b{axis}(?:\^(\d))?(?= |$)", bound)
    return 0 if found is None else int(found.group(1) or 1)


def growth(kind, axis):
    """Two problems, the second twice as large along an axis; large enough that constants do not count."""
    small = {"B": 4, "L": 8, "K": 8} | {axis: {"B": 32, "L": 64, "K": 128}[axis]}
    return small | ({} if kind == "categorical" else {"K": 2}), small | {axis: 2 * small[axis]}


def workload(name, kind, *, B, L, K):  # the field's names of the sizes, as docstrings state them
    """Four estimates on B rows of L variables with K classes, as one call; None where the method is for other laws."""
    shape = (B, L, K) if kind == "categorical" else (B, L)
    parameters = Noise.seeded(0).normal(*shape)
    distribution = law(kind, parameters.abs() + 1 if kind in ("gaussian", "gamma") else parameters)
    if "discrete" in _SPECS[name].needs and not isinstance(distribution, Distribution):
        return None
    method, noise, state = build(name), Noise.seeded(1), None
    bits = torch.tensor([[0.0], [1.0]])
    table = Enumeration(states=bits, values=(bits - 0.45).square().reshape(2, 1, 1).expand(2, B, L))
    objective = FunctionObjective(square(kind), table=(lambda: table) if kind == "bernoulli" else None)
    if "multi-sample" in _SPECS[name].needs:
        objective = Bound(distribution)
    try:
        if hasattr(method, "adapt"):
            state = method.init(distribution, noise)
            method.adapt(distribution, objective, noise, 4, state)
            return lambda: method.adapt(distribution, objective, noise, 4, state)
        method.estimate(distribution, objective, noise, 4)
    except (ValueError, AttributeError):
        return None
    return lambda: method.estimate(distribution, objective, noise, 4)
