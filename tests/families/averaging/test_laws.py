"""Closed forms of averages on quadratics, against figures computed apart, recursions, and each other."""

from __future__ import annotations

import math

import pytest
import torch

import kexue_averaging as ka
from kexue_averaging.methods.power import combination, power_weights
from kexue_averaging.tasks.given_path import ConstantWeight, Drift, follow, stated
from kexue_averaging.tasks.quadratic import Quadratic

ONE = torch.ones(1, dtype=torch.float64)


def _moments(method, rate=0.1, n=100):
    factor, variance = ka.law(method, ONE, rate, n)
    return float(factor) ** 2, float(variance)


@pytest.mark.parametrize(
    ("method", "n", "bias", "variance"),
    [
        (ka.Ema(decay=0.99), 100, 0.162113, 0.00377374),
        (ka.Ema(decay=0.99, correction="debias"), 100, 0.00333305, 0.00938939),
        (ka.Ema(decay=0.999), 100, 0.833601, 7.8545e-5),
        (ka.Ema(decay=0.999, correction="debias"), 100, 0.00746348, 0.00866505),
    ],
)
def test_transient_of_an_ema(method, n, bias, variance):
    """Start at 1, rate .1: figures of an independent recursion, to their digits."""
    assert _moments(method, n=n) == (pytest.approx(bias, rel=2e-5), pytest.approx(variance, rel=2e-5))


@pytest.mark.parametrize(("n", "total"), [(100, 0.0167259), (1000, 0.00106726)])
def test_transient_of_the_uniform_average(n, total):
    """The same, bias and variance together."""
    assert sum(_moments(ka.Polyak(), n=n)) == pytest.approx(total, rel=5e-6)


@pytest.mark.parametrize(
    ("rate", "decay", "ratio"),
    [
        (0.1, 0.9, 0.501385041551),
        (0.1, 0.99, 0.0871790143377),
        (0.01, 0.99, 0.500012625944),
        (0.5, 0.9, 0.138755980861),
    ],
)
def test_stationary_ratio_of_an_ema(rate, decay, ratio):
    """(1 - a) (1 + a r) / ((1 + a) (1 - a r)) of the variance of the iterates."""
    n = round(25 / min(rate, 1 - decay))
    assert _moments(ka.Ema(decay=decay), rate, n)[1] / _moments(ka.Raw(), rate, n)[1] == pytest.approx(ratio, rel=1e-9)


def test_decay_and_rate_are_symmetric():
    """EMA .99 at rate .1 has the variance of EMA .9 at rate .01, to the last digit."""
    first, second = _moments(ka.Ema(decay=0.99), 0.1, 5000)[1], _moments(ka.Ema(decay=0.9), 0.01, 5000)[1]
    assert first == pytest.approx(second, rel=1e-12) == pytest.approx(0.00458836917567, rel=1e-11)


@pytest.mark.parametrize(
    ("k", "a", "rate", "ratio"),
    [
        (5, 0.5, 0.1, 0.442972964693),
        (5, 0.8, 0.1, 0.760821625552),
        (10, 0.5, 0.01, 0.487755050203),
        (6, 0.5, 0.5, 0.336787564767),
    ],
)
def test_lookahead(k, a, rate, ratio):
    """Proposition 2 of arXiv 1907.08610 from its recursion, run long."""
    law = _moments(ka.Lookahead(every=k, follow=a), rate, 4000 * k)
    assert law[1] / _moments(ka.Raw(), rate, 5000)[1] == pytest.approx(ratio, rel=1e-9)


@pytest.mark.parametrize(("width", "gamma"), [(0.05, 16.972199), (0.1, 6.937204), (0.15, 3.557869)])
def test_width_and_exponent(width, gamma):
    """Figures of arXiv 2312.02696; there and back to 1e-12."""
    assert ka.gamma_of(width) == pytest.approx(gamma, abs=1e-6)
    assert ka.width_of(ka.gamma_of(width)) == pytest.approx(width, rel=1e-12)


@pytest.mark.parametrize(("gamma", "rate", "ratio"), [(6.94, 0.1, 0.07515313818), (16.97, 0.01, 0.6559251491)])
def test_power_average_of_a_stationary_path(gamma, rate, ratio):
    """Weighted sum of the autocovariances r^|k - l|, against a figure computed apart."""
    weights, r = power_weights(gamma, 1000)[1:], 1 - rate
    lags = (torch.arange(1000)[:, None] - torch.arange(1000)).abs()
    assert float(weights @ (r ** lags.double()) @ weights) == pytest.approx(ratio, rel=1e-8)


def test_schedule_free():
    """The variance at t = 1000, and the recursion against its coefficients on a unit of noise at each step."""
    assert _moments(ka.ScheduleFree(), n=1000)[1] == pytest.approx(0.00498468422072, rel=1e-9)
    rate, b, n = 0.3, 0.7, 12
    ends = []
    for j in range(n + 1):
        x = z = 1.0 if j == 0 else 0.0
        for t in range(1, n + 1):
            z = z - rate * ((1 - b) * z + b * x + (1.0 if t == j else 0.0))
            x = (1 - 1 / t) * x + z / t
        ends.append(x)
    mean, total = ends[0], sum(end**2 for end in ends[1:])
    factor, variance = ka.law(ka.ScheduleFree(momentum=b), ONE, rate, n)
    assert (float(factor), float(variance)) == (pytest.approx(mean, rel=1e-12), pytest.approx(total, rel=1e-12))


@pytest.mark.parametrize(
    ("method", "short", "long"),
    [
        (ka.Raw(), 2.129280, 5.791329),
        (ka.Ema(decay=0.99), 0.497441, 4.230686),
        (ka.Ema(decay=0.99, correction="debias"), 0.856703, 4.231050),
        (ka.Polyak(), 0.725078, 1.799398),
    ],
)
def test_expected_excess_loss_of_a_hundred_directions(method, short, long):
    """Curvature 1 / i^2, rate .5, n = 100 and 1000; debiasing loses at 100."""
    for steps, value in ((100, short), (1000, long)):
        bias, variance = Quadratic(rate=0.5, spectrum="inverse-square", steps=steps).exact(method)
        assert float(bias.square().sum() + variance.sum()) / 2 == pytest.approx(value, abs=1e-6)


def test_warm_ups():
    """Figures of the libraries' formulas: 10 and 1,000 steps after the first for timm, 100 for tensorflow."""
    timm, tensorflow = (ka.Ema(decay=0.9999, correction="warmup", warmup=word) for word in ("timm", "tensorflow"))
    assert 1 - timm.rate(11) == pytest.approx(0.797819991766, rel=1e-11)
    assert 1 - timm.rate(1001) == pytest.approx(0.990006661116, rel=1e-11)
    assert 1 - tensorflow.rate(101) == pytest.approx(0.918181818182, rel=1e-11)
    uniform = ka.Ema(decay=0.999, correction="warmup", warmup="power")
    assert torch.allclose(uniform.weights(50), ka.Polyak().weights(50), rtol=0, atol=1e-14)


def test_snapshots_give_a_width_afterwards():
    """Dense snapshots of two averages give a third profile: 1e-6 of its length (arXiv 2312.02696, section 3.2)."""
    wanted = power_weights(ka.gamma_of(0.07), 400)
    found = ka.PostHocEma(width=0.07, every=4).weights(400)
    assert float((found - wanted).norm() / wanted.norm()) < 2e-3
    taken = [(gamma, step) for step in range(4, 401, 4) for gamma in (ka.gamma_of(0.05), ka.gamma_of(0.1))]
    exact = combination(taken, ka.gamma_of(0.1), 400)
    assert sum(exact) == pytest.approx(1, abs=1e-9)
    assert exact[-1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("storage", "short"), [("float32", 2.98e-5), ("float64", 0.0), ("compensated", 0.0)])
def test_a_float32_average_stops_short(storage, short):
    """2^-25 / (1 - decay) of the distance; the other storages reach what the coefficients say to 1e-7."""
    method = ka.Ema(decay=0.999, storage=storage)
    found = follow(method, lambda step: min(step, 1.0), steps=12000, dtype=torch.float32)
    expected = stated(method, lambda step: min(step, 1.0), steps=12000)
    assert expected - found == pytest.approx(short - math.exp(12000 * math.log(0.999)) if short else 0, abs=2e-7)


def test_a_jitter_hides_the_stall_and_a_smaller_one_does_not():
    """A settled weight of 1, a shadow at 1.0002: noise of 1e-3 moves it, noise of 1e-4 leaves it for ever."""
    noise = torch.randn(6000, generator=torch.Generator().manual_seed(0)).tolist()

    def end(size):
        method = ka.Ema(decay=0.9999, storage="float32")
        return follow(
            method, lambda step: 1 + size * noise[step - 1] if step else 1.0002, steps=6000, dtype=torch.float32
        )

    exact = 1 + 2e-4 * 0.9999**6000
    assert end(1e-4) == pytest.approx(1.0002, abs=2e-6)
    assert end(1e-3) == pytest.approx(exact, abs=3e-5)


def test_an_ema_lags_by_its_memory():
    """Decay / (1 - decay) steps of a drift, once the start is forgotten; a uniform average lags (n - 1) / 2."""
    task = Drift(speed=0.01, steps=2000)
    assert task.at(2000) - follow(ka.Ema(decay=0.9), task.at, steps=2000, dtype=torch.float64) == pytest.approx(0.09)
    assert task.at(2000) - follow(ka.Polyak(), task.at, steps=2000, dtype=torch.float64) == pytest.approx(
        0.01 * 1999 / 2
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ka.Ema(decay=1.0), "decay must be in"),
        (lambda: ka.Ema(correction="half"), "correction must be"),
        (lambda: ka.Ema(storage="int8"), "storage must be one of"),
        (lambda: ka.Polyak(buffers="keep"), "buffers must be one of"),
        (lambda: ka.PowerEma(width=0.3), "width must be in"),
        (lambda: ka.Swa(every=0), "must be >= 1"),
        (lambda: ka.Lawa(last=0), "must be >= 1"),
        (lambda: ka.Lookahead(follow=0.0), "follow must be in"),
        (lambda: ka.ScheduleFree(momentum=1.0), "momentum must be in"),
        (lambda: ka.ScheduleFree().attach(torch.nn.Linear(1, 1)), "needs a learning rate"),
        (lambda: ka.Ema(buffers="recompute").attach(torch.nn.Linear(1, 1)), "needs batches"),
        (lambda: ka.Ema().attach(torch.nn.ReLU()), "no parameters"),
        (lambda: Quadratic(rate=2.0), "rate must be in"),
        (lambda: ConstantWeight(held="int8"), "held must be"),
    ],
)
def test_bad_input(make, words):
    """Each says what is allowed and what it got."""
    with pytest.raises(ValueError, match=words):
        make()
