"""Exact metrics of linear classifiers on normal classes, against quadrature, enumeration and samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from sklearn import metrics as sklearn

from kexue_bench.lab.noise import Noise
from kexue_f1.populations import (
    Part,
    Population,
    best_gaussian_f1,
    best_minibatch_f1,
    gaussian_f1,
    minibatch_f1,
    searched_gaussian_f1,
)

MIXED = Population(
    prior=0.2,
    dimensions=3,
    negatives=(Part(weight=0.5, mean=()), Part(weight=0.5, mean=(0.0, 1.0), scale=2.0)),
    positives=(Part(weight=0.3, mean=(2.0, 0.0)), Part(weight=0.7, mean=(-1.0, 1.0), scale=0.5)),
)


def _gaussian(d, prior, dimensions=2):
    unit = (Part(weight=1.0, mean=()),)
    return Population(prior=prior, dimensions=dimensions, negatives=unit, positives=(Part(weight=1.0, mean=(d,)),))


def test_best_f1(reference):
    """Fixed point, search and table agree, and the posterior at the best threshold is half the largest F1."""
    for row in reference["bayes"]:
        t, value = best_gaussian_f1(row["d"], row["prior"])
        assert t == pytest.approx(row["t_star"], abs=1e-12)
        assert value == pytest.approx(row["F1_star"], abs=1e-12)
        level, searched = searched_gaussian_f1(row["d"], row["prior"])
        assert searched == pytest.approx(row["F1_star"], abs=1e-12)
        assert level == pytest.approx(row["F1_star"] / 2, abs=1e-9)
        assert gaussian_f1(row["d"], row["prior"], -40.0) == pytest.approx(row["F1_all_positive"], abs=1e-12)


def test_nothing_to_tell_calls_everything_positive():
    """At distance 0 the largest F1 is 2 prior / (1 + prior)."""
    assert best_gaussian_f1(0.0, 0.1) == (-math.inf, pytest.approx(0.2 / 1.1))


def test_score_of_the_posterior(reference):
    """F1 at a posterior of 1/2 and average precision equal the reference, and the calibration error is 0."""
    for row in reference["bayes"]:
        d, prior = row["d"], row["prior"]
        weight = torch.tensor([[d, 0.0]], dtype=torch.float64)
        bias = torch.tensor([math.log(prior / (1 - prior)) - d * d / 2], dtype=torch.float64)
        law = _gaussian(d, prior).law(weight, bias)
        assert float(law.f1(torch.zeros(1).double())) == pytest.approx(row["F1_at_eta_half"], abs=1e-12)
        assert float(law.average_precision()) == pytest.approx(row["AP"], abs=1e-5)
        assert float(law.calibration_error(torch.sigmoid(law.grid))) < 1e-12


def test_calibration_error_against_quadrature():
    """`E |posterior - sigmoid(score)|` of a score that is too steep by a factor of two equals scipy's quadrature."""
    d, prior = 1.5, 0.1
    weight, bias = torch.tensor([[2 * d, 0.0]]), torch.tensor([-1.0])
    law = _gaussian(d, prior).law(weight, bias)

    def error(x):
        both = prior * stats.norm.pdf(x - d), (1 - prior) * stats.norm.pdf(x)
        return abs(both[0] - sum(both) / (1 + math.exp(-(2 * d * x - 1.0))))

    expected = integrate.quad(error, -9, 11, limit=400, points=[0.3, 0.7])[0]
    assert float(law.calibration_error(torch.sigmoid(law.grid))) == pytest.approx(expected, abs=1e-5)


@pytest.mark.statistical
def test_law_of_a_mixture_against_items():
    """F1 and average precision match 400,000 drawn items within five standard errors (false-alarm rate 1e-6 each)."""
    noise = Noise.seeded(3, dtype=torch.float64)
    x, y = MIXED.draw(noise, 1, 400_000)
    weight, bias = torch.tensor([[1.0, 0.5, -0.2]]).double(), torch.tensor([0.1]).double()
    law = MIXED.law(weight, bias)
    scores = (x[0] @ weight[0] + bias).numpy()
    found = sklearn.f1_score(y[0].numpy(), scores >= 0.7)
    assert float(law.f1(torch.full((1,), 0.7).double())) == pytest.approx(found, abs=5 * 0.0015)
    found = sklearn.average_precision_score(y[0].numpy(), scores)
    assert float(law.average_precision()) == pytest.approx(found, abs=5 * 0.002)
    assert float(y.mean()) == pytest.approx(0.2, abs=5 * 0.00064)


def test_best_linear_classifier():
    """The search finds the closed form for two normals; for a mixture no random direction and threshold is better."""
    value, weight, bias = _gaussian(2.0, 0.1).best_linear
    t, best = best_gaussian_f1(2.0, 0.1)
    assert value == pytest.approx(best, abs=1e-10)
    assert float(-bias / weight[0, 0]) == pytest.approx(t, abs=1e-3)
    value, weight, bias = MIXED.best_linear
    assert float(MIXED.law(weight, bias).f1(torch.zeros(1).double())) == pytest.approx(value, abs=1e-9)
    noise = Noise.seeded(0, dtype=torch.float64)
    law = MIXED.law(noise.normal(500, 3), torch.zeros(500))
    assert float(law.f1(law.grid).max()) <= value + 1e-9


def test_minibatch_f1(reference):
    """The expectation at the full-data threshold and its maximum equal the reference for 27 sizes and priors."""
    for row in reference["minibatch"]:
        t, _ = best_gaussian_f1(row["d"], row["prior"])
        found = minibatch_f1(row["d"], row["prior"], row["B"], t)
        assert found == pytest.approx(row["EF1_at_tstar"], abs=1e-10)
        at, best = best_minibatch_f1(row["d"], row["prior"], row["B"])
        assert best == pytest.approx(row["max_EF1"], abs=1e-10)
        # The maximum is flat: only the F1 on all data at the argmax is accurate, to four digits.
        assert gaussian_f1(row["d"], row["prior"], at) == pytest.approx(row["full_F1_at_argmax"], abs=1e-4)


def test_minibatch_f1_by_enumeration():
    """The expectation for four items equals the sum over all 3^4 outcomes: true positive, wrong, true negative."""
    import itertools

    d, prior, t = 1.0, 0.3, 0.4
    hit = prior * stats.norm.sf(t - d)
    wrong = prior * stats.norm.cdf(t - d) + (1 - prior) * stats.norm.sf(t)
    chance = {"hit": hit, "wrong": wrong, "quiet": 1 - hit - wrong}
    total = 0.0
    for items in itertools.product(chance, repeat=4):
        j, k = items.count("hit"), items.count("wrong")
        total += math.prod(chance[i] for i in items) * (2 * j / (2 * j + k) if j else 0.0)
    assert minibatch_f1(d, prior, 4, t) == pytest.approx(total, abs=1e-13)


def test_draws_are_reproducible_and_stack():
    """Each replicate of a stack has the same items as alone."""
    from kexue_bench.api import Case, Instance
    from kexue_bench.lab.context import Context

    def draw(replicates):
        instance = Instance(name="t", target="m:C")
        case = Case(
            family="f1", task=instance, task_version=1, method=instance, stage="evaluate", replicates=replicates
        )
        return MIXED.draw(Context(case).noise("data", stack=0), len(replicates), 50)

    x, y = draw((0, 1, 2))
    alone = draw((1,))
    assert torch.equal(x[1:2], alone[0])
    assert torch.equal(y[1:2], alone[1])
    assert np.isfinite(x.numpy()).all()
