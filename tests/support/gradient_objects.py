"""Every registered estimator on laws of any dtype, for tests of what real training loops hand in."""

from __future__ import annotations

from importlib import import_module

import installed
import torch

from kexue_bench.lab.noise import Noise
from kexue_gradients import Distribution, FunctionObjective, Gamma, Gaussian

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
    """A smooth f of one number a row."""
    return lambda x: (x - 0.45).square().sum((-1, -2) if kind == "categorical" else -1)


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
