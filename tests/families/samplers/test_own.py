"""The user's own density: its reference against a closed form, and what cannot be used is refused."""

from __future__ import annotations

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_energy import FunctionPotential, Mala
from kexue_energy.samplers.chains import Chains
from kexue_energy.samplers.reference import reference
from kexue_energy.samplers.tasks.logistic import LogisticRegression, energy, gradient, shipped
from kexue_energy.samplers.tasks.own import OwnPotential

FILES = """
import torch
from kexue_energy import FunctionPotential

def student():
    precision = torch.tensor([[2.0, -1.2], [-1.2, 1.0]], dtype=torch.float64)
    return FunctionPotential(lambda x: 6 * torch.log1p((x @ precision.to(x) * x).sum(1) / 10), dim=2)

def nothing():
    return 3

def column():
    return FunctionPotential(lambda x: x.square(), dim=1)

def broken():
    return FunctionPotential(lambda x: x[:, 0].log(), dim=2)

def mixed():
    return FunctionPotential(lambda x: (x - x.mean(0)).square().sum(1), dim=2)

"""


@pytest.fixture
def place(tmp_path):
    """The path of a function of the file."""
    (tmp_path / "mine.py").write_text(FILES)
    return lambda name: f"{tmp_path}/mine.py:{name}"


@pytest.mark.statistical
def test_the_reference_of_a_student_distribution(place, context):
    """Covariance of t with 10 degrees of freedom: 10 / 8 times the scale matrix, within the stated error times 2."""
    task = OwnPotential(path=place("student"), evaluations=10)
    target = task.target()
    scale = torch.linalg.inv(torch.tensor([[2.0, -1.2], [-1.2, 1.0]], dtype=torch.float64))
    gap = torch.cat([target.centre, target.mean[2:] - 1.25 * scale.diagonal()]) / target.deviation / 2
    assert float(gap.norm()) < 2 * target.error
    assert target.error < 0.03
    chains = Chains(target, Mala(h=0.5), context(), evaluations=10, start="stationary")
    stated = chains.sampling()
    assert stated.error == target.error
    assert stated.draw(Noise.seeded(0, dtype=torch.float64), 4).shape == (4, 4)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nothing", TypeError, "must return a kexue_energy.FunctionPotential, got int"),
        ("column", ValueError, r"one number a row, \[256\], got \[256, 1\]"),
        ("broken", ValueError, "must be finite on draws from N"),
        ("mixed", ValueError, "must not depend on other rows"),
    ],
)
def test_what_cannot_be_sampled_is_refused(place, name, error, message):
    """Before any case runs."""
    with pytest.raises(error, match=message):
        OwnPotential(path=place(name))


def test_chains_that_disagree_are_no_reference():
    """Two wells with a barrier of 50: every chain stays where it starts."""
    noise = Noise.seeded(0, dtype=torch.float64)
    potential = FunctionPotential(lambda x: 50 * (x[:, 0].square() - 1).square(), 1)
    with pytest.raises(ValueError, match="long chains disagree"):
        reference(potential, noise.normal(16, 1), noise, steps=20)


def test_logistic_regression_is_shipped_with_its_error():
    """The gradient by automatic differentiation; Stein's identity on the shipped points within 5 standard errors."""
    known, error = shipped()
    w = known.points
    torch.testing.assert_close(gradient(w), FunctionPotential(energy, 11).gradient(w))
    t = (w - known.mean).tanh()
    values = (gradient(w) * t - (1 - t.square())).sum(1)
    assert abs(float(values.mean())) < 5 * float(values.std()) / len(values) ** 0.5
    assert LogisticRegression().target().error == error
    assert 0 < error < 0.01
