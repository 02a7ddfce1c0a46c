"""DisARM for classes, by breaking a stick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective

from .coupled import coupled_estimate, require_classes, weighted_estimate

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise

_ORDERS = ("ascending", "descending", "none")


@method(
    "disarm-stick-breaking",
    "antithetic pair of classes along a broken stick of bits, without the paper's importance weights",
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

    One estimate takes time O(B L K log K) and memory O(B L K), f apart.

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
        estimated = weighted_estimate if self.weighted else coupled_estimate
        return estimated(self._stick(distribution.logits), distribution, objective, noise, repeats)

    def _stick(self, logits: Tensor) -> Stick:
        if self.order == "none":
            return Stick(classes=None)
        order = torch.sort(logits, dim=-1, descending=self.order == "descending", stable=True).indices
        return Stick(classes=order)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stick:
    """A tree whose node i has one leaf to its right, the class of rank i, and all later ones to its left.

    Time K log K and memory K.

    Args:
        classes: the class at each rank, `[*batch, L, K]`; None for the given order.
    """

    classes: Tensor | None

    def logits(self, logits: Tensor) -> Tensor:
        """Logit of taking the class of a node rather than a later one; see `Tree`."""
        ranked = logits if self.classes is None else logits.gather(-1, self.classes)
        later = ranked.flip(-1).logcumsumexp(-1).flip(-1)
        return ranked[..., :-1] - later[..., 1:]

    def descend(self, bits: Tensor) -> tuple[Tensor, Tensor]:
        """The first class whose bit is 1, or else the last, and the nodes up to it; see `Tree`."""
        taken = bits.cumsum(-1)
        passed = (taken == bits).to(bits.dtype)  # no bit before this one
        last = (bits.sum(-1, keepdim=True) == 0).to(bits.dtype)
        return self._by_class(torch.cat([passed * bits, last], dim=-1)), passed

    def onto_logits(self, a: Tensor, gradient: Tensor) -> Tensor:
        """The gradient with respect to the logits of the classes; see `Tree`."""
        later = torch.sigmoid(-a)
        total = -gradient
        # All T' = later T - g in log2 K passes over factors of at most 1; a cumulative sum of g over products of
        # `later` would overflow.
        step = 1
        while step < a.shape[-1]:
            total = torch.cat([total[..., :step], total[..., step:] + later[..., step:] * total[..., :-step]], dim=-1)
            later = torch.cat([later[..., :step], later[..., step:] * later[..., :-step]], dim=-1)
            step *= 2
        before = functional.pad(total, (1, 0))
        taken = functional.pad(torch.sigmoid(a), (0, 1), value=1.0)
        return self._by_class(taken * before + functional.pad(gradient, (0, 1)))

    def _by_class(self, ranked: Tensor) -> Tensor:
        if self.classes is None:
            return ranked
        return torch.empty_like(ranked).scatter_(-1, self.classes.expand_as(ranked), ranked)
