"""Energies of the tasks: a network, and the quadratic whose fixed points are known."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..contract import Energy

if TYPE_CHECKING:
    from kexue_bench.lab.counter import Counter
    from kexue_bench.lab.noise import Noise

NORMALISED = ("none", "spectral")


class Mlp(Energy):
    """A network d - width - width - 1 with swish, E(x) = w_3 swish(W_2 swish(W_1 x + b_1) + b_2) + b_3.

    Args:
        weights: three weights `[*stack, in, out]`.
        normalised: `spectral` divides every weight by its largest singular value.
        counter: counts one `evaluations` a row.

    Raises:
        ValueError: an unknown normalisation.
    """

    def __init__(self, weights: list[Tensor], *, normalised: str = "none", counter: Counter | None = None) -> None:
        super().__init__(weights[0].shape[-2])
        if normalised not in NORMALISED:
            raise ValueError(f"normalised must be one of {', '.join(NORMALISED)}, got {normalised!r}")
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList(w.new_zeros(*w.shape[:-2], 1, w.shape[-1]) for w in weights)
        self.normalised, self.counter = normalised, counter

    @classmethod
    def drawn(
        cls,
        noise: Noise,
        *,
        dim: int,
        width: int,
        stack: tuple[int, ...] = (),
        normalised: str = "none",
        counter: Counter | None = None,
    ) -> Mlp:
        """Normal weights of variance 1 / (inputs), zero biases."""
        sizes = (dim, width, width, 1)
        weights = [noise.normal(*stack, before, after) / math.sqrt(before) for before, after in pairwise(sizes)]
        return cls(weights, normalised=normalised, counter=counter)

    def forward(self, x: Tensor) -> Tensor:
        """`[*stack, B, d]` to `[*stack, B]`."""
        if self.counter is not None:
            self.counter.add(evaluations=x.shape[:-1].numel())
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if self.normalised == "spectral":
                weight = weight / torch.linalg.matrix_norm(weight, 2, keepdim=True)  # noqa: PLW2901  # the layer's weight
            x = x @ weight + bias
            if layer < 2:
                x = functional.silu(x)
        return x.squeeze(-1)


class Quadratic(Energy):
    """E(x) = theta |x|^2 / 2, one theta for each member of the stack.

    Args:
        theta: `[*stack]`.
        dim: d.
        counter: counts one `evaluations` a row.
    """

    def __init__(self, theta: Tensor, dim: int = 1, counter: Counter | None = None) -> None:
        super().__init__(dim)
        self.theta = nn.Parameter(theta)
        self.counter = counter

    def forward(self, x: Tensor) -> Tensor:
        """`[*stack, B, d]` to `[*stack, B]`."""
        if self.counter is not None:
            self.counter.add(evaluations=x.shape[:-1].numel())
        return self.theta.unsqueeze(-1) * x.square().sum(-1) / 2
