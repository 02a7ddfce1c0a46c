"""Weights of layers as matrices, and back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kexue_orthogonality import Alone, Nothing, Session, Soft, WeightTarget, polar, targets_of
from kexue_orthogonality.tasks.layers import StackedConv2d, StackedLinear


def layers():
    """Every kind of weight: wide, tall and square, with and without a stack."""
    torch.manual_seed(0)
    return {
        "tall": WeightTarget(name="w", module=nn.Linear(5, 3)),
        "wide": WeightTarget(name="w", module=nn.Linear(3, 5)),
        "square": WeightTarget(name="w", module=nn.Linear(4, 4)),
        "kernel": WeightTarget(name="w", module=nn.Conv2d(2, 4, 3), kind="convolution"),
        "wide kernel": WeightTarget(name="w", module=nn.Conv2d(1, 16, 3, stride=2), kind="convolution"),
        "stack": WeightTarget(name="w", module=StackedLinear(torch.randn(2, 3, 5)), stacked=True),
        "wide stack": WeightTarget(name="w", module=StackedLinear(torch.randn(2, 5, 3)), stacked=True),
        "kernels": WeightTarget(
            name="w", module=StackedConv2d(torch.randn(2, 4, 2, 3, 3)), kind="convolution", stacked=True
        ),
        "states": WeightTarget(name="w", module=nn.RNN(3, 4), tensor="weight_hh_l0", kind="recurrent"),
    }


class Shift(nn.Module):
    """An invertible map of matrices."""

    def forward(self, matrix):
        return matrix + 1

    def right_inverse(self, matrix):
        return matrix - 1


@pytest.mark.parametrize("kind", layers())
def test_a_matrix_is_tall_and_goes_back_where_it_came_from(kind):
    """`to_weight(to_matrix(w)) = w`, d >= k, and columns are neurons."""
    target = layers()[kind]
    d, k = target.shape
    assert d >= k
    assert target.matrix().shape == (*target.stack, d, k)
    torch.testing.assert_close(target.to_weight(target.matrix()), target.weight())
    outputs = target.weight().shape[len(target.stack)]
    assert target.columns().shape[-1] == outputs
    if target.columns().shape == target.matrix().shape:
        torch.testing.assert_close(target.columns(), target.matrix())


@pytest.mark.parametrize("kind", layers())
def test_polar_makes_columns_orthonormal_and_keeps_the_nearest(kind):
    """W^T W = I, and what was assigned is what is read."""
    target = layers()[kind]
    before = target.matrix().detach().clone()
    target.polar_()
    eye = torch.eye(target.shape[1]).expand(*target.stack, -1, -1)
    torch.testing.assert_close(target.matrix().mT @ target.matrix(), eye, atol=1e-5, rtol=0)
    torch.testing.assert_close(target.matrix(), polar(before))


@pytest.mark.parametrize("kind", layers())
def test_a_parametrized_weight_is_the_map_of_what_is_trained(kind):
    """The weight is kept at registration, `assign_` goes through the map, and the stack stays in front."""
    target = layers()[kind]
    before = target.matrix().detach().clone()
    target.parametrize_(Shift())
    torch.testing.assert_close(target.matrix(), before)
    torch.testing.assert_close(target.to_matrix(target.parameter), before - 1)
    target.assign_(2 * before)
    torch.testing.assert_close(target.matrix(), 2 * before)
    assert target.parameter.shape == target.weight().shape
    with pytest.raises(ValueError, match="parametrized"):
        target.gradient()


def test_a_gradient_is_a_view_of_the_parameters():
    """Writing to it changes what the optimizer sees; before a backward pass it is an error."""
    target = layers()["wide"]
    with pytest.raises(ValueError, match="backward"):
        target.gradient()
    target.matrix().square().sum().backward()
    target.gradient().zero_()
    assert bool((target.parameter.grad == 0).all())


@pytest.mark.parametrize("kind", ["stack", "kernels"])
def test_answers_of_a_stack_are_those_of_its_layers(kind):
    """Without the bias, samples and positions flattened."""
    target = layers()[kind]
    x = torch.randn(2, 6, 5) if kind == "stack" else torch.randn(2, 6, 2, 4, 4)
    out = target.module(x)
    out = out if kind == "stack" else out.movedim(2, -1).flatten(1, -2)
    torch.testing.assert_close(target.responses(x), out, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(target.samples(x) @ target.columns(), out, atol=1e-5, rtol=1e-5)


def test_targets_of_a_model_are_its_matrices():
    """Linear layers, convolutions and plain recurrences, by name; an excluded module is left out with its contents."""
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Sequential(nn.Linear(4, 4)), nn.RNN(4, 4), nn.LayerNorm(4))
    with pytest.warns(UserWarning, match=r"left out of the targets: 3\.weight_ih_l0;"):
        targets = targets_of(model)
    assert [(t.name, t.kind) for t in targets] == [
        ("0.weight", "convolution"),
        ("2.0.weight", "linear"),
        ("3.weight_hh_l0", "recurrent"),
    ]
    with pytest.warns(UserWarning, match="weight_ih_l0"):
        assert [t.name for t in targets_of(model, exclude=("2", "0"))] == ["3.weight_hh_l0"]
    with pytest.raises(ValueError, match="got 'head'"):
        targets_of(model, exclude=("head",))
    with pytest.raises(ValueError, match="no linear"):
        targets_of(nn.LayerNorm(3))


def test_what_is_no_matrix_is_no_target():
    """A bias, and a kernel declared as linear."""
    with pytest.raises(ValueError, match="got 'b'"):
        WeightTarget(name="b", module=nn.Linear(2, 2), tensor="bias")
    with pytest.raises(ValueError, match="linear target"):
        WeightTarget(name="k", module=nn.Conv2d(1, 1, 3))


def test_a_session_needs_targets_and_knows_what_it_does_not_own():
    """Without an optimizer of its own, a method leaves every parameter to the loop."""
    with pytest.raises(ValueError, match="got none"):
        Nothing().attach(())
    model = nn.Linear(3, 2)
    assert Session(targets_of(model)).rest(model.parameters()) == list(model.parameters())


def test_surroundings_of_ones_own_are_seeded_and_apart():
    """The same seed gives the same numbers, replicates get other ones; the global generator is restored."""
    draws = [Alone(3, replicates=2).noise("method", stack=0).normal(2, 5) for _ in range(2)]
    assert torch.equal(*draws)
    assert not torch.equal(draws[0][0], draws[0][1])
    before = torch.get_rng_state()
    with Alone(3).global_rng("method"):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    with Alone(3).global_rng("method"):
        assert torch.equal(torch.rand(3), first)


def test_the_penalty_of_a_model_is_the_weighted_sum_over_its_targets():
    """And of a stack, one value per replicate."""
    model = nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 4))
    targets = targets_of(model)
    expected = 0.5 * sum(Soft().value(t.matrix()) for t in targets)
    torch.testing.assert_close(Soft(weight=0.5).attach(targets).penalty(), expected)
    stack = layers()["stack"]
    torch.testing.assert_close(Soft(weight=0.5).attach((stack,)).penalty(), 0.5 * Soft().value(stack.matrix()))
