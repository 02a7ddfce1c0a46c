"""The user's own training: started alike for every method, measured at averaged weights, refused if unusable."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kexue_averaging import Lawa, Raw, ScheduleFree
from kexue_averaging.tasks.own import OwnTraining
from kexue_bench.api import Case, Instance
from kexue_bench.lab.context import Context

MODELS = """
import torch
from torch import nn

X = torch.linspace(-1, 1, 64).reshape(16, 4)
Y = X.sum(1, keepdim=True)

def make():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    return model, lambda model, step: (model(X) - Y).square().mean()
"""


@pytest.fixture
def place(tmp_path, monkeypatch, one_thread):
    """`file.py:make`."""
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    (tmp_path / "mine.py").write_text(MODELS)
    return f"{tmp_path / 'mine.py'}:make"


def _trained(task, method):
    instance = Instance(name="own-training", target="module:Class")
    case = Case(task=instance, method=instance, family="averaging", task_version=1, stage="evaluate")
    ctx = Context(case)
    built = task.build(method, ctx)
    return built, ctx.train(built, steps=task.steps, measure=task.measure(built, ctx))


def test_the_average_of_the_last_steps_is_measured(place):
    """Against the same steps by hand, with the mean of the last two weights."""
    task = OwnTraining(path=place, steps=4, lr=0.1, optimizer="sgd")
    built, found = _trained(task, Lawa(last=2, every=1))
    raw, _ = _trained(task, Raw())
    assert all(torch.equal(a, b) for a, b in zip(built.model.parameters(), raw.model.parameters(), strict=True))
    again, _ = _trained(OwnTraining(path=place, steps=3, lr=0.1, optimizer="sgd"), Raw())
    mean = {k: (v + dict(again.model.named_parameters())[k]) / 2 for k, v in raw.model.named_parameters()}
    x = torch.linspace(-1, 1, 64).reshape(16, 4)
    loss = (torch.func.functional_call(raw.model, mean, (x,)) - x.sum(1, keepdim=True)).square().mean()
    assert float(found.final["held-loss"]) == pytest.approx(float(loss.detach()), rel=1e-5)


def test_a_method_may_be_the_optimizer(place):
    """It owns every parameter, and the loss falls."""
    _, found = _trained(OwnTraining(path=place, steps=50, lr=0.2), ScheduleFree())
    first, last = found.curve[0][1]["held-loss"], found.final["held-loss"]
    assert float(last) < float(first) / 2


@pytest.mark.parametrize(
    ("values", "words"),
    [({"steps": 0}, "steps must be"), ({"lr": 0.0}, "lr must be"), ({"optimizer": "lion"}, "optimizer must be")],
)
def test_settings_are_checked(place, values, words):
    """Before the file runs."""
    with pytest.raises(ValueError, match=words):
        OwnTraining(path=place, **values)


def test_the_stacked_normalization_is_that_of_single_networks(one_thread):
    """Two replicates against each network alone, by torch's own layer."""
    from kexue_averaging.tasks.trainings import _Normalized

    hidden, out = torch.randn(2, 64, 5), torch.randn(2, 5, 10)
    images = torch.randn(2, 7, 64)
    both = _Normalized(hidden, out)(images)
    for r in range(2):
        norm = nn.BatchNorm1d(5)
        torch.testing.assert_close(both[r], norm(images[r] @ hidden[r]).relu() @ out[r])
