"""Potentials: values, gradients and counts."""

from __future__ import annotations

import torch

from kexue_bench.lab.counter import Counter
from kexue_energy import Energy, FunctionPotential


class Quadratic(Energy):
    """theta |x|^2 / 2."""

    def __init__(self):
        super().__init__(2)
        self.theta = torch.nn.Parameter(torch.tensor(3.0))

    def forward(self, x):
        return self.theta * x.square().sum(-1) / 2


def test_every_call_counts_its_rows():
    """A row is one evaluation; what differentiates is one backward pass besides; tempering shares the counter."""
    x = torch.ones(2, 3, 2)
    counters = Counter(), Counter(), Counter()
    closed = {"gradient": lambda x: 3 * x}
    made = (
        FunctionPotential(lambda x: 1.5 * x.square().sum(1), 2, counter=counters[0]),
        FunctionPotential(lambda x: 1.5 * x.square().sum(1), 2, counter=counters[1], **closed),
        Quadratic().potential(counters[2]),
    )
    for potential, counter in zip(made, counters, strict=True):
        torch.testing.assert_close(potential.value(x), torch.full((2, 3), 3.0))
        torch.testing.assert_close(potential.gradient(x), 3 * x)
        value, slope = potential.tempered(torch.tensor([1.0, 2.0, 4.0])).both(x)
        torch.testing.assert_close(value, torch.tensor([3.0, 1.5, 0.75]).expand(2, 3))
        torch.testing.assert_close(slope[:, 2], 0.75 * x[:, 2])
        assert counter.units == {"evaluations": 18, "backwards": 12}


def test_an_energy_keeps_no_graph():
    """A chain through many steps would otherwise keep all of them."""
    value, slope = Quadratic().potential().both(torch.ones(4, 2))
    assert not value.requires_grad
    assert not slope.requires_grad
