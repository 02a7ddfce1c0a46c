"""The hard functions as methods: the reference of every table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import method
from kexue_bench.lab.precision import finite, precise

from ..contract import KINDS, Bound, Smoothing
from ..hard_functions import hard
from .gumbel_softmax import GumbelSoftmax
from .softmax import Softmax

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "hard",
    "the hard function itself, with its gradient almost everywhere, the reference of every table",
    claims=("error-bound",),
    references=("the limit of every operator at softness 0",),
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class Hard:
    """The hard function: its error is 0, and it has no gradient at jumps.

    `of(kind)` returns the operator of a kind; the softness has no effect.

    Examples:
        >>> import torch
        >>> Hard().of("rank").apply(torch.tensor([5.0, 1.0, 2.0]))
        tensor([3., 1., 2.])
    """

    def of(self, kind: str) -> HardOperator:
        """The operator of a kind."""
        return HardSample(kind=kind) if kind == "sample" else HardOperator(kind=kind)


@method(
    "straight-through",
    "the hard function in the forward pass, the gradient of softmax in the backward pass",
    needs="training",
    references=("Bengio, Leonard and Courville 2013, arXiv:1308.3432",),
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class StraightThrough:
    """hard(x) + soft(x) - detach(soft(x)): exact in value, not in gradient.

    `of(kind)` returns the operator of a kind; its soft function is that of `Softmax`.

    Examples:
        >>> import torch
        >>> with torch.enable_grad():
        ...     x = torch.tensor([5.0, 1.0, 2.0], requires_grad=True)
        ...     StraightThrough().of("rank").apply(x, softness=1.0)[1].backward()
        >>> x.grad
        tensor([-0.0177,  0.2143, -0.1966])
    """

    def of(self, kind: str) -> StraightThroughOperator:
        """The operator of a kind."""
        return StraightThroughOperator(kind=kind)


@dataclass(frozen=True, kw_only=True)
class HardOperator:
    """A hard function with the interface of a soft one.

    Attributes:
        adjustable: False, because the softness has no effect on its error.

    Args:
        kind: one of `KINDS`.
    """

    adjustable = False
    kind: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")

    def apply(
        self,
        x: Tensor,
        *,
        softness: float | Tensor = 1.0,
        k: int | None = None,
        dim: int = -1,
        descending: bool = False,
    ) -> Tensor:
        """The hard function along `dim`."""
        out = hard(self.kind, x.movedim(dim, -1), k=k, descending=descending)
        return out if out.ndim < x.ndim else out.movedim(-1, dim)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        return Bound(0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class HardSample(HardOperator):
    """The indicator of the largest perturbed score: one categorical sample."""

    stochastic = True

    def perturbed(self, x: Tensor, noise: Noise) -> Tensor:
        """The scores whose largest entry is indicated, shape of x."""
        return GumbelSoftmax().perturbed(x, noise)

    @precise
    def apply(self, x: Tensor, *, noise: Noise, softness: float | Tensor = 1.0, dim: int = -1) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]  # samples take noise
        """The sample along `dim`."""
        return super().apply(self.perturbed(x, noise), softness=softness, dim=dim)


@dataclass(frozen=True, kw_only=True)
class StraightThroughOperator(HardOperator):
    """The hard function with the gradient of `Softmax`.

    Raises:
        ValueError: the kind is `sample`, or unknown.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind == "sample":
            raise ValueError("straight-through has no 'sample': its soft function would take other noise; use softmax")

    @property
    def surrogate(self) -> Smoothing:
        """The operator that provides the gradient."""
        return Softmax().of(self.kind)

    @precise
    def apply(
        self,
        x: Tensor,
        *,
        softness: float | Tensor = 1.0,
        k: int | None = None,
        dim: int = -1,
        descending: bool = False,
    ) -> Tensor:
        """The hard function along `dim`."""
        more = {"k": k} if self.kind == "top-k" else {"descending": True} if descending else {}
        soft = self.surrogate.apply(x.movedim(dim, -1), softness=softness, **more)
        exact = hard(self.kind, x.detach().movedim(dim, -1), k=k, descending=descending)
        difference = soft - soft.detach()
        # An infinite soft value has no difference.
        out = exact + (difference if finite(soft) else torch.where(soft.isinf(), 0, difference))
        return out if out.ndim < x.ndim else out.movedim(-1, dim)
