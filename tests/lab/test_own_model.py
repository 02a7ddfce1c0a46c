"""own_model: what a function of the user's may return, and that trying it leaves no trace."""

from __future__ import annotations

import sys

import pytest
import torch

from kexue_bench.lab.own_model import made, tried

FILE = """
import torch
from torch import nn

def make():
    return nn.Linear(2, 1), lambda model, step: model(torch.ones(3, 2)).square().mean()

def held():
    return *make(), lambda model: torch.tensor(2.5)

def alone():
    return nn.Linear(2, 1)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Of a function of the file."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "mine.py").write_text(FILE)
    return lambda name: f"{tmp_path / 'mine.py'}:{name}"


def test_the_held_out_loss_is_the_one_that_was_given(place):
    """Without one it is the loss of step 0."""
    assert made(place("held")).held_loss().tolist() == [2.5]
    found = made(place("make"))
    assert found.held_loss().item() == pytest.approx(float(found.loss(found.model, 0).detach()))


def test_trying_leaves_the_generator_alone(place):
    """The model that is trained afterwards starts as if nothing had been tried."""
    torch.manual_seed(3)
    tried(place("make"))
    first = made(place("make")).model.weight
    torch.manual_seed(3)
    assert torch.equal(first, made(place("make")).model.weight)


def test_a_wrong_return_is_told(place):
    """What, got, do."""
    with pytest.raises(TypeError, match=r"mine.py:alone must return \(model, loss\) or .*, got \(Linear\)"):
        tried(place("alone"))
