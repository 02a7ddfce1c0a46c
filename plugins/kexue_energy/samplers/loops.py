"""Loops that `kexue-bench show` prints: chains on a density of your own."""

from __future__ import annotations

from kexue_bench import Loop

_WALK = """\
import torch
from kexue_bench.lab import Noise
from kexue_energy import FunctionPotential

sampler, noise = METHOD, Noise.seeded(0)
{made}
state = sampler.init(torch.randn(1000, {dim}, generator=torch.Generator().manual_seed(0)), potential, noise)
total = torch.zeros({dim})
for step in range(50):
    state, info = sampler.step(state, potential, noise.at(step))  # other noise at every step
    total += sampler.position(state).mean(0)  # 1,000 chains
mean = total / 50
"""
_PLAIN = """\
def energy(x):  # -log density, [R, 2] -> [R]; scaled so that the smallest standard deviation is near 1
    return x[:, 0] ** 2 / 2 + (x[:, 1] - x[:, 0] ** 2 / 4) ** 2 / 2

potential = FunctionPotential(energy, dim=2)"""
_COVARIANCE = """\
covariance = torch.tensor([[4.0, 1.9], [1.9, 1.0]])  # of the target, or an estimate
precision = torch.linalg.inv(covariance)
potential = FunctionPotential(lambda x: ((x @ precision) * x).sum(1) / 2, dim=2, covariance=covariance)"""
_DATA = """\
features = torch.randn(512, 3, generator=torch.Generator().manual_seed(1))  # your data
labels = (features @ torch.tensor([1.0, -2.0, 0.5]) > 0).float()

class Posterior(FunctionPotential):  # logistic regression, weights in units of 0.05
    def minibatch(self, x, size, noise):  # an unbiased gradient, from rows drawn anew for every chain
        rows = noise.integers(512, len(x), size)
        chosen, scores = features[rows], torch.einsum("crd,cd->cr", features[rows], 0.05 * x)
        errors = torch.sigmoid(scores) - labels[rows]
        return 0.05 * (512 / size) * torch.einsum("cr,crd->cd", errors, chosen) + 0.0025 * x

potential = Posterior(lambda x: x.square().sum(1), dim=3)  # sgld and sghmc ask for minibatches alone"""
_SMOOTH = """\
class Smoothed(FunctionPotential):
    def smoothed(self, sigma):  # the density convolved with N(0, sigma^2 I): the score of a denoiser
        return FunctionPotential(lambda x: x.square().sum(1) / (2 + 2 * sigma**2), dim=2)

potential = Smoothed(lambda x: x.square().sum(1) / 2, dim=2)"""
LOOPS = (
    Loop(words=frozenset({"minibatches"}), code=_WALK.format(made=_DATA, dim=3)),
    Loop(words=frozenset({"smoothed"}), code=_WALK.format(made=_SMOOTH, dim=2)),
    Loop(words=frozenset({"covariance"}), code=_WALK.format(made=_COVARIANCE, dim=2)),
    *(Loop(words=frozenset({field}), code=_WALK.format(made=_PLAIN, dim=2)) for field in ("h", "eps", "sd")),
)
"""The first one that fits a method is printed; independent draws need no loop, and their example is printed."""
