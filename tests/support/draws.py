"""Sampling problems whose moments are known, and what is read off their estimates."""

from __future__ import annotations

import torch

from kexue_bench.lab.noise import Noise
from kexue_bench.lab.problems import Sampling

ALL = ("estimate", "bias", "relative-bias", "variance", "mse", "cosine")


def gaussian(mean=1.0, sd=0.7, *, truth=1.0, batch=16, dimension=0, dtype=torch.float64, **others):
    """Normal draws about `mean`, scalar or of the given dimension."""
    shape = (dimension,) if dimension else ()

    def draw(noise, n):
        return (mean + sd * noise.normal(n, *shape)).to(dtype)

    return Sampling(draw=draw, truth=torch.full(shape, truth, dtype=torch.float64), batch=batch, **others)


def one_bit(theta, t=0.45, batch=64):
    """REINFORCE on one bit: gradient theta (1 - theta) (f1 - f0) of E (b - t)^2 in the logit."""
    f1, f0 = (1 - t) ** 2, t**2

    def draw(noise, n):
        return torch.where(noise.uniform(n) < theta, f1 * (1 - theta), -f0 * theta)

    truth = theta * (1 - theta) * (f1 - f0)
    mse = theta * (f1 * (1 - theta) - truth) ** 2 + (1 - theta) * (f0 * theta + truth) ** 2
    return Sampling(draw=draw, truth=torch.tensor(truth, dtype=torch.float64), batch=batch, metrics=ALL), mse


def constant(value=0.5, *, truth=0.3, dtype=torch.float32, **others):
    def draw(noise, n):
        return torch.full((n,), value, dtype=dtype)

    return Sampling(draw=draw, truth=torch.tensor(truth, dtype=torch.float64), batch=4, **others)


def noise(seed=0, dtype=torch.float64):
    return Noise.seeded(seed, dtype=dtype)


def all_draws(problem, source, batches):
    return torch.cat([problem.draw(source.at(b), problem.batch) for b in range(batches)]).double().numpy()


def row(found, metric):
    return next(m for m in found.measurements((metric,)) if m.metric == metric)
