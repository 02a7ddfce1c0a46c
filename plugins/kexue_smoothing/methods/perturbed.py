"""Hard choices averaged over perturbed scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from kexue_bench import Claimed, method
from kexue_bench.lab.precision import precise

from ..contract import Bound, checked_k, checked_softness
from ..hard_functions import hard
from ..rows import last

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

NOISES = ("normal", "gumbel")
KINDS = ("one-hot", "top-k", "rank")


@method(
    "perturbed",
    "mean of hard choices under random perturbations of the scores, with a score-function gradient",
    needs="linear",
    claims=(
        "hard-limit",
        Claimed(name="unit-interval", when="'rank' not in offers"),
        Claimed(name="sums-to-k", when="'rank' not in offers"),
        Claimed(name="expected-softmax", when="distribution == 'gumbel' and 'one-hot' in offers"),
    ),
    references=("Berthet et al. 2020, arXiv:2002.08676",),
    order=40,
)
@dataclass(frozen=True, kw_only=True)
class Perturbed:
    """(1 / m) sum over m perturbations z of v(x + s z), v the hard indicator, top-k mask or ranks of scores.

    The gradient is that of the expectation, estimated from the same samples: the mean of <upstream, v - leave-one-out
    mean of v> nu(z) / s, where nu is minus the derivative of the log-density of the noise. It is unbiased; the
    derivative of the returned mean itself is zero. With Gumbel noise the expected indicator is softmax(x / s).
    `of(kind)` returns the operator of a kind.

    Args:
        samples: number m of perturbations, >= 2.
        distribution: of the noise, `normal` or `gumbel`.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> x = torch.tensor([3.0, 2.0, 1.0, 4.0])
        >>> Perturbed(samples=100).of("top-k").apply(x, softness=0.1, k=2, noise=Noise.seeded(0))
        tensor([1., 0., 0., 1.])
    """

    samples: int = 32
    distribution: str = "normal"

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise ValueError(f"samples must be >= 2 for the leave-one-out mean, got {self.samples}")
        if self.distribution not in NOISES:
            raise ValueError(f"distribution must be one of {', '.join(NOISES)}, got {self.distribution!r}")

    def of(self, kind: str) -> PerturbedOperator:
        """The operator of a kind.

        Raises:
            ValueError: the hard function of the kind does not maximize a linear function.
        """
        if kind not in KINDS:
            raise ValueError(f"perturbed supports the kinds {', '.join(KINDS)}, got {kind!r}")
        return PerturbedOperator(kind=kind, samples=self.samples, distribution=self.distribution)


@dataclass(frozen=True, kw_only=True)
class PerturbedOperator:
    """`Perturbed` for one kind.

    Args:
        kind: `one-hot`, `top-k` or `rank`.
        samples: as in `Perturbed`.
        distribution: as in `Perturbed`.
    """

    stochastic: ClassVar[bool] = True
    kind: str
    samples: int
    distribution: str

    @precise
    def apply(self, x: Tensor, *, softness: float, noise: Noise, k: int | None = None, dim: int = -1) -> Tensor:
        """The mean of hard functions along `dim`, shape of x; `k` only for `top-k`.

        Raises:
            ValueError: the softness requires a gradient, for which there is no estimator here.
        """
        if isinstance(softness, Tensor) and softness.requires_grad:
            raise ValueError("perturbed has no gradient for its softness, got one that requires it; pass a float")
        softness = float(checked_softness(softness, x.dtype))
        entries = last(x, dim)
        if self.kind == "top-k":
            checked_k(k, entries.shape[-1])
        draw = noise.normal if self.distribution == "normal" else noise.gumbel
        # The samples come second to last, so that a stack of streams keeps its axis in front.
        z = draw(*entries.shape[:-1], self.samples, entries.shape[-1]).to(x.dtype)
        return _Perturbed.apply(entries, z, softness, self.kind, k, self.distribution).movedim(-1, dim)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound | None:
        """None: the error of a sample mean has no bound below the largest possible error."""
        return None


class _Perturbed(torch.autograd.Function):
    """The mean of hard functions, with the score-function gradient of its expectation."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, z: Tensor, softness: float, kind: str, k: int | None, distribution: str) -> Tensor:
        """Mean over samples; [*batch, n]."""
        vertices = hard(kind, x.detach().unsqueeze(-2) + softness * z, k=k)
        ctx.save_for_backward(vertices, z)
        ctx.softness, ctx.distribution = softness, distribution
        return vertices.mean(-2)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        """Score-function gradient with the leave-one-out mean as baseline."""
        vertices, z = ctx.saved_tensors
        m = vertices.shape[-2]
        scores = (vertices * upstream[0].unsqueeze(-2)).sum(-1, keepdim=True)
        centred = (scores - scores.mean(-2, keepdim=True)) * (m / (m - 1))
        nu = z if ctx.distribution == "normal" else 1 - torch.exp(-z)
        return (centred * nu).mean(-2) / ctx.softness, None, None, None, None, None
