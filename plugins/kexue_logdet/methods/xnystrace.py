"""XNysTrace: leave-one-out with Nystrom approximations, one product per test vector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from kexue_bench import method

from ..blocks import dots, image_with_history, need_spd, price, probe_blocks
from ..contract import LogdetSample, Operator, afford
from ..sketching import Sketching
from ..truncation import concluded
from ..words import IMAGES, NO_BOUND, NO_GRADIENT, OVER_BUDGET, UNBIASED_TRACE

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

ROTATION_INVARIANT = ("gaussian", "sphere")


@method(
    "xnystrace",
    "leave-one-out with Nystrom approximations, one product per test vector",
    references=("Epperly, Tropp and Webber 2024, arXiv:2301.07825",),
    claims=(UNBIASED_TRACE,),
    cost=IMAGES,
    needs={"spd", "bounded"},
    unless=(NO_GRADIENT, NO_BOUND, OVER_BUDGET),
    order=120,
)
@dataclass(frozen=True, kw_only=True)
class XNysTrace(Sketching):
    """Mean over i of tr B_i + w_i^T (B - B_i) w_i, B_i the Nystrom approximation without w_i (section 2.3).

    For PSD B: A or A^-1 for the trace of one; log A - log(low) I for a log-determinant, where `op.bounds.low` bounds
    the spectrum from below, so that n log(low) is added. B_i equals B on all test vectors but w_i, so that w_i is
    rescaled as a probe of the remainder. Unbiased; the error bar is the spread of the terms over sqrt(m), which is
    too small on average.

    Args:
        vectors: number m of test vectors per repeat, 2 <= m <= n.
        distribution: `sphere` or `gaussian`; others are not rotation-invariant.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Bounds, Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = torch.diag(torch.linspace(1.0, 4.0, 100, dtype=torch.float64))
        >>> op = Operator.of(matrix, "spd", bounds=Bounds(low=1.0, high=4.0, provenance="exact"))
        >>> sample = XNysTrace().estimate(op, budget=2000, noise=noise, repeats=4)
        >>> sample.value.shape
        torch.Size([4])
    """

    least: ClassVar[int] = 2
    distributions: ClassVar[tuple[str, ...]] = ROTATION_INVARIANT

    distribution: str = "sphere"

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`; a log-determinant needs a lower bound of the eigenvalues."""
        need_spd(op, "xnystrace")
        afford(self.vectors * price(op, self.steps), budget)
        if self.vectors > op.n:
            raise ValueError(f"xnystrace takes at most n = {op.n} vectors, got {self.vectors}; use exact")
        low = _log_low(op)
        omega = probe_blocks(op, noise, self.distribution, repeats=repeats, probes=self.vectors)
        mapped, history = image_with_history(op, omega, self.steps)
        terms = _terms(omega, mapped - low * omega) + op.n * low
        spread = terms.std(dim=-1) / math.sqrt(self.vectors)
        sample = LogdetSample(value=terms.mean(dim=-1).movedim(-1, 0), stderr=spread.movedim(-1, 0))
        return concluded(op, sample, history, remedy=f"take steps={2 * self.steps}")


def _terms(omega: Tensor, y: Tensor) -> Tensor:
    """The m leave-one-out estimates of tr B from Y = B W, `[*batch_shape, repeats, m]`."""
    n, m = omega.shape[-2:]
    shifted, factor, nu = _factor(omega, y)
    eye = torch.eye(m, dtype=y.dtype, device=y.device).expand_as(factor)
    inverse = torch.linalg.solve_triangular(factor, eye, upper=False)
    # B C^-1 with W^T B W = C^T C; the trace of the whole approximation is its squared norm.
    half = shifted @ inverse.mT
    weight = dots(inverse, inverse)
    gone = half @ inverse
    gram = torch.linalg.inv(omega.mT @ omega).diagonal(dim1=-2, dim2=-1)
    whole = half.square().sum((-2, -1), dtype=torch.float64).unsqueeze(-1)
    return whole + ((n - m + 1) * gram - dots(gone, gone)) / weight - (n * nu).unsqueeze(-1)


def _factor(omega: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Y + nu W, the Cholesky factor of W^T (Y + nu W), and nu, `[*batch_shape, repeats]`.

    The shift, whose trace is subtracted later, keeps rounding from making W^T Y indefinite.

    Raises:
        ValueError: W^T Y is indefinite beyond rounding.
    """
    nu = torch.finfo(y.dtype).eps * torch.linalg.matrix_norm(y) / math.sqrt(omega.shape[-2])
    nu = nu + torch.finfo(y.dtype).tiny
    for _ in range(8):
        shifted = y + nu[..., None, None] * omega
        core = omega.mT @ shifted
        factor, info = torch.linalg.cholesky_ex((core + core.mT) / 2)
        if not bool(info.any()):
            return shifted, factor, nu
        nu = torch.where(info > 0, 10 * nu, nu)
    raise ValueError("xnystrace needs a positive semidefinite operator, got an indefinite one; use xtrace")


def _log_low(op: Operator) -> float:
    if op.target != "logdet":
        return 0.0
    if op.bounds.low is None or op.bounds.low <= 0:
        raise ValueError("xnystrace on a log-determinant needs a positive lower bound, got none; use xtrace")
    return math.log(op.bounds.low)
