"""Averages beside a real training loop: what is swapped, kept, restored and refused."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn

import kexue_averaging as ka

BESIDE = (
    ka.Raw(),
    ka.Ema(decay=0.9),
    ka.Ema(decay=0.9, correction="debias"),
    ka.PowerEma(),
    ka.PostHocEma(every=2),
    ka.Polyak(),
    ka.Swa(every=2),
    ka.Lawa(last=2, every=2),
    ka.TorchAveragedModel(decay=0.9),
)


def _model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))


def _train(model, average, steps=6, optimizer=None):
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(steps):
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step)) + 1
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        average.after_(step + 1)


@pytest.mark.parametrize("method", BESIDE, ids=lambda method: type(method).__name__)
def test_no_update_is_the_weights(method):
    """Before the first step every average is the model."""
    model = _model()
    average = method.attach(model)
    assert all(torch.equal(v, average.averaged()[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("method", BESIDE, ids=lambda method: type(method).__name__)
def test_the_plain_model_loads_the_average(method):
    """Same names, shapes and dtypes; outputs inside `measuring` are those of the loaded model."""
    model, other = _model(), _model()
    average = method.attach(model)
    _train(model, average)
    other.load_state_dict(average.averaged())
    x = torch.ones(3, 4)
    with average.measuring():
        inside = model.eval()(x)
    assert torch.equal(inside, other.eval()(x))


def test_an_optimizer_that_holds_views_goes_on():
    """Weights are swapped in place: the tensors that optimizer and caller hold stay the model's."""
    model = _model()
    held = list(model.parameters())
    average = ka.Ema(decay=0.5).attach(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=True)
    _train(model, average, optimizer=optimizer)
    with average.measuring(), torch.no_grad():
        model(torch.ones(2, 4))
    assert all(a is b for a, b in zip(held, model.parameters(), strict=True))
    before = [p.detach().clone() for p in held]
    _train(model, average, steps=1, optimizer=optimizer)
    assert not all(torch.equal(a, b) for a, b in zip(before, held, strict=True))


def test_tied_frozen_and_integer_tensors():
    """A weight used twice is averaged once, a frozen one too; the counter of batches is the model's."""
    model = _model()
    model.tied = model[0]
    model[3].requires_grad_(requires_grad=False)
    average = ka.Polyak(buffers="average").attach(model)
    assert [name for name in average.names if name.startswith("tied")] == []
    assert "3.weight" in average.names
    assert "1.running_mean" in average.names
    assert "1.num_batches_tracked" not in average.names


def test_a_parameter_that_came_later_is_an_error():
    """Not skipped: the average would be of another model."""
    model = _model()
    average = ka.Ema().attach(model)
    model.add_module("late", nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match=r"late\.weight"):
        average.averaged()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("storage", ["float32", "float64", "compensated"])
def test_any_precision_of_the_model(dtype, storage):
    """The average of a constant model is the model, in its dtype, bit for bit."""
    model = _model().to(dtype)
    average = ka.Ema(decay=0.99, storage=storage).attach(model)
    for step in range(20):
        average.after_(step + 1)
    assert all(torch.equal(v, average.averaged()[k]) for k, v in model.state_dict().items())


def test_bfloat16_weights_are_followed():
    """By a lerp in bfloat16 a decay of .999 stands at .25 for ever; the shadow here is wider."""
    model = nn.Linear(1, 1, bias=False).to(torch.bfloat16)
    nn.init.zeros_(model.weight)
    average = ka.Ema(decay=0.999).attach(model)
    nn.init.ones_(model.weight)
    for step in range(3000):
        average.after_(step + 1)
    assert float(average.averaged()["weight"]) == pytest.approx(1 - 0.999**3000, abs=2**-8)


def test_statistics_are_estimated_again_and_the_raw_ones_kept():
    """Against the mean of the averaged first layer over the same batches; the global generator is left alone."""
    model = _model()
    batches = [torch.randn(8, 4, generator=torch.Generator().manual_seed(i)) + 1 for i in range(16)]
    average = ka.Ema(decay=0.9, buffers="recompute").attach(model, batches=batches.__getitem__)
    _train(model, average)
    raw, state = model[1].running_mean.clone(), torch.get_rng_state()
    with average.measuring():
        found = model[1].running_mean.clone()
        expected = torch.stack([model[0](x).mean(0) for x in batches]).mean(0)
    torch.testing.assert_close(found, expected)
    assert torch.equal(model[1].running_mean, raw)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("method", [*BESIDE[1:-1], ka.Lookahead(), ka.ScheduleFree()], ids=lambda m: type(m).__name__)
def test_a_state_passes_through_a_file_read_weights_only(method):
    """torch.load with its default; another model's or another storage's state is refused."""
    model = _model()
    average = method.attach(model, lr=0.1)
    _train(model, average, optimizer=next(iter(average.optimizers()), None))
    file = io.BytesIO()
    torch.save(average.state_dict(), file)
    file.seek(0)
    other = method.attach(copy.deepcopy(model), lr=0.1)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert all(torch.equal(v, other.averaged()[k]) for k, v in average.averaged().items())
    with pytest.raises(ValueError, match="other parameters"):
        method.attach(nn.Linear(2, 2), lr=0.1).load_state_dict(average.state_dict())


def test_the_state_of_another_average_is_refused():
    """By what is missing, or by its storage."""
    ema, lawa = ka.Ema().attach(_model()), ka.Lawa().attach(_model())
    with pytest.raises(ValueError, match="another average"):
        ema.load_state_dict(lawa.state_dict())
    with pytest.raises(ValueError, match="another storage"):
        ema.load_state_dict(ka.Ema(storage="float64").attach(_model()).state_dict())


def test_memory_of_the_storages():
    """Bytes beside a float32 model of one: 1, 2 and 1.5 of them."""
    tensors = [torch.zeros(100, 10)]
    sizes = {}
    for storage in ("float32", "float64", "compensated"):
        state = ka.Shadow(tensors, storage).state()
        sizes[storage] = sum(t.nbytes for part in state.values() for t in part) / tensors[0].nbytes
    assert sizes == {"float32": 1, "float64": 2, "compensated": 1.5}


def test_lookahead_restarts_the_fast_weights():
    """After every k steps the model holds the slow weights: start + a (fast - start)."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    average = ka.Lookahead(every=2, follow=0.5).attach(model, lr=0.25)
    (optimizer,) = average.optimizers()
    for step in range(2):
        optimizer.zero_grad()
        (model.weight.square() / 2).sum().backward()
        optimizer.step()
        average.after_(step + 1)
    assert model.weight.item() == pytest.approx(1 + 0.5 * (0.75**2 - 1))


def test_the_optimum_of_the_logistic_task():
    """Newton's weights against scikit-learn's, on a hundred digits."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    from kexue_averaging.tasks.trainings import optimum

    images, classes = load_digits(return_X_y=True)
    x = torch.tensor(images[:100] / 8 - 1)
    weights, loss = optimum(x, torch.tensor(classes[:100]), 0.1)
    with_bias = torch.cat([x, torch.ones(100, 1, dtype=x.dtype)], 1).numpy()
    other = LogisticRegression(C=1 / (100 * 0.1), fit_intercept=False, tol=1e-12, max_iter=10000).fit(
        with_bias, classes[:100]
    )
    found = torch.tensor(other.coef_).T
    torch.testing.assert_close(weights, found, rtol=0, atol=1e-5)
    assert (
        float(loss)
        <= float(
            nn.functional.cross_entropy(torch.tensor(with_bias) @ found, torch.tensor(classes[:100]))
            + 0.05 * found.square().sum()
        )
        + 1e-12
    )
