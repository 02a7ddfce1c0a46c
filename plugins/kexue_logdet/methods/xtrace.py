"""XTrace: every test vector sketches for the others and probes the remainder of its own sketch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from kexue_bench import method

from ..blocks import dots, image, image_with_history, need_spd, price, probe_blocks, trace
from ..contract import LogdetSample, Operator, afford
from ..sketching import Sketching
from ..truncation import concluded
from ..words import IMAGES, NO_GRADIENT, OVER_BUDGET, UNBIASED_TRACE

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

NORMALISATIONS = ("improved", "none")
_LEAST = 1e-140  # its reciprocal has a square


@method(
    "xtrace",
    "leave-one-out Hutch++: every test vector sketches for the others and is the probe of its own term",
    references=("Epperly, Tropp and Webber 2024, arXiv:2301.07825",),
    claims=(UNBIASED_TRACE,),
    cost=IMAGES,
    needs="spd",
    unless=(NO_GRADIENT, OVER_BUDGET),
    order=110,
)
@dataclass(frozen=True, kw_only=True)
class XTrace(Sketching):
    """Mean over i of tr Q_i^T B Q_i + w_i^T (I - P_i) B (I - P_i) w_i, P_i = Q_i Q_i^T (section 2).

    Q_i spans B W without its column i, W the s = `vectors` / 2 test vectors; all of them come from one factorization B
    W = Q R: P_i = Q (I - s_i s_i^T) Q^T with s_i the unit vector along R^-T e_i. B is A, A^-1 or log A, depending on
    the target. Unbiased. The error bar is the spread of the s terms over sqrt(s), which are not independent: it is too
    small on average. Steps in the spectrum show only once s exceeds their rank.

    Args:
        vectors: products with B per repeat, even, >= 4: one for each test vector and one for each column of Q.
        distribution: `sphere`, `gaussian` or `rademacher`. Orthogonal test vectors are not independent of each other's
            sketch and are refused.
        normalisation: `improved` rescales the remainder of a sphere vector to the length of a probe of that subspace;
            `none` does not.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = torch.diag(torch.linspace(1.0, 4.0, 50, dtype=torch.float64))
        >>> op = Operator.of(matrix, "spd")
        >>> sample = XTrace().estimate(op, budget=2000, noise=noise, repeats=4)
        >>> sample.value.shape
        torch.Size([4])
    """

    least: ClassVar[int] = 4

    distribution: str = "sphere"
    normalisation: str = "improved"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vectors % 2:
            raise ValueError(
                f"vectors must be even, got {self.vectors}: one product for a test vector and one for a column of Q"
            )
        if self.normalisation not in NORMALISATIONS:
            raise ValueError(f"normalisation must be one of {', '.join(NORMALISATIONS)}, got {self.normalisation!r}")
        if self.normalisation == "improved" and self.distribution == "rademacher":
            raise ValueError("improved normalisation needs a rotation-invariant distribution, got 'rademacher'")

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`."""
        need_spd(op, "xtrace")
        afford(self.vectors * price(op, self.steps), budget)
        tests = self.vectors // 2
        if tests > op.n:
            raise ValueError(f"xtrace takes at most 2 n = {2 * op.n} vectors, got {self.vectors}; use exact")
        omega = probe_blocks(op, noise, self.distribution, repeats=repeats, probes=tests)
        mapped, history = image_with_history(op, omega, self.steps)
        q, r = torch.linalg.qr(mapped)
        z = image(op, q, self.steps)
        terms = self._terms(op.n, omega, q, r, z)
        spread = terms.std(dim=-1) / math.sqrt(tests)
        sample = LogdetSample(value=terms.mean(dim=-1).movedim(-1, 0), stderr=spread.movedim(-1, 0))
        return concluded(op, sample, history, remedy=f"take steps={2 * self.steps}")

    def _terms(self, n: int, omega: Tensor, q: Tensor, r: Tensor, z: Tensor) -> Tensor:
        """The s leave-one-out estimates, `[*batch_shape, repeats, s]`."""
        h, w, t, r = (part.to(torch.float64) for part in (q.mT @ z, q.mT @ omega, z.mT @ omega, r))
        s = _left_out(r)
        inner = dots(s, w)
        # P_i w_i in coordinates of Q; w_i - P_i w_i is then (w_i - Q w) + s_i (s_i . w).
        u = w - s * inner.unsqueeze(-2)
        # B w_i = Q r_i, so that no terms of size ||B|| |w_i|^2 cancel.
        probed = inner * dots(s, r) - dots(t - h.mT @ u, u)
        if self.normalisation == "improved":
            room = n - omega.shape[-1] + 1
            probed = probed * (room / (dots(omega, omega) - dots(u, u)))
        return trace(h).unsqueeze(-1) - dots(s, h @ s) + probed


def _left_out(r: Tensor) -> Tensor:
    """Unit vectors along R^-T e_i as columns: the direction that Q loses without column i."""
    diagonal = r.diagonal(dim1=-2, dim2=-1)
    tiny = torch.finfo(r.dtype).eps * diagonal.abs().amax(-1, keepdim=True) + torch.finfo(r.dtype).tiny
    # An exact zero means an exhausted range; any direction in it is valid.
    filled = torch.where(diagonal == 0, (tiny * torch.finfo(r.dtype).eps).clamp_min(_LEAST), diagonal)
    safe = r + torch.diag_embed(filled - diagonal)
    eye = torch.eye(r.shape[-1], dtype=r.dtype, device=r.device)
    s = torch.linalg.solve_triangular(safe.mT, eye.expand_as(r), upper=False)
    return s / s.norm(dim=-2, keepdim=True)
