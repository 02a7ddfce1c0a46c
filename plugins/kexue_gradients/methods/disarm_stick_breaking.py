"""DisARM for classes, by breaking a stick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective

from .coupled import Tree, coupled_estimate, require_classes, weighted_estimate

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise

_ORDERS = ("ascending", "descending", "none")


@method(
    "disarm-stick-breaking",
    "antithetic pair of classes, coupled along a broken stick of bits",
    needs="categorical",
    claims=("unbiased",),
    cost="2",
    variants=("disarm-stick-breaking", "disarm-stick-breaking[weighted=true]"),
    aliases=("coupled-categorical",),
    references=("arXiv:2106.08056",),
    order=120,
)
@dataclass(frozen=True, kw_only=True)
class DisarmStickBreaking:
    """One pair of classes: bit i says whether class i is taken, given that none before it was.

    The bits are coupled as in DisARM, and what the classes do not reveal about them is integrated out. Unbiased in any
    order of the classes; classes only. With two classes it is DisARM.

    With importance weights it is `1/2 (f(x) - f(x')) w (x - x')` instead: RLOO on the coupled pair, w the product of
    both classes' probabilities over that of the pair. The paper has such a version; w was derived independently here.

    Args:
        order: `ascending` or `descending` in the logits, or `none` for the given order.
        weighted: importance weights; only for the ascending order, in which every pair of classes can occur.

    Raises:
        ValueError: the order is unknown, or weighted is set with an order other than ascending.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
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
    weighted: bool = False

    def __post_init__(self) -> None:
        if self.order not in _ORDERS:
            raise ValueError(f"order must be one of {', '.join(_ORDERS)}, got {self.order!r}")
        if self.weighted and self.order != "ascending":
            raise ValueError(
                f"weighted needs order=ascending, got {self.order!r}; some pairs of classes never occur there"
            )

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One pair and two evaluations per repeat; `value` is their mean.

        Raises:
            ValueError: the distribution is not over classes.
        """
        require_classes("disarm-stick-breaking", distribution)
        rank = self._rank(distribution.logits)
        # Node i takes the class of rank i, to its right; all later ones lie to its left.
        node = torch.arange(rank.shape[-1] - 1, device=rank.device).unsqueeze(-1)
        dtype = distribution.logits.dtype
        tree = Tree(left=(rank > node).to(dtype), right=(rank == node).to(dtype))
        estimated = weighted_estimate if self.weighted else coupled_estimate
        return estimated(tree, distribution, objective, noise, repeats)

    def _rank(self, logits: Tensor) -> Tensor:
        """Position of each class on the stick, `[*batch, L, 1, K]`."""
        if self.order == "none":
            return torch.arange(logits.shape[-1], device=logits.device).unsqueeze(0)
        order = torch.sort(logits, dim=-1, descending=self.order == "descending", stable=True).indices
        return order.argsort(-1).unsqueeze(-2)
