"""The exact integrals, and the rules, against independent computations."""

import numpy as np
import pytest
import torch
from scipy import integrate

from kexue_quadrature.integrands import KNOWN
from kexue_quadrature.rules import ClenshawCurtis, TanhSinh, Trapezoid


@pytest.mark.parametrize("name", KNOWN)
def test_an_integral_is_that_of_its_function(name):
    """QUADPACK, with the kink given to it, agrees within its own error estimate."""
    function, integral = KNOWN[name]
    value = lambda x: float(function(torch.tensor(x, dtype=torch.float64)))  # noqa: E731  # one use
    found, error = integrate.quad(value, 0, 1, points=[1 / np.pi], epsabs=1e-12)
    assert abs(found - integral) <= error <= 1e-9


@pytest.mark.parametrize("points", [2, 3, 4, 9, 10])
def test_clenshaw_curtis_integrates_the_interpolant(points):
    """Its weights solve the moment equations of the polynomials through its nodes."""
    nodes, weights = ClenshawCurtis().rule(points)
    powers = torch.arange(points, dtype=torch.float64)
    moments = (weights * nodes.unsqueeze(0) ** powers.unsqueeze(1)).sum(1)
    assert torch.allclose(moments, 1 / (powers + 1), rtol=0, atol=1e-14)


def test_the_trapezoidal_rule_is_that_of_scipy():
    """On the same grid."""
    nodes, weights = Trapezoid().rule(17)
    assert float((weights * nodes.exp()).sum()) == pytest.approx(integrate.trapezoid(nodes.exp(), nodes), abs=1e-15)


def test_tanh_sinh_needs_a_reach():
    """The grid would be a point."""
    with pytest.raises(ValueError, match="reach must be > 0, got 0"):
        TanhSinh(reach=0)
