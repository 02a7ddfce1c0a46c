"""DisARM for classes, as the leaves of a balanced tree of bits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective

from .coupled import coupled_estimate, require_classes

if TYPE_CHECKING:
    from torch import Tensor

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

    The gradient with respect to the logit a of a node is `1/2 (f(x) - f(x'))` times `(b - b') sigmoid(|a|)` where both
    leaves pass it, `b - p` or `p - b'` where one does, and 0 elsewhere: what the leaves do not reveal about the bits is
    integrated out. Unbiased, classes only; the version without importance weights. With two classes it is DisARM.

    One estimate takes time O(B L K) and memory O(B L K), f apart.

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
        tree = BalancedTree.of(distribution.logits.shape[-1], distribution.logits.device)
        return coupled_estimate(tree, distribution, objective, noise, repeats)


@dataclass(frozen=True, kw_only=True, eq=False)
class BalancedTree:
    """A tree that halves its leaves at every node, the right half the larger one; time and memory are linear in K.

    The first D = floor(log2 K) levels are full. At the last one each of 2^D places has one leaf, or a node and two.

    Args:
        nodes: for each of the first D levels, the numbers of its nodes from left to right; nodes are numbered in the
            order root, left subtree, right subtree.
        last: the same for the last level, `[2^D]`; K - 1, one past the nodes, where a place has one leaf.
        double: whether a place has two leaves, `[2^D]`.
        leaves: where the K leaves lie among two slots for each place, `[K]`.
        order: where each node lies when all levels are written one after another, `[K - 1]`.
    """

    nodes: tuple[Tensor, ...]
    last: Tensor
    double: Tensor
    leaves: Tensor
    order: Tensor

    @staticmethod
    @lru_cache(maxsize=16)
    def of(classes: int, device: torch.device) -> BalancedTree:
        """The tree over this many leaves, at least one."""
        number, size = torch.zeros(1, dtype=torch.long), torch.tensor([classes])
        nodes: list[Tensor] = []
        while int(size.min()) > 1:
            nodes.append(number)
            left = size // 2
            # A subtree of m leaves has m - 1 nodes, which are numbered after their root.
            number = torch.stack([number + 1, number + left], dim=-1).flatten()
            size = torch.stack([left, size - left], dim=-1).flatten()
        double = size == 2
        written = torch.cat([*nodes, number[double]])
        slots = torch.stack([torch.ones_like(double), double], dim=-1).flatten()
        return BalancedTree(
            nodes=tuple(level.to(device) for level in nodes),
            last=torch.where(double, number, classes - 1).to(device),
            double=double.to(device),
            leaves=slots.nonzero().squeeze(-1).to(device),
            order=written.argsort().to(device),
        )

    def logits(self, logits: Tensor) -> Tensor:
        """Logit of going right at each node; see `Tree`."""
        slots = logits.new_zeros(*logits.shape[:-1], 2 * len(self.double))
        slots[..., self.leaves] = logits
        low, high = slots.unflatten(-1, (-1, 2)).unbind(-1)
        levels = [(high - low)[..., self.double]]
        mass = torch.where(self.double, torch.logaddexp(low, high), low)
        for _ in self.nodes:
            low, high = mass.unflatten(-1, (-1, 2)).unbind(-1)
            levels.append(high - low)
            mass = torch.logaddexp(low, high)
        return torch.cat(levels[::-1], dim=-1)[..., self.order]

    def descend(self, bits: Tensor) -> tuple[Tensor, Tensor]:
        """The leaf that bits lead to, and the nodes on the way; see `Tree`."""
        reached = bits.new_ones(*bits.shape[:-1], 1)
        bits = functional.pad(bits, (0, 1))
        passed: list[Tensor] = []
        for nodes in self.nodes:
            passed.append(reached)
            bit = bits[..., nodes]
            reached = torch.stack([reached * (1 - bit), reached * bit], dim=-1).flatten(-2)
        passed.append(reached[..., self.double])
        bit = bits[..., self.last]
        leaf = torch.stack([reached * (1 - bit), reached * bit], dim=-1).flatten(-2)
        return leaf[..., self.leaves], torch.cat(passed, dim=-1)[..., self.order]

    def onto_logits(self, a: Tensor, gradient: Tensor) -> Tensor:
        """The gradient with respect to the logits of the leaves; see `Tree`."""
        right = functional.pad(torch.sigmoid(a), (0, 1))
        left = functional.pad(torch.sigmoid(-a), (0, 1), value=1.0)
        gradient = functional.pad(gradient, (0, 1))
        total = gradient.new_zeros(*gradient.shape[:-1], 1)
        for nodes in (*self.nodes, self.last):
            g = gradient[..., nodes]
            sides = [total * left[..., nodes] - g, total * right[..., nodes] + g]
            total = torch.stack(sides, dim=-1).flatten(-2)
        return total[..., self.leaves]
