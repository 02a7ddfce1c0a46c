"""Every method of the family in a training loop without the harness."""

from __future__ import annotations

import importlib

import installed
import pytest
import torch
from torch import nn

from kexue_orthogonality import Landing, Parametrization, PolarProjection, Soft, targets_of

SPECS = [spec for spec in installed.methods("orthogonality") if not spec.requires]


def loop(method, *, steps=40):
    """A small regression, with all hooks placed as documented; losses and the model."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5)
    x = torch.randn(64, 6, generator=generator)
    y = torch.stack([x.sum(1), x[:, 0]], dim=1) / 3
    targets = targets_of(model, exclude=("4",))
    joins = method.attach(targets)
    optimizers = [torch.optim.Adam(joins.rest(model.parameters()), lr=1e-2), *joins.optimizers()]
    losses = []
    for step in range(1, steps + 1):
        for optimizer in optimizers:
            optimizer.zero_grad()
        with joins.forward():
            loss = (model(x) - y).square().mean()
            penalty = joins.penalty()
        (loss if penalty is None else loss + penalty).backward()
        with torch.no_grad():
            joins.gradient_()
            for optimizer in optimizers:
                optimizer.step()
            joins.after_(step)
        losses.append(float(loss.detach()))
    with torch.no_grad():
        joins.finish_()
    return losses, model, targets


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_method_trains_a_model_outside_of_the_harness(spec):
    """The loss falls, and the outputs of the model are finite."""
    module, _, name = spec.target.partition(":")
    losses, model, _ = loop(getattr(importlib.import_module(module), name)())
    assert losses[-1] < losses[0]
    assert bool(model(torch.ones(1, 6)).isfinite().all())


@pytest.mark.parametrize(
    ("method", "error"),
    [(Soft(weight=1.0), 0.3), (Parametrization(), 1e-5), (PolarProjection(every=1), 1e-5), (Landing(lr=0.1), 0.3)],
)
def test_what_the_documentation_shows_ends_near_orthogonal_columns(method, error):
    """A penalty, a parametrization, a projection and an optimizer, in a few lines each."""
    for target in loop(method, steps=100)[2]:
        w = target.matrix().detach()
        assert float((w.mT @ w - torch.eye(w.shape[1])).norm()) < error
