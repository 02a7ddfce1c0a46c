"""Defects found in published implementations, each shown to be avoided here."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from kexue_orthogonality import L1Gram, Ocnn, OffDiagonal, SelfOrthogonality, Soft, SpectralNorm, Srip, targets_of
from kexue_orthogonality.methods.controls import WeightDecay


def tall(d=5, k=3):
    return torch.randn(d, k, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def gradient(method, w):
    w = w.clone().requires_grad_()
    method.value(w).backward()
    return w.grad


def test_the_off_diagonal_gradient_is_whole():
    """4 W (W'W - diag); half of it, as one implementation adds by hand, is a variant of the same value."""
    w = tall()
    gram = w.mT @ w
    expected = 4 * w @ (gram - torch.diag(gram.diagonal()))
    torch.testing.assert_close(gradient(OffDiagonal(), w), expected)
    released = OffDiagonal(gradient="released")
    torch.testing.assert_close(gradient(released, w), expected / 2)
    torch.testing.assert_close(released.value(w), OffDiagonal().value(w))


def test_the_absolute_value_is_not_forgotten():
    """The sum of W'W - I itself would be negative for short columns."""
    w = 0.1 * torch.eye(4, 3).double()
    assert float(L1Gram().value(w)) == pytest.approx(3 * 0.99)


def test_the_spectral_norm_of_a_wide_matrix_is_not_flat():
    """On the k x k Gram matrix it is at least 1, without gradient wherever all s^2 <= 2; ours uses the smaller one."""
    wide = torch.tensor([[1.1, 0.0, 0.0], [0.0, 0.9, 0.0]], dtype=torch.float64)
    assert float(Srip().value(wide)) == pytest.approx(0.21)
    assert float(gradient(Srip(), wide).norm()) > 1


def test_a_kernel_with_equal_taps_two_apart_is_seen(reference):
    """Weights 1 / sqrt 2 at offsets 0 and 2: padding by 1 misses that they overlap, and says 0 where 0.5 is true."""
    facts = reference["facts"]["blind_kernel"]
    kernel = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    kernel[0, 0, 0, 0] = kernel[0, 0, 0, 2] = 0.5**0.5
    assert float(Ocnn().kernel_value(kernel, (1, 1))) == pytest.approx(facts["true P=2 loss"])
    assert float(Ocnn(padding="released").kernel_value(kernel, (1, 1))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("stride", [1, 2])
def test_an_orthogonal_layer_has_no_penalty_at_any_stride(stride, reference):
    """The identity kernel, whose rows are orthonormal; padding by 1 at stride 2 says 2."""
    kernel = torch.zeros(2, 2, 3, 3, dtype=torch.float64)
    kernel[0, 0, 1, 1] = kernel[1, 1, 1, 1] = 1
    assert float(Ocnn().kernel_value(kernel, (stride, stride))) == 0
    expected = reference["kernel"]["identity_kernel_2x2x3x3"][f"released_s{stride}_pad1"]
    assert float(Ocnn(padding="released").kernel_value(kernel, (stride, stride))) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_penalty_of_a_kernel_is_that_of_its_operator(size, stride):
    """Against the dense matrix on an image without borders: |T T^T - I|^2 row by row, for one position of the output.

    Every other position gives the same numbers, shifted.
    """
    kernel = torch.randn(3, 2, size, size, generator=torch.Generator().manual_seed(size), dtype=torch.float64)
    side = stride * 2 * size + size
    basis = torch.eye(2 * side**2, dtype=torch.float64).reshape(-1, 2, side, side)
    dense = torch.nn.functional.conv2d(basis, kernel, stride=stride)
    rows = dense.permute(1, 2, 3, 0)
    middle = rows.shape[1] // 2
    overlaps = torch.einsum("ai,bxyi->abxy", rows[:, middle, middle], rows)
    overlaps[:, :, middle, middle] -= torch.eye(3)
    torch.testing.assert_close(Ocnn().kernel_value(kernel, (stride, stride)), overlaps.square().sum())


def test_the_stride_of_a_layer_is_heard():
    """Attached to a model, the penalty takes each layer's own stride."""
    layer = nn.Conv2d(2, 3, 3, stride=2, dtype=torch.float64)
    session = Ocnn(weight=1.0).attach(targets_of(layer))
    torch.testing.assert_close(session.penalty(), Ocnn().kernel_value(layer.weight, (2, 2)))


def test_a_kernel_is_one_matrix_and_not_many_small_ones():
    """(in h w) x out, so that filters are orthogonal to each other; not a batch of h x w matrices."""
    (target,) = targets_of(nn.Conv2d(4, 5, 3))
    assert target.shape == (36, 5)
    target.polar_()
    filters = target.module.weight.flatten(1)
    torch.testing.assert_close(filters @ filters.mT, torch.eye(5), atol=1e-5, rtol=0)


def test_embeddings_and_norms_are_left_alone():
    """Not everything with two dimensions is a weight to keep orthogonal."""
    model = nn.Sequential(nn.Embedding(4, 3), nn.LayerNorm((3, 3)), nn.Linear(3, 3))
    assert [target.name for target in targets_of(model)] == ["2.weight"]


@pytest.mark.parametrize(
    "method", [Soft(), Srip(solver="two-step"), SelfOrthogonality(), Ocnn(), WeightDecay(), SpectralNorm()]
)
def test_targets_may_come_from_a_generator(method):
    """They are iterated more than once, which would fail with an exhausted generator."""
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    session = method.attach(target for target in targets_of(model))
    assert [target.name for target in session.targets] == ["0.weight", "1.weight"]


def test_a_normalised_model_can_be_copied_and_stored():
    """Deep copies are independent, and a state dict loads into a fresh model of the same kind."""
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    SpectralNorm().attach(targets_of(model))
    twin, x = copy.deepcopy(model).eval(), torch.ones(1, 4)
    expected = model.eval()(x)
    torch.testing.assert_close(twin(x), expected)
    fresh = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    SpectralNorm().attach(targets_of(fresh))
    fresh.load_state_dict(model.state_dict())
    torch.testing.assert_close(fresh.eval()(x), expected)
    with torch.no_grad():
        model[0].parametrizations.weight.original.zero_()
    assert float(twin(x).detach().abs().sum()) == float(expected.detach().abs().sum())


def test_the_normalised_weight_has_norm_one():
    """After some passes in training mode the largest singular value is 1, and evaluation does not change it."""
    layer = nn.Linear(6, 5)
    SpectralNorm(iterations=5).attach(targets_of(layer))
    for _ in range(20):
        layer(torch.ones(1, 6))
    layer.eval()
    first, second = layer.weight.detach(), layer.weight.detach()
    assert torch.equal(first, second)
    assert float(torch.linalg.matrix_norm(first, 2)) == pytest.approx(1, rel=1e-4)


def test_weight_decay_adds_a_multiple_of_the_weight():
    """To the gradient, in place, keeping the gradient of the network."""
    layer = nn.Linear(4, 3)
    session = WeightDecay(weight=0.5).attach(targets_of(layer))
    layer(torch.ones(2, 4)).sum().backward()
    before = layer.weight.grad.clone()
    with torch.no_grad():
        session.gradient_()
    torch.testing.assert_close(layer.weight.grad, before + 0.5 * layer.weight.detach())
