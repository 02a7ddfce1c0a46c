"""Constraints that `verify` must fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

import torch

from kexue_orthogonality.methods.landing import Landing
from kexue_orthogonality.methods.riemannian_sgd import RiemannianSGD
from kexue_orthogonality.parametrized import Descending, Iterated
from kexue_orthogonality.polynomials import JORDAN, Polynomial
from kexue_orthogonality.stiefel import landing_field, tangent


@dataclass(frozen=True, kw_only=True)
class UnsignedQR(RiemannianSGD):
    """The QR factor as LAPACK leaves it, without a sign for its columns."""

    lr: float = 0.1
    momentum: float = 0.0
    retraction: str = "qr"

    def step(self, matrix, gradient, state, lr):
        return torch.linalg.qr(matrix - lr * tangent(matrix, gradient)).Q


@dataclass(frozen=True, kw_only=True)
class NoRetraction:
    """Steps along the tangent and never comes back."""

    lr: float = 0.1

    def attach(self, targets, ctx=None):
        session = Descending(targets, lambda w, g, _, lr: w - lr * tangent(w, g), self.lr)
        for target in session.targets:
            target.polar_()
        return session


@dataclass(frozen=True, kw_only=True)
class UnsafeLanding(Landing):
    """The landing field at the learning rate, whatever the distance."""

    lr: float = 0.1
    strength: float = 1.0
    radius: float = 0.5

    def step(self, matrix, gradient, state, lr):
        return matrix - lr * landing_field(matrix, gradient, self.strength)


@dataclass(frozen=True, kw_only=True)
class RestlessPolynomial(Iterated):
    """Muon's polynomial as if it converged."""

    steps: int = 5
    scale: str = "spectral"

    def polynomials(self) -> Iterator[Polynomial]:
        return repeat(JORDAN)


@dataclass(frozen=True, kw_only=True)
class PowerScaled(Iterated):
    """One power iteration in the place of the norm: a lower bound, so that values start above 1."""

    steps: int = 1
    scale: str = "spectral"

    def orthogonalized(self, matrix):
        vector = torch.ones_like(matrix[..., :1, :]).mT
        left = matrix @ vector
        norm = torch.linalg.vector_norm(matrix.mT @ left, dim=-2, keepdim=True) / left.norm(dim=-2, keepdim=True)
        return matrix / norm.detach()
