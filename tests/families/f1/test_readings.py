"""Readings: thresholds and decisions, against scikit-learn and enumeration."""

from __future__ import annotations

import itertools

import pytest
import torch

from kexue_f1 import AnyLossF1, BinaryCrossEntropy, Gfm, Half, HalfF, LovaszHinge, SigmoidF1, Tuned
from kexue_f1.metrics import best_threshold
from kexue_f1.readings import score_at


def _validation(seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(2, 200, 3, generator=generator, dtype=torch.float64)
    return z, (torch.rand(2, 200, 3, generator=generator) < torch.sigmoid(z)).double()


@pytest.mark.parametrize(
    ("loss", "logit"),
    [(BinaryCrossEntropy(), 0.0), (SigmoidF1(eta=1.0), -1.0), (AnyLossF1(), 0.0), (LovaszHinge(), 0.0)],
    ids=lambda v: type(v).__name__,
)
def test_half_is_where_the_loss_decides(loss, logit):
    """`0.5` is the score at a probability of 1/2, and 0 for a loss without probabilities."""
    z, y = _validation()
    found = Half().threshold(z, y, loss.probability)
    torch.testing.assert_close(found, torch.full((2, 3), logit, dtype=torch.float64), rtol=0, atol=1e-12)


def test_tuned_has_the_largest_f1():
    """`tuned` is the result of `best_threshold`, which is tested against scikit-learn."""
    z, y = _validation()
    assert torch.equal(Tuned().threshold(z, y, BinaryCrossEntropy().probability), best_threshold(z, y)[0])


def test_half_f_is_half_of_the_largest_f1():
    """The probability at `half-f` is half the largest F1; None for a loss without probabilities."""
    z, y = _validation()
    found = HalfF().threshold(z, y, BinaryCrossEntropy().probability)
    torch.testing.assert_close(torch.sigmoid(found), best_threshold(z, y)[1] / 2)
    assert HalfF().threshold(z, y, LovaszHinge().probability) is None


def test_score_at_inverts_a_probability():
    """Bisection matches the exact inverse of the sigmoid."""
    p = torch.tensor([[0.01, 0.5], [0.9, 0.999]], dtype=torch.float64)
    torch.testing.assert_close(score_at(p, torch.sigmoid), torch.logit(p))


@pytest.mark.parametrize("labels", [2, 5])
def test_gfm_has_the_largest_expected_f1(labels):
    """`gfm` is optimal among all 2^C sets, by enumeration over all 2^C truths with random independent labels."""
    generator = torch.Generator().manual_seed(labels)
    p = torch.rand(1, 12, labels, generator=generator, dtype=torch.float64)
    chosen = Gfm().decide(p)[0]
    states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=labels)), dtype=torch.float64)
    for row, found in zip(p[0], chosen, strict=True):
        chance = torch.where(states > 0, row, 1 - row).prod(1)
        common, size = states @ states.T, states.sum(1)
        f1 = 2 * common / (size.unsqueeze(0) + size.unsqueeze(1)).clamp_min(1)
        expected = f1 @ chance
        mine = expected[(states == found.double()).all(1)]
        assert float(mine) == pytest.approx(float(expected.max()), abs=1e-12)


def test_gfm_takes_sure_labels_and_never_none():
    """Certain labels are chosen; if all are unlikely, the likeliest is, because an empty set scores 0."""
    p = torch.tensor([[[0.99, 0.98, 0.01], [0.02, 0.05, 0.01]]])
    assert Gfm().decide(p).tolist() == [[[True, True, False], [False, True, False]]]
