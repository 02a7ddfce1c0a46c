"""Estimators in torch's modes: copies, files and inference mode."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from gradient_objects import NAMES, build, law, numbers, square

from kexue_bench.lab.noise import Noise
from kexue_gradients import FunctionObjective

LEARNED = [name for name in NAMES if hasattr(build(name), "adapt")]


@pytest.mark.parametrize("name", NAMES)
def test_an_estimator_is_copied_and_pickled(name):
    """The copy and the pickled one equal the estimator."""
    method = build(name)
    assert copy.deepcopy(method) == method
    assert pickle.loads(pickle.dumps(method)) == method  # our own bytes


@pytest.mark.parametrize("name", LEARNED)
def test_a_learned_state_is_loaded_with_the_defaults_of_torch(name):
    """`torch.save` and `torch.load`, which takes weights only, give the state back, and the next step is the same."""
    method, objective = build(name), FunctionObjective(square("bernoulli"))
    distribution = law("bernoulli", numbers("bernoulli", torch.float32))
    state = method.init(distribution, Noise.seeded(1))
    _, state = method.adapt(distribution, objective, Noise.seeded(2), 3, state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded = torch.load(buffer)
    assert type(loaded) is type(state)
    again = [method.adapt(distribution, objective, Noise.seeded(3), 3, one)[0].gradient for one in (state, loaded)]
    assert torch.equal(*again)


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
@pytest.mark.parametrize("name", NAMES)
def test_inference_mode_gives_the_same_numbers_or_says_what_to_use(name, kind):
    """An estimate is a value without a graph, so inference mode changes nothing; learning needs `no_grad` instead."""
    method, objective = build(name), FunctionObjective(square(kind))
    try:
        distribution = law(kind, numbers(kind, torch.float32))
        state = method.init(distribution, Noise.seeded(1)) if hasattr(method, "init") else None
        expected = method.estimate(distribution, objective, Noise.seeded(2), 3, state).gradient
    except (ValueError, AttributeError):
        return
    with torch.inference_mode():
        try:
            found = method.estimate(distribution, objective, Noise.seeded(2), 3, state).gradient
        except ValueError as error:
            assert "use torch.no_grad()" in str(error)  # noqa: PT017  # either outcome is right
            return
    assert torch.equal(found, expected)
