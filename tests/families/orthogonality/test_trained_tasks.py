"""The tasks that train: a stack equals its single replicates, measures are correct, and operations are counted."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import special
from torch.nn.utils import parametrize

from kexue_bench.lab.stages import evaluate
from kexue_orthogonality import Soft, WeightTarget
from kexue_orthogonality.tasks.copy_memory import CopyMemory
from kexue_orthogonality.tasks.deep_linear import DeepLinear
from kexue_orthogonality.tasks.deep_mlp import DeepMlp, TanhMlp
from kexue_orthogonality.tasks.digits import Digits
from kexue_orthogonality.tasks.digits_cnn import Cnn, DigitsCnn
from kexue_orthogonality.tasks.digits_mlp import DigitsMlp, DigitsMlpLarge
from kexue_orthogonality.tasks.gaussian_projection import GaussianProjection
from kexue_orthogonality.tasks.layers import StackedLinear
from kexue_orthogonality.tasks.measures import orthogonality
from kexue_orthogonality.tasks.som_estimates import SomEstimates

METHODS = {
    "none": {},
    "weight-decay": {"weight": 1e-3},
    "orthogonal-init": {},
    "spectral-norm": {},
    "soft": {},
    "srip": {"solver": "two-step"},
    "som": {"estimator": "whitened"},
    "ocnn": {},
    "parametrization": {"map": "cayley"},
    "polar-express": {},
    "riemannian-sgd": {},
    "landing": {},
    "polar-projection": {"every": 2},
    "muon": {},
}
SMALL = {
    "digits-mlp": DigitsMlp(width=8, depth=2, steps=3),
    "digits-cnn": DigitsCnn(channels=2, steps=3),
    "deep-mlp": DeepMlp(width=4, depth=6, steps=3),
    "copy-memory": CopyMemory(delay=3, units=6, steps=3),
}


@pytest.fixture(autouse=True)
def _as_in_a_worker():
    with torch.no_grad():
        yield


def trained(task, method, ctx):
    training = task.build(method, ctx)
    return ctx.train(training, steps=task.steps, measure=task.measure(training, ctx))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", SMALL)
def test_a_stack_is_its_singles(context, build, task, method):
    """Three replicates at once give what each gives alone: data, start, noise and method apart, in float64."""
    if (task, method) == ("copy-memory", "som"):
        pytest.skip("a recurrent weight has no layer to listen to before it is used")
    both = trained(SMALL[task], build(method, **METHODS[method]), context(task, replicates=(0, 1, 2), dtype="float64"))
    one = trained(SMALL[task], build(method, **METHODS[method]), context(task, replicates=(1,), dtype="float64"))
    for name, value in both.final.items():
        torch.testing.assert_close(value[1:2], one.final[name], rtol=1e-7, atol=1e-9, msg=name)
    score = next(name for name in both.final if name.endswith("-nll"))
    assert float(both.final[score][0]) != float(one.final[score])


@pytest.mark.parametrize("task", SMALL)
def test_all_methods_start_from_the_same_weights_and_see_the_same_data(context, build, task):
    """At step 0 only the start of the method differs: `none` and `soft` measure the same."""
    curves = [
        trained(SMALL[task], build(name), context(task, replicates=(0, 1), dtype="float64")).curve
        for name in ("none", "soft")
    ]
    for name, value in curves[0][0][1].items():
        torch.testing.assert_close(value, curves[1][0][1][name], msg=name)


@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn", "copy-memory"])
def test_operations_are_those_of_one_replicate(context, build, name):
    """The counter gives the same for a stack of three as for one, backward passes of grouped convolutions included."""
    counts = []
    for replicates in ((0,), (0, 1, 2)):
        ctx = context(name, replicates=replicates)
        training = SMALL[name].build(build("none"), ctx)
        training.step()
        counts.append(ctx.counter.units["flops"])
        training.step()
        assert ctx.counter.units["flops"] == 2 * counts[-1]
    assert counts[0] == counts[1]


def test_operations_of_a_fully_connected_network(context, build):
    """6 B (sum of in x out) less the gradient of the input: 2 forward, 2 for weights, 2 for inputs but the first."""
    ctx = context("digits-mlp")
    DigitsMlp(width=16, depth=2).build(build("none"), ctx).step()
    first, rest = 64 * 16, 16 * 16 + 16 * 10
    assert ctx.counter.units["flops"] == 64 * (4 * first + 6 * rest)


def test_operations_of_the_soft_penalty(context, build):
    """Two products of d k^2 forward and back: G = W'W, and 2 W E twice by autograd, 6 d k^2 in all (2 d k^2 each)."""
    counts = {}
    for name in ("none", "soft"):
        ctx = context("digits-mlp")
        DigitsMlp(width=16, depth=1).build(build(name), ctx).step()
        counts[name] = ctx.counter.units["flops"]
    assert counts["soft"] - counts["none"] == 6 * 64 * 16**2


def test_a_step_is_timed_and_recorded_whole(context, build):
    """Through the core's stage: curve points, final rows, operations and memory, all for each replicate."""
    ctx = context("digits-mlp", replicates=(0, 1))
    evaluate(DigitsMlp(width=8, depth=1, steps=2), build("soft"), ctx)
    rows = {(row.metric, row.point, row.replicate) for row in ctx.measurements}
    names = {"test-nll", "test-accuracy", "noisy-accuracy", "orthogonality-error", "singular-spread"}
    assert {(name, point, r) for name in names for point in (0, 2, None) for r in (0, 1)} <= rows
    assert {("flops", None, None), ("memory", None, None)} <= rows


def test_splits_are_of_each_replicate_and_hold_every_image_once(context):
    """Train and test are disjoint and together all 1,797, in another order for another replicate."""
    digits = Digits.split(context("digits-mlp", replicates=(0, 1), dtype="float64"))
    together = torch.cat([digits.train[0], digits.test[0]], dim=1)
    assert together.shape == (2, 1797, 64)
    torch.testing.assert_close(together[0].sum(0), together[1].sum(0))
    assert not torch.equal(together[0], together[1])
    assert float(together.min()) == -1
    assert float(together.max()) == 1


def test_a_classifier_learns(context, build):
    """120 steps of the small network are far better than chance."""
    values = trained(DigitsMlp(width=32, depth=2, steps=120), build("none"), context("digits-mlp")).final
    assert float(values["test-accuracy"]) > 0.85
    assert float(values["test-nll"]) < math.log(10) / 3


def test_the_large_network_is_the_small_one_with_other_sizes(context):
    """Six hidden layers of 128; the method holds each of them, but not the last."""
    noise = context("digits-mlp-large").noise("init", stack=0)
    model = DigitsMlpLarge().network(noise, 1)
    assert [target.shape for target in model.targets] == [(128, 64), *[(128, 128)] * 5]


def test_measures_are_those_of_the_singular_values():
    """Singular values 2, 1 give |W'W - I| = 3 and a spread of 2; at a loss of rank the spread is large and finite."""
    layer = StackedLinear(torch.tensor([[[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]))
    found = orthogonality((WeightTarget(name="w", module=layer, stacked=True),))
    torch.testing.assert_close(found["orthogonality-error"], torch.tensor([3.0, 1.0]).double())
    assert float(found["singular-spread"][0]) == pytest.approx(2)
    assert 1e15 < float(found["singular-spread"][1]) < math.inf


def test_the_norm_of_a_convolution_is_not_that_of_its_kernel(context):
    """Against the largest singular value of the dense matrix of the map, circular borders, at both strides."""
    noise = context("digits-cnn", dtype="float64").noise("init", stack=0)
    model = DigitsCnn(channels=2).network(noise, 1)
    assert isinstance(model, Cnn)
    norms = []
    for layer, size in zip(model.convolutions, (8, 8), strict=True):
        weight, stride = layer.weight[0], layer.stride[0]
        basis = torch.eye(weight.shape[1] * size**2).double().reshape(-1, weight.shape[1], size, size)
        padded = torch.nn.functional.pad(basis, (1, 1, 1, 1), mode="circular")
        dense = torch.nn.functional.conv2d(padded, weight, stride=stride).flatten(1)
        norms.append(float(torch.linalg.matrix_norm(dense, 2)))
    assert float(model.operator_norm()) == pytest.approx(max(norms), rel=1e-9)
    flat = max(float(torch.linalg.matrix_norm(layer.weight[0].flatten(1), 2)) for layer in model.convolutions)
    assert float(model.operator_norm()) > flat


@pytest.mark.parametrize("delay", [10, 50, 100, 200, 500, 1000, 2000])
def test_the_baseline_of_the_copy_task(reference, delay):
    """10 log 8 / (T + 20)."""
    expected = reference["facts"]["copy_baseline"][f"T={delay}"]
    assert CopyMemory(delay=delay).baseline == pytest.approx(expected, rel=1e-9)


def test_sequences_to_copy(context):
    """Ten symbols, blanks, the marker one step before the outputs; the outputs are the symbols."""
    task = CopyMemory(delay=4)
    inputs, answers = task.sequences(context("copy-memory", replicates=(0, 1)).noise("data", stack=0), 2, 5)
    assert inputs.shape == answers.shape == (2, 5, 24)
    torch.testing.assert_close(inputs[..., :10], answers[..., -10:])
    assert int(inputs[..., :10].min()) >= 1
    assert int(inputs[..., :10].max()) <= 8
    assert bool((inputs[..., 13] == 9).all())
    assert bool((answers[..., :14] == 0).all())
    assert int((inputs[..., 10:] != 0).sum()) == 10


def test_a_network_without_memory_meets_the_baseline(context):
    """Blank where blanks are due, 1/8 each where symbols are: exactly the closed form."""
    task = CopyMemory(delay=4)
    answers = task.sequences(context("copy-memory").noise("data", stack=0), 1, 50)[1]
    logits = torch.full((*answers.shape, 9), -1e9).double()
    logits[..., :14, 0] = 0
    logits[..., 14:, 1:] = 0
    nll = torch.nn.functional.cross_entropy(logits.flatten(0, 2), answers.flatten())
    assert float(nll) == pytest.approx(task.baseline)


def test_an_orthogonal_recurrence_beats_the_baseline_of_no_memory(context, build):
    """300 steps at a delay of 5: recall is out of reach without memory, so that a share below 0.9 shows some."""
    task = CopyMemory(delay=5, units=32, steps=300)
    found = trained(task, build("orthogonal-init"), context("copy-memory", {"delay": 5})).final
    assert float(found["copy-share"]) < 0.9


def test_a_parametrized_recurrence_is_computed_once_a_pass(context, build, monkeypatch):
    """Not at every time step, whatever the method."""
    task = SMALL["copy-memory"]
    training = task.build(build("spectral-norm"), context("copy-memory"))
    calls = []
    cls = parametrize.ParametrizationList
    forward = cls.forward
    monkeypatch.setattr(cls, "forward", lambda self: calls.append(1) or forward(self))
    training.step()
    assert len(calls) <= 2


@pytest.mark.parametrize("width", [8, 32])
def test_gaussian_layers_lose_what_the_digamma_function_says(context, build, reference, width):
    """(psi(n/2) + log(2/n)) / 2 nats per layer, and zero for orthogonal ones; five standard errors of the mean."""
    expected = (special.digamma(width / 2) + math.log(2 / width)) / 2
    facts = reference["facts"][f"lyapunov_gauss_n={width}"]
    assert expected == pytest.approx(facts["top (typical log-growth per layer)"], rel=1e-9)
    ctx = context("deep-linear", dtype="float64")
    task = DeepLinear(width=width, depth=20)
    draws = task.problem(build("none"), ctx).draw(ctx.noise("noise"), 200)
    assert abs(float(draws.mean()) - expected) < 5 * float(draws.std()) / 200**0.5
    kept = task.problem(build("orthogonal-init"), ctx).draw(context(dtype="float64").noise("noise"), 4)
    assert float(kept.abs().max()) < 1e-12


def test_the_gradient_ratio_of_orthogonal_linear_layers_is_one():
    """With tanh at tiny signals the network is linear; its gradient keeps its length through orthogonal layers."""
    torch.manual_seed(0)
    weights = [1e-4 * torch.eye(8, 64), *[torch.linalg.qr(torch.randn(8, 8))[0] for _ in range(5)], torch.randn(10, 8)]
    model = TanhMlp([w.double()[None] for w in weights])
    ratio = model.gradient_ratio(torch.rand(1, 5, 64).double(), torch.zeros(1, 5, dtype=torch.long))
    assert float(ratio) == pytest.approx(1, rel=1e-6)
    half = TanhMlp([w.double()[None] * (0.5 if w.shape == (8, 8) else 1) for w in weights])
    ratio = half.gradient_ratio(torch.rand(1, 5, 64).double(), torch.zeros(1, 5, dtype=torch.long))
    assert float(ratio) == pytest.approx(0.5**5, rel=1e-6)


def test_soft_descends_by_newton_schulz_steps(context):
    """At a rate of 1/8 the draws of `gaussian-projection` are those of the cubic iteration, whatever the weight."""
    task = GaussianProjection(steps=3)
    draws = []
    for weight in (1e-2, 3.0):
        ctx = context("gaussian-projection", dtype="float64")
        draws.append(task.problem(Soft(weight=weight), ctx).draw(ctx.noise("noise"), 5))
    noise = context("gaussian-projection", dtype="float64").noise("noise")
    start = noise.normal(5, 12, 8) / (2 * 12**0.5)
    w = start
    for _ in range(3):
        w = 1.5 * w - 0.5 * w @ w.mT @ w
    left, _, right = torch.linalg.svd(start, full_matrices=False)
    torch.testing.assert_close(draws[0], w - left @ right, rtol=0, atol=1e-12)
    torch.testing.assert_close(draws[1], draws[0], rtol=0, atol=1e-12)


@pytest.mark.statistical
def test_estimates_of_angles_have_the_stated_floor(context, build):
    """At right angles the published estimate is too large by about 201 k (k-1) / n, the split one by nothing."""
    task = SomEstimates(d=16, k=8, samples=32)
    means = {}
    for estimator in ("batch", "split", "exact"):
        ctx = context("som-estimates", dtype="float64")
        problem = task.problem(build("som", estimator=estimator), ctx)
        assert float(problem.truth) == 0
        draws = problem.draw(ctx.noise("noise"), 2000)
        means[estimator] = (float(draws.mean()), float(draws.std()) / 2000**0.5)
    floor = 201 * 8 * 7 / 32
    assert abs(means["batch"][0] - floor) < 5 * means["batch"][1]
    assert abs(means["split"][0]) < 5 * means["split"][1]
    assert means["exact"] == pytest.approx((0, 0), abs=1e-20)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DigitsMlp(steps=0),
        lambda: DigitsMlp(lr=0.0),
        lambda: DigitsMlp(width=0),
        lambda: DigitsCnn(channels=0),
        lambda: DeepMlp(depth=0),
        lambda: CopyMemory(delay=0),
        lambda: CopyMemory(lr=-1.0),
        lambda: DeepLinear(width=0),
        lambda: GaussianProjection(d=3, k=4),
        lambda: GaussianProjection(steps=0),
        lambda: GaussianProjection(rate=0.0),
        lambda: SomEstimates(inputs="uniform"),
        lambda: SomEstimates(weights="identity"),
        lambda: SomEstimates(k=1),
        lambda: SomEstimates(samples=1),
    ],
)
def test_parameters_of_tasks_are_checked(make):
    """The message says what was got."""
    with pytest.raises(ValueError, match="got"):
        make()
