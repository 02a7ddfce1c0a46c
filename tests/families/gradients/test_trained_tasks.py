"""The further trainings: scores by brute force, starts and optima in closed form, stacks against single replicates."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_gradients import Distribution

STATES = {
    "bits": np.array(list(itertools.product([0.0, 1.0], repeat=8))),
    "classes": np.array([np.eye(4)[list(c)] for c in itertools.product(range(4), repeat=4)]),
}


def training(build, context, name, method, *, replicates=(0,), **params):
    task = build(name, **params)
    ctx = context(name, params, replicates=replicates, dtype="float64")
    made = task.build(method, ctx)
    return made, task.measure(made, ctx)


def softplus(a):
    return np.logaddexp(0, a)


def brute_force(layout, parameters, seen, target, *, prior):
    """`E_q log p(target|b)`, minus the divergence from the uniform prior, over all 256 states."""
    we, be, wd, bd = parameters
    logits = (2 * seen - 1) @ we + be
    states = STATES[layout].reshape(256, -1)
    if layout == "bits":
        log_q = logits @ states.T - softplus(logits).sum(-1, keepdims=True)
    else:
        blocks = logits.reshape(-1, 4, 4)
        log_p = blocks - np.log(np.exp(blocks).sum(-1, keepdims=True))
        log_q = log_p.reshape(-1, 16) @ states.T
    pixels = (2 * states - 1) @ wd + bd
    value = target @ pixels.T - softplus(pixels).sum(-1)
    if prior:
        value = value - math.log(256) - log_q
    return float((np.exp(log_q) * value).sum(-1).mean())


@pytest.mark.parametrize(
    ("name", "layout", "half"),
    [("digits-vae-classes", "classes", False), ("digits-completion", "bits", True)],
)
def test_scores_by_brute_force(build, context, name, layout, half):
    """After five steps the recorded bound is the sum over all states, on both splits (numpy, 1e-10)."""
    made, measure = training(build, context, name, build("rloo"), replicates=(0, 1))
    for _ in range(5):
        made.step()
    found, state = measure(), made.model.state_dict()
    for r in range(2):
        names = ("encoder_weight", "encoder_bias", "decoder_weight", "decoder_bias")
        parameters = [state[n][r].numpy() for n in names]
        for metric, images in (("elbo", made.model.train_images), ("elbo-test", made.model.test_images)):
            x = images[r].numpy()
            seen, target = (x[:, :32], x[:, 32:]) if half else (x, x)
            expected = brute_force(layout, parameters, seen, target, prior=not half)
            assert float(found[metric][r]) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", ["digits-vae-classes", "digits-completion"])
def test_the_exact_method_follows_the_score(build, context, name):
    """One step of `exact` moves the parameters by Adam's first step, the sign of the gradient of the score.

    The gradient of the score on the batch by autograd through the brute-force bound of the model itself; Adam's first
    step is `-lr g / (|g| + 1e-8)`.
    """
    made, _ = training(build, context, name, build("exact"))
    batch = made.batches(0)
    with torch.enable_grad():
        (-made.model.bound(batch).sum()).backward()
    expected = {}
    for key, parameter in made.model.named_parameters():
        expected[key] = parameter.detach() - 3e-3 * parameter.grad / (parameter.grad.abs() + 1e-8)
        parameter.grad = None
    made.step()
    for key, parameter in made.model.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[key], rtol=0, atol=1e-7, msg=key)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("digits-vae-classes", "reinmax"),
        ("digits-completion", "rloo"),
        ("polynomial-programming", "rloo"),
        ("double-cv-toy", "reinforce"),
        ("double-cv-toy", "disarm"),
    ],
)
def test_a_stack_equals_its_singles(build, context, name, method):
    """Two replicates trained together end where each ends alone (10 steps, float64)."""
    stacked, _ = training(build, context, name, build(method), replicates=(0, 1))
    singles = [training(build, context, name, build(method), replicates=(r,))[0] for r in range(2)]
    for made in (stacked, *singles):
        for _ in range(10):
            made.step()
    for r, single in enumerate(singles):
        for key, value in single.model.named_parameters():
            found = dict(stacked.model.named_parameters())[key][r]
            torch.testing.assert_close(found, value[0], rtol=0, atol=1e-11)


@pytest.mark.parametrize("power", [1.5, 2.0, 3.0])
def test_polynomial_programming_from_start_to_optimum(build, context, power):
    """It starts halfway, within what logits of 0.01 allow, and `exact` goes down to the optimum from either side.

    The excess is the mean probability of the worse side times `.55^power - .45^power`.
    """
    made, measure = training(build, context, "polynomial-programming", build("exact"), power=power)
    step = 0.55**power - 0.45**power
    assert float(measure()["excess"]) == pytest.approx(step / 2, rel=0.01)
    made.model.logits[0, 0] = torch.tensor([-30.0, 30.0])
    made.model.logits[0, 1:, 0] = 30.0
    made.model.logits[0, 1:, 1] = -30.0
    assert float(measure()["excess"]) == pytest.approx(step * 127 / 128, rel=1e-9)
    made.model.logits[:] = 0.0
    before = float(measure()["excess"])
    for _ in range(20):
        made.step()
    assert float(measure()["excess"]) < before - 20 * 0.9e-3 * step / 2


def test_the_objective_of_polynomial_programming(build, context):
    """It is the mean of `|x_0 - .45|^p`, and its table gives the exact gradient, `v (.55^p - .45^p) / 128` (numpy)."""
    task = build("polynomial-programming", power=3.0)
    logits = Noise.seeded(0, dtype=torch.float64).normal(1, 64, 128, 2)
    law = Distribution(kind="categorical", logits=logits)
    sample = build("exact").estimate(law, task.objective(logits), Noise.seeded(0), 1)
    p = np.exp(logits.numpy())
    p = p[..., 0] / p.sum(-1)
    expected = p * (1 - p) * (0.55**3 - 0.45**3) / 128
    np.testing.assert_allclose(sample.gradient[0, ..., 0].numpy(), expected, rtol=1e-10)
    np.testing.assert_allclose(sample.value[0].numpy(), (p * 0.55**3 + (1 - p) * 0.45**3).mean(-1), rtol=1e-12)


def test_double_cv_toy_goes_up(build, context):
    """It starts at 0.250001, and 600 steps of `exact`, each of them an increase, go most of the way to 0.251001."""
    made, measure = training(build, context, "double-cv-toy", build("exact"))
    assert float(measure()["objective"]) == pytest.approx(0.499**2 / 2 + 0.501**2 / 2, abs=1e-12)
    for _ in range(600):
        made.step()
    assert 0.25095 < float(measure()["objective"]) < 0.251001


@pytest.mark.parametrize(
    ("name", "fields", "says"),
    [
        ("digits-vae-classes", {"steps": 0}, "steps must be >= 1, got 0"),
        ("digits-completion", {"lr": 0.0}, "lr must be > 0, got 0.0"),
        ("polynomial-programming", {"power": 1.0}, "power must be > 1, got 1.0"),
        ("polynomial-programming", {"steps": 0}, "steps must be >= 1, got 0"),
        ("double-cv-toy", {"steps": 0}, "steps must be >= 1, got 0"),
        ("double-cv-toy", {"repeats": 0}, "repeats must be >= 1, got 0"),
    ],
)
def test_parameters_are_validated(build, name, fields, says):
    """A value out of range is rejected with what was got."""
    with pytest.raises(ValueError, match=says):
        build(name, **fields)
