"""DisARM for classes, by breaking a stick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_gradients.contract import Distribution, GradSample, Objective

from .coupled import Tree, coupled_estimate, require_classes

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Noise

_ORDERS = ("ascending", "descending", "none")


@dataclass(frozen=True, kw_only=True)
class DisarmStickBreaking:
    """DisARM-SB: an antithetic pair of classes, coupled bit by bit along a broken stick.

    Bit i says whether class i is taken, given that none before it was; the bits are coupled as in DisARM, and what the
    classes do not show of them is integrated out. Unbiased in any order of the classes, classes only
    (arXiv:2106.08056, without importance weights). With two classes it is DisARM.

    Args:
        order: `ascending` or `descending` in the logits, or `none`: as the classes stand.

    Raises:
        ValueError: an unknown order.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab.context import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(2, 4, requires_grad=True)
        >>> f = FunctionObjective(lambda x: x[..., 0].square().sum(-1))
        >>> law = Distribution(kind="categorical", logits=logits)
        >>> sample = DisarmStickBreaking().estimate(law, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([2, 4])
    """

    order: str = "ascending"

    def __post_init__(self) -> None:
        if self.order not in _ORDERS:
            raise ValueError(f"order must be one of {', '.join(_ORDERS)}, got {self.order!r}")

    def estimate(
        self,
        distribution: Distribution,
        objective: Objective,
        noise: Noise,
        repeats: int,
        state: object = None,  # noqa: ARG002  # the contract's argument; nothing is learned here
    ) -> GradSample:
        """One pair and two evaluations a repeat; `value` is their mean.

        Raises:
            ValueError: the distribution is not over classes.
        """
        require_classes("disarm-stick-breaking", distribution)
        rank = self._rank(distribution.logits)
        # Node i takes the class of rank i, to its right; all later ones lie to its left.
        node = torch.arange(rank.shape[-1] - 1, device=rank.device).unsqueeze(-1)
        dtype = distribution.logits.dtype
        tree = Tree(left=(rank > node).to(dtype), right=(rank == node).to(dtype))
        return coupled_estimate(tree, distribution, objective, noise, repeats)

    def _rank(self, logits: Tensor) -> Tensor:
        """Place of each class on the stick, `[*batch, L, 1, K]`."""
        if self.order == "none":
            return torch.arange(logits.shape[-1], device=logits.device).unsqueeze(0)
        order = torch.sort(logits, dim=-1, descending=self.order == "descending", stable=True).indices
        return order.argsort(-1).unsqueeze(-2)
