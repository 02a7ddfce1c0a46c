"""Properties of every loss, including its behavior on batches without positives."""

from __future__ import annotations

import installed
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kexue_f1 as f1

# Cross-entropy over classes has no binary form; it is checked against torch below.
NAMES = [spec.name for spec in installed.methods("f1") if spec.name != "cross-entropy"]
SEVERAL = [name for name in NAMES if name != "lovasz-softmax"]


def _batch(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(*shape, generator=generator, dtype=dtype)
    return z, (torch.rand(*shape, generator=generator) < 0.3).to(dtype)


@pytest.mark.parametrize("name", NAMES)
def test_shapes(losses, name):
    """`[B]` gives a number, `[R, B]` one for each problem, and each problem has the same loss as alone."""
    method = losses[name]
    z, y = _batch(3, 20)
    together, _ = method.loss(z, y, method.init(y))
    assert together.shape == (3,)
    for r in range(3):
        alone, _ = method.loss(z[r], y[r], method.init(y[r]))
        assert alone.shape == ()
        torch.testing.assert_close(together[r], alone)


@pytest.mark.parametrize("name", SEVERAL)
def test_several_labels_have_one_loss_a_problem(losses, name):
    """`[R, B, C]` gives `[R]`, and each problem has the same loss as alone."""
    method = losses[name]
    z, y = _batch(3, 20, 4)
    together, _ = method.loss(z, y, method.init(y))
    alone = torch.cat([method.loss(z[r : r + 1], y[r : r + 1], method.init(y[r : r + 1]))[0] for r in range(3)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", [n for n in SEVERAL if n != "zlpr"])
def test_one_label_is_a_binary_problem(losses, name):
    """`[R, B, 1]` and `[R, B]` have the same loss; zlpr is excluded because its set is one label, not the batch."""
    method = losses[name]
    z, y = _batch(3, 20)
    flat, _ = method.loss(z, y, method.init(y))
    deep, _ = method.loss(z.unsqueeze(2), y.unsqueeze(2), method.init(y.unsqueeze(2)))
    torch.testing.assert_close(flat, deep)


@pytest.mark.parametrize("name", NAMES)
def test_order_does_not_matter(losses, name):
    """A permutation of the items does not change the loss."""
    method = losses[name]
    z, y = _batch(1, 20)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    state = method.init(y)
    torch.testing.assert_close(method.loss(z, y, state)[0], method.loss(z[:, order], y[:, order], state)[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_inputs_are_kept(losses, name, dtype):
    """The loss has the dtype of the logits, whatever the dtype of the targets; the inputs are not modified."""
    method = losses[name]
    z, y = _batch(2, 20, dtype=dtype)
    before = z.clone(), y.clone()
    value, _ = method.loss(z, y.long(), method.init(y.long()))
    assert value.dtype == dtype
    assert torch.equal(z, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["no positives", "no negatives", "certain", "equal", "one item"])
def test_extreme_batches_stay_finite(losses, name, kind):
    """Value and gradient are finite if counts are zero, scores are huge or tied, or there is only one item."""
    method = losses[name]
    z, y = _batch(2, 1 if kind == "one item" else 12, dtype=torch.float32)
    if kind == "no positives":
        y = torch.zeros_like(y)
    elif kind == "no negatives":
        y = torch.ones_like(y)
    elif kind == "certain":
        z = 200 * z.sign()
    elif kind == "equal":
        z = torch.zeros_like(z)
    with torch.enable_grad():
        at = z.clone().requires_grad_()
        value, _ = method.loss(at, y, method.init(y))
        (gradient,) = torch.autograd.grad(value.sum(), at)
    assert bool(value.isfinite().all())
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize(
    ("method", "zero"),
    [
        (f1.SoftF1(), True),
        (f1.SoftF1(eps=1.0), False),
        (f1.Tversky(), True),
        (f1.SigmoidF1(), True),
        (f1.AnyLossF1(), True),
        (f1.LovaszSoftmax(), True),
        (f1.EbanBound(), True),
        (f1.SmoothAp(), True),
        (f1.DoubleSoftF1(), False),
        (f1.BceDice(), False),
    ],
    ids=repr,
)
def test_gradient_of_a_batch_without_positives(method, zero):
    """It is exactly zero without smoothing, and `eps p' / (sum p + eps)^2` with eps, which lowers every score."""
    z, _ = _batch(1, 16)
    y = torch.zeros_like(z)
    with torch.enable_grad():
        at = z.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(method.loss(at, y)[0].sum(), at)
    assert bool((gradient == 0).all()) == zero
    if method == f1.SoftF1(eps=1.0):
        p = torch.sigmoid(z)
        torch.testing.assert_close(gradient, p * (1 - p) / (p.sum() + 1) ** 2)


@given(
    z=st.lists(st.floats(-6, 6, width=32), min_size=6, max_size=6),
    y=st.lists(st.sampled_from([0.0, 1.0]), min_size=6, max_size=6),
)
@settings(max_examples=12, deadline=None)
def test_lovasz_hinge_is_the_support_function_over_all_orders(z, y):
    """The Lovász extension of a submodular function is the maximum over all orders of its greedy value."""
    import itertools

    if not any(y):
        return
    z, y = torch.tensor(z, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
    errors = (1 - (2 * y - 1) * z).relu()

    def jaccard_loss(wrong):
        predicted = torch.where(wrong, 1 - y, y)
        union = torch.maximum(predicted, y).sum()
        return 1 - (predicted * y).sum() / union

    best = -torch.inf
    for order in itertools.permutations(range(6)):
        wrong, last, total = torch.zeros(6, dtype=torch.bool), 0.0, 0.0
        for i in order:
            wrong[i] = True
            now = float(jaccard_loss(wrong))
            total += float(errors[i]) * (now - last)
            last = now
        best = max(best, total)
    assert float(f1.LovaszHinge().loss(z, y)[0]) == pytest.approx(best, abs=1e-9)


def test_eban_bound_is_held_where_its_denominator_would_turn():
    """With every positive far on the wrong side, the loss stays above 1 and its gradient raises the positives."""
    z, y = torch.tensor([-9.0, -9.0, -3.0]), torch.tensor([1.0, 1.0, 0.0])
    with torch.enable_grad():
        at = z.clone().requires_grad_()
        value, _ = f1.EbanBound().loss(at, y)
        (gradient,) = torch.autograd.grad(value, at)
    assert float(value.detach()) >= 1
    assert bool((gradient[:2] < 0).all())


def test_dinkelbach_starts_at_calling_all_positive_and_follows_f1():
    """The level starts at 2 pi / (1 + pi), then is the F1 of z > 0, and is kept if that is 0."""
    method, y = f1.Dinkelbach(), torch.tensor([1.0, 0.0, 0.0, 0.0])
    level = method.init(y)
    assert float(level) == pytest.approx(2 * 0.25 / 1.25)
    up = method.refresh(torch.tensor([1.0, 1.0, -1.0, -1.0]), y, level)
    assert float(up) == pytest.approx(2 / 3)
    assert float(method.refresh(-torch.ones(4), y, up)) == pytest.approx(2 / 3)


def test_dinkelbach_at_its_level_is_cost_sensitive():
    """Dinkelbach and cost-sensitive have the same loss at the same level."""
    z, y = _batch(20)
    level = torch.full((1, 1, 1), 0.6, dtype=torch.float64)
    torch.testing.assert_close(f1.Dinkelbach().loss(z, y, level)[0], f1.CostSensitive(level=0.6).loss(z, y)[0])


def test_cross_entropy_of_classes_is_that_of_torch():
    """It is the mean over items of each problem; a binary batch is rejected."""
    z, _ = _batch(2, 20, 3)
    target = torch.randint(3, (2, 20), generator=torch.Generator().manual_seed(0))
    ours, _ = f1.CrossEntropy().loss(z, torch.nn.functional.one_hot(target, 3))
    theirs = torch.stack([torch.nn.functional.cross_entropy(z[r], target[r]) for r in range(2)])
    torch.testing.assert_close(ours, theirs)
    with pytest.raises(ValueError, match="C >= 2 classes"):
        f1.CrossEntropy().loss(torch.zeros(3), torch.zeros(3))


def test_balanced_weights_are_negatives_over_positives():
    """The default weight comes from the training data, and a given weight needs no state."""
    z, y = _batch(40)
    ratio = float((1 - y).sum() / y.sum())
    method = f1.WeightedBinaryCrossEntropy()
    expected = f1.WeightedBinaryCrossEntropy(weight=ratio).loss(z, y)[0]
    torch.testing.assert_close(method.loss(z, y, method.init(y))[0], expected)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: f1.SoftF1(eps=-1.0), "eps must be >= 0, got -1.0"),
        (lambda: f1.SoftF1(average="weighted"), "average must be one of macro, micro, samples"),
        (lambda: f1.SoftF1(link="relu"), "link must be one of"),
        (lambda: f1.SoftF1(beta=0.0), "beta must be > 0"),
        (lambda: f1.Focal(alpha=1.0), "alpha must lie in"),
        (lambda: f1.CostSensitive(level=1.0), "level must lie in"),
        (lambda: f1.Dinkelbach(every=0), "every must be >= 1"),
        (lambda: f1.GlobalSoftF1(every=0), "every must be >= 1"),
        (lambda: f1.EmaSoftF1(decay=1.0), "decay must lie in"),
        (lambda: f1.AsymmetricLoss(margin=1.0), "margin must lie in"),
        (lambda: f1.Aucm(version="v3"), "version must be v1 or v2"),
        (lambda: f1.Tversky(alpha=0.0), "alpha must be > 0"),
        (lambda: f1.AnyLossF1(steepness=float("nan")), "steepness must be > 0"),
        (lambda: f1.SmoothAp(temperature=0.0), "temperature must be > 0"),
        (lambda: f1.WeightedBinaryCrossEntropy(weight=-1.0), "weight must be >= 0"),
        (lambda: f1.SoftF1().loss(torch.zeros(3), torch.zeros(4)), "the same shape"),
        (lambda: f1.SoftF1().loss(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4)), r"\[B\], \[R, B\]"),
        (lambda: f1.SoftF1().loss(torch.zeros(0), torch.zeros(0)), "not empty"),
        (lambda: f1.LovaszSoftmax().loss(torch.zeros(1, 2, 3), torch.ones(1, 2, 3)), "one true class per item"),
        (lambda: f1.WeightedBinaryCrossEntropy().loss(torch.zeros(3), torch.ones(3)), "init"),
        (lambda: f1.Dinkelbach().loss(torch.zeros(3), torch.ones(3)), "level is missing"),
        (lambda: f1.GlobalSoftF1().loss(torch.zeros(3), torch.ones(3)), "counts"),
        (lambda: f1.EmaSoftF1().loss(torch.zeros(3), torch.ones(3)), "running means"),
    ],
)
def test_errors_say_what_and_what_to_do(build, says):
    """Invalid arguments raise a ValueError that names the argument and its value or the remedy."""
    with pytest.raises(ValueError, match=says):
        build()
