"""Other libraries on N(0, I): what they evaluate is counted, and they keep the target or have their known bias."""

from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise
from kexue_energy import FunctionPotential
from kexue_energy.samplers.methods.competitors import Emcee, TorchebmHmc, TorchebmLangevin


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("package", "sampler", "variance", "chains"),
    [
        ("torchebm", TorchebmLangevin(h=0.5), 4 / 3, 4000),
        ("torchebm", TorchebmHmc(eps=0.9, leaps=2), 1.0, 4000),
        ("emcee", Emcee(), 1.0, 30),
    ],
    ids=["torchebm-langevin", "torchebm-hmc", "emcee"],
)
def test_a_library_has_its_law_and_pays(package, sampler, variance, chains):
    """Variance after 30 steps within 5 standard errors; every step is billed to our counter."""
    pytest.importorskip(package)
    counter, noise = Counter(), Noise.seeded(0, dtype=torch.float64)
    potential = FunctionPotential(lambda x: x.square().sum(1) / 2, 2, gradient=lambda x: x, counter=counter)
    state = sampler.init(noise.normal(chains, 2), potential, noise)
    for step in range(30):
        state, _ = sampler.step(state, potential, noise.at(step))
    x = sampler.position(state)
    assert x.shape == (chains, 2)
    assert x.dtype == torch.float64
    assert abs(float(x.square().mean()) - variance) < 5 * variance * math.sqrt(2 / (2 * chains))
    assert counter.units["evaluations"] >= 30 * chains
    again, _ = sampler.step(state, potential, Noise.seeded(5, dtype=torch.float64))
    torch.testing.assert_close(sampler.step(state, potential, Noise.seeded(5, dtype=torch.float64))[0], again)


def test_bad_input_is_named():
    """What, got, do."""
    with pytest.raises(ValueError, match="walkers must be even and >= 0, got 3"):
        Emcee(walkers=3)
    with pytest.raises(ValueError, match="leaps must be finite and >= 1"):
        TorchebmHmc(leaps=0)
    with pytest.raises(ValueError, match="h must be finite and > 0"):
        TorchebmLangevin(h=-1.0)
