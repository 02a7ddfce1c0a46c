"""Figures of papers and of an independent enumeration for estimators of bits without replacement and in copulas."""

from __future__ import annotations

import itertools

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_gradients import Arm, Arms, Disarm, Distribution, FunctionObjective, Rloo, UnorderedSet
from kexue_gradients.methods import unordered_set

DOUBLE = torch.float64
# The figure of arXiv:2002.06043 for k = 2 .. 7, read by eye, and the value of an enumeration made independently.
KOOL = {
    0.0: (
        (6e-3, 2.3e-3, 1.1e-3, 6.5e-4, 3.2e-4, 1.3e-4),
        (6.112e-3, 2.262e-3, 1.131e-3, 6.105e-4, 3.165e-4, 1.292e-4),
    ),
    -4.0: (
        (3e-5, 8e-6, 1e-6, 1.3e-7, 1e-8, 1.5e-10),
        (2.978e-5, 8.071e-6, 1.055e-6, 7.97e-8, 1.025e-8, 2.855e-10),
    ),
}


def _ordered_draws(law, k):
    """Every ordered draw of k of the states of bits, log-probabilities and the probability of the draw."""
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=DOUBLE)] * law.logits.shape[-1])
    p = torch.where(states > 0, law.mean, 1 - law.mean).prod(-1)
    index = torch.tensor(list(itertools.permutations(range(len(states)), k)))
    weights, gone = torch.ones(len(index), dtype=DOUBLE), torch.zeros(len(index), dtype=DOUBLE)
    for place in index.T:
        weights, gone = weights * p[place] / (1 - gone), gone + p[place]
    return states[index], p[index].log(), weights


@pytest.mark.parametrize("phi", KOOL)
@pytest.mark.parametrize("k", [2, 3, 4, 5, 6])
def test_the_unordered_set_toy_by_enumeration(phi, k, monkeypatch):
    """Three bits that share a logit, f = sum (b - p0)^2: the exact variance over every ordered draw, and the truth.

    Against the independent enumeration to its digits, and against the printed curve within 15 % at logit 0 and a
    factor of 1.3 at -4 for k up to 4, where its 1,000 samples resolve the rare sets.
    """
    law = Distribution(kind="bernoulli", logits=torch.full((3,), phi, dtype=DOUBLE))
    f = FunctionObjective(lambda x: (x - torch.tensor([0.6, 0.51, 0.48], dtype=DOUBLE)).square().sum(-1))
    x, log_p, weights = _ordered_draws(law, k)
    monkeypatch.setattr(unordered_set, "draw_without_replacement", lambda *arguments: (x, log_p))
    gradient = UnorderedSet(k=k).estimate(law, f, Noise.seeded(0, dtype=DOUBLE), len(x)).gradient.sum(-1)
    mean = float(weights @ gradient)
    variance = float(weights @ (gradient - mean).square())
    p = float(law.mean[0])
    assert mean == pytest.approx(p * (1 - p) * sum(1 - 2 * t for t in (0.6, 0.51, 0.48)), abs=1e-13)
    published, enumerated = (values[k - 2] for values in KOOL[phi])
    assert variance == pytest.approx(enumerated, rel=2e-3)
    if phi == 0.0:
        assert variance == pytest.approx(published, rel=0.15)
    elif k <= 4:
        assert published / 1.3 < variance < published * 1.3


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("theta", "variance", "error"),
    [(0.0, 1.519e-5, 3e-8), (0.5, 1.2137e-5, 1.4e-8), (-1.2, 5.678e-5, 8e-8), (2.0, 1.2095e-4, 8e-8)],
)
def test_variance_of_four_arms(theta, variance, error):
    """Against 2 million draws of an independent implementation of the Dirichlet copula, f = (b - 0.45)^2.

    2^17 draws here; false alarms: 5 sigma of both on 4 scores, 2e-6.
    """
    law = Distribution(kind="bernoulli", logits=torch.tensor([theta], dtype=DOUBLE))
    f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
    g = Arms(n=4).estimate(law, f, Noise.seeded(3, dtype=DOUBLE), 2**17).gradient.flatten()
    spread = float(((g - g.mean()) ** 2).std()) / len(g) ** 0.5
    assert abs(float(g.var()) - variance) < 5 * (spread**2 + error**2) ** 0.5


@pytest.mark.statistical
def test_the_toy_of_arms_at_equal_evaluations():
    """At p = 1/2 and four evaluations, f = (b - 0.49)^2 (arXiv:2105.14141, the figure read by eye, 10 %).

    RLOO 4.2e-6 and ARM 4.2e-6 (two pairs averaged), DisARM 0; ARMS below both. 2^17 draws: 1 % at one sigma.
    """
    law = Distribution(kind="bernoulli", logits=torch.zeros(1, dtype=DOUBLE))
    f = FunctionObjective(lambda x: (x - 0.49).square().sum(-1))

    def variance(method):
        return float(method.estimate(law, f, Noise.seeded(4, dtype=DOUBLE), 2**17).gradient.var())

    assert variance(Rloo(n=4)) == pytest.approx(4.2e-6, rel=0.1)
    assert variance(Arm()) / 2 == pytest.approx(4.2e-6, rel=0.1)
    assert variance(Disarm()) == pytest.approx(0.0, abs=1e-20)
    assert variance(Arms(n=4)) < 1e-6
