"""Constraints that `verify` must fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

import torch

from kexue_orthogonality.parametrized import Descending, Iterated
from kexue_orthogonality.polynomials import JORDAN, Polynomial
from kexue_orthogonality.stiefel import landing_field, tangent


class _Tangential:
    """A descent along the tangent from the polar factors."""

    lr: float

    def retract(self, matrix):
        return matrix

    def attach(self, targets, ctx=None):
        session = Descending(targets, lambda w, g, _, lr: self.retract(w - lr * tangent(w, g)), self.lr)
        for target in session.targets:
            target.polar_()
        return session


@dataclass(frozen=True, kw_only=True)
class UnsignedQR(_Tangential):
    """The QR factor as LAPACK leaves it, without a sign for its columns."""

    lr: float = 0.1

    def retract(self, matrix):
        return torch.linalg.qr(matrix).Q


@dataclass(frozen=True, kw_only=True)
class NoRetraction(_Tangential):
    """Steps along the tangent and never comes back."""

    lr: float = 0.1


@dataclass(frozen=True, kw_only=True)
class UnsafeLanding:
    """The landing field at the learning rate, whatever the distance."""

    lr: float = 0.1
    strength: float = 1.0
    radius: float = 0.5

    def attach(self, targets, ctx=None):
        return Descending(targets, lambda w, g, _, lr: w - lr * landing_field(w, g, self.strength), self.lr)


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
