"""DisARM for classes, as the leaves of a balanced tree of bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective

from .coupled import Tree, coupled_estimate, require_classes

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "disarm-tree",
    "antithetic pair of classes, coupled along a balanced tree of bits",
    needs="categorical",
    claims=("unbiased",),
    cost="2",
    references=("arXiv:2106.08056",),
    order=110,
)
@dataclass(frozen=True, kw_only=True)
class DisarmTree:
    """One pair of classes, the leaves of a balanced binary tree whose inner nodes are bits coupled as in DisARM.

    What the leaves do not reveal about the bits is integrated out. Unbiased, classes only; the version without
    importance weights. With two classes it is DisARM.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(2, 4, requires_grad=True)
        >>> f = FunctionObjective(lambda x: x[..., 0].square().sum(-1))
        >>> law = Distribution(kind="categorical", logits=logits)
        >>> sample = DisarmTree().estimate(law, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([2, 4])
    """

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One pair and two evaluations per repeat; `value` is their mean.

        Raises:
            ValueError: the distribution is not over classes.
        """
        require_classes("disarm-tree", distribution)
        classes = distribution.logits.shape[-1]
        left, right = distribution.logits.new_zeros(2, classes - 1, classes)
        for node, (low, middle, high) in enumerate(_splits(0, classes)):
            left[node, low:middle], right[node, middle:high] = 1.0, 1.0
        return coupled_estimate(Tree(left=left, right=right), distribution, objective, noise, repeats)


def _splits(low: int, high: int) -> list[tuple[int, int, int]]:
    """The nodes of a balanced tree over the leaves low .. high - 1: where each begins, splits and ends."""
    if high - low < 2:
        return []
    middle = (low + high) // 2
    return [(low, middle, high), *_splits(low, middle), *_splits(middle, high)]
