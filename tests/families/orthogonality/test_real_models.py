"""Methods on the layers of real models: half precision, groups, tied, frozen, empty and dead weights, formats."""

from __future__ import annotations

import copy
import pkgutil
import warnings

import installed
import pytest
import torch
from torch import nn

import kexue_orthogonality as ko
from kexue_orthogonality import Ocnn, Parametrization, Soft, SpectralNorm, WeightDecay, WeightTarget, targets_of
from kexue_orthogonality.methods.penalty import Penalty, cosines
from kexue_orthogonality.targets import polar

HALF = [torch.float16, torch.bfloat16]
SPECS = {spec.name: spec for spec in installed.methods("orthogonality") if not spec.requires}
METHODS = list(SPECS)
PENALTIES = [name for name, spec in SPECS.items() if issubclass(pkgutil.resolve_name(spec.target), Penalty)]
MAPS = ("cayley", "matrix_exp", "householder")


def _step(method, model, x, dtype=None):
    """One forward and backward pass and every hook of a step; returns the penalty."""
    joins = method.attach(targets_of(model))
    rest = joins.rest(p for p in model.parameters() if p.requires_grad)
    own = [torch.optim.SGD(rest, lr=0.1)] if rest else []
    with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
        loss = model(x).float().square().mean()
        penalty = joins.penalty()
    (loss if penalty is None else loss + penalty).backward()
    if not isinstance(method, ko.WeightDecay) or any(p.grad is not None for p in model.parameters()):
        joins.gradient_()
    for optimizer in (*joins.optimizers(), *own):
        optimizer.step()
    joins.after_(10)
    return penalty


def _linear(dtype=torch.float32, outputs=6, inputs=10):
    torch.manual_seed(0)
    return nn.Linear(inputs, outputs).to(dtype)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", METHODS)
def test_a_step_in_half_precision_is_that_of_float32_rounded(build, name, dtype):
    """The weight after one step, and the penalty, differ from those of float32 by a few roundings."""
    half, full = _linear(dtype), _linear(dtype).float()
    x = torch.linspace(-1, 1, 40).reshape(4, 10)
    penalty, expected = _step(build(name), half, x.to(dtype)), _step(build(name), full, x)
    eps = torch.finfo(dtype).eps
    assert half.weight.dtype == dtype
    torch.testing.assert_close(half.weight.float(), full.weight, rtol=8 * eps, atol=8 * eps)
    if penalty is not None:
        assert penalty.dtype == dtype
        torch.testing.assert_close(penalty.float(), expected, rtol=8 * eps, atol=8 * eps)


@pytest.mark.parametrize("name", METHODS)
def test_autocast_does_not_reach_inside(build, name):
    """Under autocast to bfloat16 float32 weights keep the penalty of float32, and the parametrized weight its bits."""
    mixed, plain = _linear(), _linear()
    x = torch.linspace(-1, 1, 40).reshape(4, 10)
    a = build(name).attach(targets_of(mixed))
    b = build(name).attach(targets_of(plain))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed(x)
        weight, found = mixed.weight, a.penalty()
    plain(x)
    assert torch.equal(weight, plain.weight)
    expected = b.penalty()
    if expected is not None:
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
@pytest.mark.parametrize("name", MAPS)
def test_a_parametrized_half_precision_layer_is_orthogonal(name, dtype):
    """The weight is the polar factor of the initial one, up to the rounding of its entries."""
    layer = _linear(dtype)
    start = layer.weight.detach().double()
    Parametrization(map=name).attach(targets_of(layer))
    torch.testing.assert_close(
        layer.weight.detach().double(), polar(start.mT).mT, rtol=0, atol=16 * torch.finfo(dtype).eps
    )


class _NoKernel(nn.Module):
    def forward(self, free):
        return free

    def right_inverse(self, matrix):
        raise NotImplementedError("no kernel")


def test_a_start_that_cannot_be_computed_is_an_error():
    """Without this, torch goes on from other weights and says nothing."""
    (target,) = targets_of(_linear())
    with pytest.raises(TypeError, match="cannot be parametrized"):
        target.parametrize_(_NoKernel())


@pytest.mark.parametrize("shape", [(8, 8, 1, 2), (6, 6, 3, 6), (4, 8, 3, 4), (8, 4, 3, 2)])
@pytest.mark.parametrize("layer", [nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d])
@pytest.mark.parametrize("name", METHODS)
def test_a_grouped_layer_is_its_groups(build, name, layer, shape):
    """The penalty is the sum of those of one layer for each group; every constraint holds group by group."""
    inputs, outputs, size, groups = shape
    method = build(name)
    if name == "som":
        method = build(name, estimator="exact")
    torch.manual_seed(0)
    whole = layer(inputs, outputs, size, groups=groups, bias=False)
    parts = []
    for rows in whole.weight.detach().chunk(groups):
        part = layer(inputs // groups, outputs // groups, size, bias=False)
        part.weight.data.copy_(rows)
        parts.append(part)
    found = method.attach(targets_of(whole)).penalty()
    alone = [method.attach(targets_of(part)).penalty() for part in parts]
    if found is not None:
        torch.testing.assert_close(found, torch.stack(alone).sum())
    if name != "spectral-norm":
        torch.testing.assert_close(whole.weight, torch.cat([part.weight for part in parts]), rtol=1e-4, atol=1e-5)


def test_an_identity_of_depthwise_filters_costs_nothing():
    """A layer that returns its input is orthogonal, whatever its groups."""
    layer = nn.Conv2d(6, 6, 3, groups=6, padding=1, bias=False)
    nn.init.dirac_(layer.weight, groups=6)
    x = torch.randn(2, 6, 8, 8)
    assert torch.equal(layer(x), x)
    for method in (ko.Ocnn, ko.Soft, ko.Srip, ko.OffDiagonal, ko.Cosine, ko.Coherence, ko.McEntry, ko.McInduced):
        assert method(weight=1.0).attach(targets_of(layer)).penalty().item() == 0


@pytest.mark.parametrize("groups", [1, 2])
def test_responses_of_groups_are_samples_times_columns(groups):
    """Group by group, and together they are the output of the layer."""
    layer = nn.Conv2d(4, 6, 3, groups=groups, padding=1, stride=2, bias=False)
    (target,) = targets_of(layer)
    x = torch.randn(2, 4, 6, 6)
    found = target.responses(x)
    torch.testing.assert_close(found, target.samples(x) @ target.columns(), rtol=1e-4, atol=1e-6)
    together = found.movedim(0, 1).flatten(1) if groups > 1 else found
    torch.testing.assert_close(together, layer(x).movedim(1, -1).flatten(0, -2))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_operator_of_a_dilated_layer_is_heard(stride, dilation, groups):
    """OCNN is |A A' - I|^2 over the rows of one output position, A the matrix of the layer."""
    torch.manual_seed(0)
    n = 40
    layer = nn.Conv1d(4, 4, 3, stride=stride, dilation=dilation, groups=groups, bias=False).double()
    found = Ocnn(weight=1.0).attach(targets_of(layer)).penalty()
    matrix = layer(torch.eye(4 * n, dtype=torch.float64).reshape(-1, 4, n)).flatten(1).T
    gram = (matrix @ matrix.T).reshape(4, -1, 4, matrix.shape[0] // 4)
    middle = gram.shape[1] // 2
    rows = gram[:, middle].clone()
    rows[torch.arange(4), torch.arange(4), middle] -= 1
    same = torch.arange(4)[:, None] // (4 // groups) == torch.arange(4) // (4 // groups)
    torch.testing.assert_close(found, (rows.square().sum(-1) * same).sum())


class _Tied(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.a, self.b = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
        self.table = nn.Embedding(6, 6)
        self.b.weight = self.table.weight = self.a.weight

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


@pytest.mark.parametrize("name", METHODS)
def test_a_tied_weight_is_one(build, name):
    """One target, the step of a model that uses it once for the method, and still tied afterwards."""
    model, x = _Tied(), torch.randn(4, 6, generator=torch.Generator().manual_seed(3))
    assert [target.name for target in targets_of(model)] == ["a.weight"]
    found = _step(build(name), model, x)
    alone = _Tied()
    expected = _step(build(name), nn.Sequential(alone.a, nn.ReLU(), alone.a), x)
    # Responses are those of the first layer here, and of the last pass through the only one there.
    if name != "som":
        torch.testing.assert_close(model.a.weight, alone.a.weight, rtol=1e-4, atol=1e-5)
        assert found is expected or torch.equal(found, expected)
    model.eval()
    assert torch.equal(model.a.weight, model.b.weight)
    assert torch.equal(model.a.weight, model.table.weight)
    copied = copy.deepcopy(model)
    with torch.no_grad():
        next(copied.parameters()).mul_(0.5).add_(0.01)
    assert torch.equal(copied.a.weight, copied.b.weight)


def test_a_weight_given_twice_is_one():
    """Two targets of one parameter, made by hand, are penalised once."""
    layer = _linear()
    targets = [WeightTarget(name=name, module=layer) for name in "ab"]
    assert torch.equal(Soft().attach(targets).penalty(), Soft().attach(targets[:1]).penalty())


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", METHODS)
def test_a_frozen_layer_is_left_alone(build, name, when):
    """Its weight does not change, whether it was frozen before or after the method was attached."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 4))
    method, x = build(name), torch.randn(4, 6)
    if when == "before":
        model[0].requires_grad_(requires_grad=False)
    start = model[0].weight.detach().clone()
    joins = method.attach(targets_of(model))
    if when == "after":
        model(x).square().sum().backward()
        model[0].requires_grad_(requires_grad=False)
        start = model.eval()[0].weight.detach().clone()
    loss, penalty = model(x).square().sum(), joins.penalty()
    (loss if penalty is None else loss + penalty).backward()
    joins.gradient_()
    for optimizer in joins.optimizers():
        optimizer.step()
    joins.after_(10)
    joins.finish_()
    assert torch.equal(model[0].weight, start)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
def test_weight_decay_reaches_the_gradient_of_any_memory_format(memory, dtype):
    """The gradient is the weight itself where the data give none."""
    layer = nn.Conv2d(3, 8, 3).to(memory_format=memory, dtype=dtype)
    joins = WeightDecay(weight=1.0).attach(targets_of(layer))
    layer(torch.zeros(1, 3, 5, 5, dtype=dtype)).sum().backward()
    joins.gradient_()
    assert torch.equal(layer.weight.grad, layer.weight)


@pytest.mark.parametrize("name", METHODS)
def test_memory_formats_give_the_same_step(build, name):
    """A channels_last convolution and a transposed linear weight end where contiguous ones do."""
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    ends = []
    for memory in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        layer = nn.Conv2d(3, 8, 3).to(memory_format=memory)
        _step(build(name), layer, x)
        ends.append(layer.weight)
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-4, atol=1e-5)
    ends = []
    for turned in (False, True):
        layer = _linear()
        if turned:
            layer.weight = nn.Parameter(layer.weight.detach().T.contiguous().T)
        _step(build(name), layer, x.reshape(-1)[:40].reshape(4, 10))
        ends.append(layer.weight)
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_a_layer_without_weights_is_a_no_op(build, name, shape):
    """Alone it costs nothing; beside others it changes nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        empty = nn.Linear(*shape)
    joins = build(name).attach(targets_of(empty))
    penalty = joins.penalty()
    assert penalty is None or penalty.item() == 0
    joins.gradient_()
    assert list(joins.optimizers()) == []
    joins.after_(10)
    full = _linear()
    if name != "som":
        both = build(name).attach((*targets_of(empty), *targets_of(full))).penalty()
        alone = build(name).attach(targets_of(_linear())).penalty()
        assert both is alone or torch.equal(both, alone)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
@pytest.mark.parametrize("rows", [(1,), (1, 3), (0, 1, 2, 3, 4, 5)])
@pytest.mark.parametrize("name", [name for name in PENALTIES if name != "logdet-divergence"])
def test_a_dead_neuron_has_a_penalty_and_no_gradient_but_its_own(build, name, rows, dtype):
    """Penalties of weights with zero rows, and their gradients, are finite."""
    layer = _linear(dtype)
    with torch.no_grad():
        layer.weight[list(rows)] = 0
    penalty = build(name).attach(targets_of(layer)).penalty()
    penalty.backward()
    assert bool(penalty.isfinite())
    assert bool(layer.weight.grad.isfinite().all())
    if name in {"cosine", "orthoreg", "coherence", "mhe"}:
        assert float(layer.weight.grad[list(rows)].abs().max()) == 0


def test_a_cosine_with_a_zero_column_is_zero():
    """As torch defines it; the other cosines are untouched."""
    w = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    dead = w.clone()
    dead[:, 1] = 0
    found = cosines(dead)
    assert float(found[1].abs().max()) == 0
    assert torch.equal(found[0, 2], cosines(w)[0, 2])


@pytest.mark.parametrize("estimator", ["batch", "split", "whitened", "random", "exact"])
def test_a_dead_neuron_is_no_trouble_for_responses(estimator):
    """A neuron that never answers has no angle, and gets a finite gradient."""
    layer = _linear()
    with torch.no_grad():
        layer.weight[1] = 0
    joins = ko.SelfOrthogonality(weight=1.0, estimator=estimator).attach(targets_of(layer))
    layer(torch.randn(16, 10))
    joins.penalty().backward()
    assert bool(layer.weight.grad.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
def test_the_spectral_norm_of_a_zero_weight_is_zero(dtype):
    """Nothing is divided by 0, forwards or backwards."""
    layer = _linear(dtype)
    nn.init.zeros_(layer.weight)
    SpectralNorm().attach(targets_of(layer))
    layer(torch.ones(2, 10, dtype=dtype)).sum().backward()
    assert float(layer.weight.detach().abs().max()) == 0
    assert all(bool(p.grad.isfinite().all()) for p in layer.parameters())


def test_the_spectral_norm_of_a_frozen_layer_does_not_drift():
    """In training mode its weight and the vector of the iteration stay, bit for bit, in every forward pass."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 4))
    SpectralNorm().attach(targets_of(model))
    model[0].requires_grad_(requires_grad=False)
    start = {name: value.clone() for name, value in model[0].state_dict().items()}, model[0].weight.clone()
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
    for _ in range(3):
        model(torch.ones(2, 6)).square().sum().backward()
        optimizer.step()
    assert all(torch.equal(value, start[0][name]) for name, value in model[0].state_dict().items())
    assert torch.equal(model[0].weight, start[1])


def test_the_spectral_norm_of_a_weight_that_is_used_twice_is_one():
    """Tied layers see the same weight in a forward pass, and iterate once after each change of it."""
    model = _Tied()
    SpectralNorm().attach(targets_of(model))
    assert torch.equal(model.a.weight, model.b.weight)
    before = model.a.weight.detach().clone()
    with torch.no_grad():
        model.a.parametrizations.weight.original.mul_(2.0)
        # Evaluation leaves the vector alone, and the weight does not depend on the scale.
        torch.testing.assert_close(model.a.weight, before)
    start = model.a.weight
    assert torch.equal(model.b.weight, start)
    assert not torch.equal(start, before)


class _Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.scale, self.mix = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4, 4))


@pytest.mark.parametrize(
    ("layer", "names", "blocks"),
    [
        (nn.ConvTranspose2d(4, 8, 4, 2, 1), ["weight"], ()),
        (nn.ConvTranspose1d(4, 8, 4, groups=2), ["weight"], (2,)),
        (nn.ConvTranspose3d(2, 3, 2), ["weight"], ()),
        (nn.MultiheadAttention(4, 2), ["in_proj_weight", "out_proj.weight"], (3,)),
        (
            nn.MultiheadAttention(4, 2, kdim=3, vdim=5),
            ["q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"],
            (),
        ),
        (nn.LSTM(3, 4), ["weight_hh_l0"], (4,)),
        (nn.GRU(3, 4, bidirectional=True), ["weight_hh_l0", "weight_hh_l0_reverse"], (3,)),
        (nn.LSTMCell(3, 4), ["weight_hh"], (4,)),
        (nn.GRUCell(3, 4), ["weight_hh"], (3,)),
    ],
)
def test_other_layers_have_targets(layer, names, blocks):
    """Transposed convolutions, attention, gates: each block gets singular values 1, and the layer still computes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        targets = targets_of(layer)
    assert [target.name for target in targets] == names
    assert targets[0].blocks == blocks
    Parametrization().attach(targets)
    for target in targets:
        values = torch.linalg.svdvals(target.matrix().detach())
        torch.testing.assert_close(values, torch.ones_like(values), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (_Own(), "mix"),
        (nn.Sequential(nn.Linear(3, 3), nn.Bilinear(2, 3, 4)), r"1\.weight"),
        (nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, 4, proj_size=2)), r"1\.weight_ih_l0, 1\.weight_hr_l0"),
        (nn.Sequential(nn.Linear(3, 3), nn.LazyLinear(3)), r"1\.weight"),
    ],
)
def test_what_is_left_out_is_said(model, named):
    """A warning names it, and strict makes it an error; what is excluded by name is not left out."""
    with pytest.warns(UserWarning, match=f"left out of the targets: {named};"):
        targets_of(model)
    with pytest.raises(ValueError, match=named):
        targets_of(model, strict=True)


def test_layers_without_a_matrix_are_not_left_out():
    """Embeddings, norms and biases are no matrices to keep orthogonal, and what is excluded was said by the caller."""
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm((3, 4)), nn.Embedding(3, 4), nn.Bilinear(2, 2, 2))
    assert [target.name for target in targets_of(model, exclude=("3",), strict=True)] == ["0.weight"]


def test_a_transposed_convolution_has_no_responses():
    """Estimators that need them say so when they are attached, before a step is taken; not those of weights alone."""
    targets = targets_of(nn.ConvTranspose2d(3, 4, 3))
    with pytest.raises(ValueError, match="has no responses to the input"):
        ko.SelfOrthogonality().attach(targets)
    assert bool(ko.SelfOrthogonality(estimator="exact").attach(targets).penalty().isfinite())
