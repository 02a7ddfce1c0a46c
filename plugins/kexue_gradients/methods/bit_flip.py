"""Bit flips: local expectations over single bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.laws import in_dtype

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "bit-flip",
    "exact over some bits given a draw of the others; over all of them the local expectation gradient",
    needs="bernoulli",
    claims=("unbiased",),
    cost="1 + coordinates",
    references=("arXiv:2208.06124", "Titsias, Lazaro-Gredilla, Local expectation gradients, NeurIPS 2015"),
    order=160,
)
@dataclass(frozen=True, kw_only=True)
class BitFlip:
    """`L / coordinates p_d (1 - p_d) (f(x with bit d on) - f(x with bit d off))` for random bits d; the others are 0.

    Unbiased, bits only, and without noise if f is separable.

    One estimate takes time O(coordinates B L) and memory O(coordinates B L), f apart.

    Args:
        coordinates: bits flipped for one estimate, chosen without replacement; at least 1, at most L.

    Raises:
        ValueError: coordinates is below 1.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> law = Distribution(kind="bernoulli", logits=logits)
        >>> sample = BitFlip(coordinates=3).estimate(law, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad
        tensor([0.0250, 0.0250, 0.0250])
    """

    coordinates: int = 1

    def __post_init__(self) -> None:
        if self.coordinates < 1:
            raise ValueError(f"coordinates must be >= 1, got {self.coordinates}")

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One draw and `1 + coordinates` evaluations per repeat; `value` is f at the draw.

        Raises:
            ValueError: the distribution is not over bits, or has too few of them.
        """
        if distribution.kind != "bernoulli":
            raise ValueError(f"bit-flip flips bits, got {distribution.kind} variables; use rloo")
        length, p = distribution.logits.shape[-1], distribution.mean
        if self.coordinates > length:
            raise ValueError(f"coordinates must be <= {length}, the number of bits, got {self.coordinates}")
        x = distribution.sample(noise, repeats)
        chosen = in_dtype(noise, x.dtype).uniform(*x.shape).topk(self.coordinates, dim=-1).indices.movedim(-1, 0)
        flips = torch.zeros(self.coordinates, *x.shape, dtype=x.dtype, device=x.device)
        flips.scatter_(-1, chosen.unsqueeze(-1), 1.0)
        states = torch.cat([x.unsqueeze(0), (x - flips).abs()])
        value = objective.value(states.flatten(0, 1)).unflatten(0, (len(states), repeats))
        f = value.detach()
        # Where the bit is on the draw is the first term of the difference, where it is off the second.
        difference = (distribution.expand(f[0] - f[1:]) * flips).sum(0) * (2 * x - 1)
        return GradSample(gradient=difference * p * (1 - p) * (length / self.coordinates), value=value[0])
