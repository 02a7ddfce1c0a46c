"""The Nystrom preconditioner of an SPD operator: its log-determinant, and the preconditioned operator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .blocks import probe_blocks, products
from .contract import Operator

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@dataclass(frozen=True, kw_only=True)
class Preconditioner:
    """P = U L U^T + low I for each repeat, from a Nystrom approximation U L U^T of A - low I (arXiv:2110.02820).

    Args:
        op: A.
        low: lower bound of its eigenvalues, > 0.
        vectors: U, `[*batch_shape, repeats, n, r]`.
        values: the diagonal of L, >= 0, `[*batch_shape, repeats, r]`.
    """

    op: Operator
    low: float
    vectors: Tensor
    values: Tensor

    @property
    def logdet(self) -> Tensor:
        """The log-determinant of P, `[*batch_shape, repeats]`, float64."""
        grown = torch.log1p(self.values / self.low).sum(-1, dtype=torch.float64)
        return grown + self.op.n * torch.log(torch.tensor(self.low, dtype=torch.float64))

    def of(self, repeats: Tensor) -> Preconditioner:
        """The preconditioners of some repeats, by their indices `[R]`."""
        return replace(
            self, vectors=self.vectors.index_select(-3, repeats), values=self.values.index_select(-2, repeats)
        )

    def remainder(self) -> Operator:
        """P^-1/2 A P^-1/2, a block of columns for each repeat side by side; a product is one with A."""
        # P^-1/2 up to its factor low^-1/2, which is applied at the end.
        factor = (torch.rsqrt(1 + self.values / self.low) - 1).unsqueeze(-1)
        op, repeats = self.op, self.vectors.shape[-3]

        def halved(v: Tensor) -> Tensor:
            block = v.unflatten(-1, (repeats, -1)).movedim(-2, -3)
            block = block + self.vectors @ (factor * (self.vectors.mT @ block))
            return block.movedim(-3, -2).flatten(-2)

        return Operator(
            kind="spd",
            n=op.n,
            product=lambda v: halved(op.mv(halved(v))) / self.low,
            dtype=op.dtype,
            device=op.device,
            batch_shape=op.batch_shape,
        )


def precondition(op: Operator, noise: Noise, *, rank: int, repeats: int, name: str) -> Preconditioner:
    """A preconditioner for each repeat, by `rank` products with Gaussian vectors, counted as set-up.

    Args:
        name: name of the calling method, for error messages.

    Raises:
        ValueError: no positive lower bound of the eigenvalues is known, or the rank exceeds n.
    """
    low = op.bounds.low
    if low is None or low <= 0:
        raise ValueError(f"{name} needs a positive lower bound of the eigenvalues, got none; use slq")
    if rank > op.n:
        raise ValueError(f"rank must be at most n = {op.n}, got {rank}; use exact")
    omega = torch.linalg.qr(probe_blocks(op, noise, "gaussian", repeats=repeats, probes=rank)).Q
    with op.billing("setup"):
        y = products(op, omega) - low * omega
    tiny = torch.finfo(y.dtype).tiny
    nu = (torch.finfo(y.dtype).eps * torch.linalg.matrix_norm(y) + tiny)[..., None, None]
    shifted = y + nu * omega
    core = omega.mT @ shifted
    # By eigenvalues: rounding may make the core of a low-rank operator indefinite.
    theta, basis = torch.linalg.eigh((core + core.mT) / 2)
    inverse_root = torch.where(theta > nu[..., 0] * 0.5, torch.rsqrt(theta.clamp_min(tiny)), 0.0)
    u, sigma, _ = torch.linalg.svd(shifted @ (basis * inverse_root.unsqueeze(-2)), full_matrices=False)
    return Preconditioner(op=op, low=low, vectors=u, values=(sigma.square() - nu[..., 0]).clamp_min(0))
