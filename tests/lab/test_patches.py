"""Functions of shared modules: any that is replaced is named, and nothing else is."""

from __future__ import annotations

import json
import math
import random
import sys
import time
from types import ModuleType

import numpy as np
import pytest
import torch

from kexue_bench.lab import cost, noise, patches


@pytest.mark.parametrize(
    ("owner", "name", "label"),
    [
        (torch, "randn", "torch.randn"),
        (torch.Tensor, "__add__", "torch.Tensor.__add__"),
        (torch.nn.functional, "relu", "torch.nn.functional.relu"),
        (torch.nn.Module, "__call__", "torch.nn.Module.__call__"),
        (np, "sum", "numpy.sum"),
        (np.linalg, "norm", "numpy.linalg.norm"),
        (random, "random", "random.random"),
        (time, "perf_counter", "time.perf_counter"),
        (json, "dumps", "json.dumps"),
        (math, "pi", "math.pi"),
        (cost, "measure", "kexue_bench.lab.cost.measure"),
        (noise.Noise, "normal", "kexue_bench.lab.noise.Noise.normal"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_a_function_that_was_replaced_is_named(monkeypatch, owner, name, label):
    """It alone; once it is back, nothing is."""
    surface = patches.Surface()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, lambda *_, **__: 0.0, raising=hasattr(owner, name))
        assert surface.changed() == (label,)
    assert surface.changed() == ()


def test_an_inherited_method_that_is_shadowed_is_named(monkeypatch):
    """`Tensor.mean` stands in a base class that takes no assignments."""
    surface = patches.Surface()
    assert "mean" not in vars(torch.Tensor)
    monkeypatch.setattr(torch.Tensor, "mean", torch.Tensor.sum, raising=False)
    assert surface.changed() == ("torch.Tensor.mean",)


def test_the_compiler_of_torch_changes_its_own_classes():
    """The first compilation of a trained module replaces `Module.__init__`; a method that compiles is honest."""
    from torch._dynamo.mutation_guard import GenerationTracker, install_generation_tagging_init

    surface = patches.Surface()
    install_generation_tagging_init()
    assert GenerationTracker.dynamic_classes is not None
    assert torch.nn.Module.__init__.__code__.co_filename.endswith("mutation_guard.py")
    assert surface.changed() == ()


def test_ordinary_use_changes_nothing():
    """Modules that are imported late, optimizers, distributions, hooks of a module, lazily built attributes."""
    surface = patches.Surface()
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    torch.distributions.Normal(0.0, 1.0).sample()
    layer(torch.zeros(1, 2)).sum().backward()
    optimizer.step()
    __import__("scipy.stats")
    __import__("kexue_gradients").Rloo()
    assert surface.changed() == ()


def test_what_is_imported_later_is_watched_from_then_on(monkeypatch):
    """A family's modules are not loaded when a worker starts."""
    surface = patches.Surface()
    late = ModuleType("kexue_late")
    late.__dict__["f"] = len
    monkeypatch.setitem(sys.modules, "kexue_late", late)
    assert surface.changed() == ()
    late.__dict__["f"] = max
    assert surface.changed() == ("kexue_late.f",)


def test_an_outcome_names_a_few():
    """The first five of many."""
    assert patches.told(("a.b",)) == "replaced a.b"
    assert patches.told(tuple("abcdefg")) == "replaced a, b, c, d, e, ..."
