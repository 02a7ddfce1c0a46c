"""What f may return: one number a row, of any dtype; everything else is refused at the door."""

from __future__ import annotations

import pytest
import torch
from gradient_objects import NAMES, law, numbers, three_steps

from kexue_bench.lab.noise import Noise
from kexue_gradients import Distribution, FunctionObjective, Gamma, GradSample

REWARDS = {
    "int64": lambda x: (x.sum(-1) > 1).long(),
    "bool": lambda x: x.sum(-1) > 1,
    "float16": lambda x: (x.sum(-1) > 1).half(),
    "float64": lambda x: (x.sum(-1) > 1).double(),
}


@pytest.mark.parametrize("reward", sorted(REWARDS))
@pytest.mark.parametrize("name", NAMES)
def test_rewards_of_any_dtype_are_numbers(name, reward):
    """Counts and booleans give what the same f in the dtype of x gives."""
    f, distribution = REWARDS[reward], law("bernoulli", numbers("bernoulli", torch.float32))
    expected = three_steps(name, distribution, lambda x: f(x).to(x.dtype), Noise.seeded(3), black_box=True)
    found = three_steps(name, distribution, f, Noise.seeded(3), black_box=True)
    assert (found is None) == (expected is None)
    if found is not None:
        assert torch.equal(found.gradient, expected.gradient)
        assert found.value.dtype == torch.float32


@pytest.mark.parametrize(
    "f",
    [
        pytest.param(lambda x: x.sum(-1, keepdim=True), id="last axis kept"),
        pytest.param(lambda x: x.sum(), id="scalar"),
        pytest.param(lambda x: x.sum(-1).T, id="transposed"),
        pytest.param(lambda x: x, id="not summed"),
        pytest.param(lambda x: x.sum(-1)[:1], id="one row"),
    ],
)
@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 6])
def test_another_shape_than_one_number_a_row_is_refused(f, gradient, rows):
    """It would broadcast, and the gradient be off by the size of the batch."""
    if rows == 1 and f(torch.ones(1, 4, 3)).shape == (1, 4):
        pytest.skip("one row is all there is")
    objective = FunctionObjective(f)
    ask = objective.value_and_gradient if gradient else objective.value
    with pytest.raises(ValueError, match="must return"):
        ask(torch.ones(rows, 4, 3))


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian"])
def test_a_mean_over_the_batch_is_refused(kind):
    """F of `[S]` has the rank of an f of classes without a batch; bits and normal variables are no classes."""
    distribution = law(kind, numbers(kind, torch.float32))
    x = distribution.sample(Noise.seeded(0), 6)
    for ask in (FunctionObjective(lambda x: x.sum((-1, -2))), FunctionObjective(lambda x: x.square().mean((-1, -2)))):
        with pytest.raises(ValueError, match="without a batch; do not sum over the rows"):
            ask.value(x)


def test_classes_without_a_batch_are_not_refused():
    """`[S]` is right for logits `[L, K]`, at vertices and inside the simplex."""
    distribution = Distribution(kind="categorical", logits=torch.zeros(3, 5))
    for x in (distribution.sample(Noise.seeded(0), 6), distribution.relax(torch.zeros(6, 3, 5), 0.5)):
        assert FunctionObjective(lambda x: x[..., 0].sum(-1)).value(x).shape == (6,)


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("name", NAMES)
def test_a_kept_axis_of_one_variable_gives_no_other_gradient(name, batch):
    """F that forgets to sum over L = 1 classes returns `[S, B, 1]`: an error or the same gradient, never another."""
    distribution = Distribution(kind="categorical", logits=numbers("categorical", torch.float32)[:batch, :1])
    expected = three_steps(name, distribution, lambda x: x[..., 0].square().sum(-1), Noise.seeded(3))
    try:
        found = three_steps(name, distribution, lambda x: x[..., 0].square(), Noise.seeded(3))
    except RuntimeError:
        return
    if found is not None:
        torch.testing.assert_close(found.gradient, expected.gradient)


@pytest.mark.parametrize(
    ("kind", "f", "message"),
    [
        ("bernoulli", lambda x: x.sum((-1, -2)), r"got \[6\]"),
        ("categorical", lambda x: x[..., 0], r"got \[6, 4, 1\]"),
        ("categorical", lambda x: x[..., 0].sum((-1, -2)), r"got \[6\]"),
        ("gamma", lambda x: x, r"got \[6, 4, 1\]"),
    ],
)
def test_the_event_of_the_law_decides_and_not_what_values_look_like(kind, f, message):
    """Single variables: bits that are all 1 look like one class, and an f that keeps the axis like a batch of bits."""
    logits = torch.full((4, 1, 3) if kind == "categorical" else (4, 1), 20.0)
    distribution = Gamma(shape=logits) if kind == "gamma" else Distribution(kind=kind, logits=logits)
    x = distribution.sample(Noise.seeded(0), 6)
    with pytest.raises(ValueError, match=message):
        FunctionObjective(f, event_dims=distribution.event_dims).value(x)
    right = FunctionObjective(lambda x: x.flatten(2).sum(-1), event_dims=distribution.event_dims)
    assert right.value(x).shape == (6, 4)


def test_single_variables_without_the_event_of_the_law_are_asked_about():
    """A batch of one bit each that is summed, and one class without a batch, have the same shapes."""
    with pytest.raises(ValueError, match=r"gave \[6\].*event_dims=law.event_dims"):
        FunctionObjective(lambda x: x.sum((-1, -2))).value(torch.ones(6, 4, 1))
    assert FunctionObjective(lambda x: x.sum((-1, -2)), event_dims=2).value(torch.ones(6, 4, 1)).shape == (6,)


def test_a_number_instead_of_a_tensor_is_refused():
    """`.item()` in f."""
    with pytest.raises(TypeError, match="got float"):
        FunctionObjective(lambda x: float(x.sum())).value(torch.ones(2, 4, 3))


def test_an_f_without_a_gradient_says_so():
    """A reward that was cut off its graph, asked for its gradient."""
    with pytest.raises(ValueError, match="values only"):
        FunctionObjective(REWARDS["bool"]).value_and_gradient(torch.ones(2, 4, 3))


def test_a_sample_needs_values_along_its_gradients():
    """Gradients [R, B, L] with values [R, B, 1], or of another batch."""
    for shape in ((5, 4, 1), (5, 3), (4,)):
        with pytest.raises(ValueError, match="need the shape"):
            GradSample(gradient=torch.zeros(5, 4, 3), value=torch.zeros(shape))
