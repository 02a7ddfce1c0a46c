"""Targets: gradients by automatic differentiation, moments by their own exact draws and by printed values."""

from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_energy import FunctionPotential
from kexue_energy.samplers.targets import Table
from kexue_energy.samplers.tasks.bent import Banana, Funnel, Rosenbrock
from kexue_energy.samplers.tasks.walled import SHIFT, DoubleWell, Grid, Ring, TwoModes

TASKS = (DoubleWell(), DoubleWell(b=4.0), TwoModes(), Ring(), Grid(), Banana(), Rosenbrock(), Funnel())
DRAWS = 200_000


def noise(seed=0):
    """A stream."""
    return Noise.seeded(seed, dtype=torch.float64)


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_the_gradient_is_that_of_the_energy(task):
    """At exact draws and away from them."""
    target = task.target()
    x = torch.cat([target.draw(noise(), 20), 0.3 * noise(1).normal(5, target.dim)])
    torch.testing.assert_close(target.gradient(x), FunctionPotential(target.energy, target.dim).gradient(x))


@pytest.mark.statistical
@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_exact_draws_have_the_exact_moments(task):
    """Means of all functionals within 5 standard errors, their variances within 15 %."""
    target = task.target()
    found = target.normalised(target.draw(noise(2), DRAWS))
    count = len(target.names)
    assert found.shape == (DRAWS, count)
    gap = (found.mean(0) - target.truth) * math.sqrt(count * DRAWS)
    assert float(gap.abs().max()) < 5
    torch.testing.assert_close(found.var(0) * count, torch.ones(count, dtype=torch.float64), rtol=0.15, atol=0)


@pytest.mark.statistical
@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_exact_draws_have_the_density_of_the_energy(task):
    """Stein's identity, E[grad U . f - div f] = 0 for f = tanh(x - centre), within 5 standard errors."""
    target = task.target()
    x = target.draw(noise(3), DRAWS)
    t = (x - target.centre).tanh()
    values = (target.gradient(x) * t - (1 - t.square())).sum(1)
    assert abs(float(values.mean())) < 5 * float(values.std()) / math.sqrt(DRAWS)


def test_printed_moments():
    """Catalogued values, from Bessel functions and Gaussian integrals."""
    for b, mass, second in ((1.0, 1.97373215009, 0.832745487128), (4.0, 0.947837832981, 0.917670860745)):
        table = Table(lambda x, b=b: -b * (x.square() - 1).square(), -3.5, 3.5)
        assert table.mass == pytest.approx(mass, rel=1e-11)
        assert float(DoubleWell(b=b).target().mean[1]) == pytest.approx(second, rel=1e-11)
    two, rosenbrock, funnel = TwoModes().target(), Rosenbrock().target(), Funnel().target()
    assert two.mean.tolist() == pytest.approx([1.6, 17.0, 0.300012668497], rel=1e-11)
    assert float(Banana().target().mean[3]) == pytest.approx(19)
    assert rosenbrock.mean.tolist() == pytest.approx([0, 0, 10, 240.1, 20], rel=1e-12)
    assert float(funnel.mean[0]) == pytest.approx(0.158655253931, rel=1e-11)


def test_the_modes_of_the_grid_are_the_nearest_points():
    """Each of the 25 centres belongs to itself, and points beyond the edge to the edge."""
    target = Grid().target()
    centres = torch.cartesian_prod(*(torch.arange(-4.0, 5, 2, dtype=torch.float64),) * 2) + SHIFT
    torch.testing.assert_close(target.functionals(centres), torch.eye(25, dtype=torch.float64))
    far = torch.tensor([[9.0, -9.0]], dtype=torch.float64)
    assert int(target.functionals(far).argmax()) == 20


def test_bad_input_is_named():
    """What, got, do."""
    with pytest.raises(ValueError, match="b must be finite and > 0"):
        DoubleWell(b=0.0)
    with pytest.raises(ValueError, match=r"radius must be finite and >= 2, got 1\.0"):
        Ring(radius=1.0)
    with pytest.raises(ValueError, match=r"sd must be <= 0\.5"):
        Grid(sd=0.7)
    with pytest.raises(ValueError, match="width must be finite and >= 1"):
        Funnel(width=0)
