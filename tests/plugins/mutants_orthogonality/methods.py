"""The mistakes, and one penalty without any."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from kexue_bench.lab.training import Joins


class _Sum(Joins):
    """A value of each matrix, summed."""

    def __init__(self, value, targets):
        self._value, self._targets = value, tuple(targets)

    def penalty(self, taps):
        """See `Joins.penalty`."""
        return sum(self._value(target.matrix()) for target in self._targets)


def _error(w):
    return w.mT @ w - torch.eye(w.shape[-1], dtype=w.dtype)


def _squares(matrix):
    return matrix.square().sum((-2, -1))


@dataclass(frozen=True, kw_only=True)
class Honest:
    """The squared norm of W'W - I."""

    def attach(self, targets, ctx=None):
        """Join in."""
        return _Sum(lambda w: _squares(_error(w)), targets)


@dataclass(frozen=True, kw_only=True)
class HalfGradient:
    """The right value with half of its gradient, as one published implementation adds it by hand."""

    def attach(self, targets, ctx=None):
        """Join in."""

        def value(w):
            full = _squares(_error(w))
            return (full + full.detach()) / 2

        return _Sum(value, targets)


@dataclass(frozen=True, kw_only=True)
class ForgottenDiagonal:
    """Looks at angles alone and claims to see lengths."""

    def attach(self, targets, ctx=None):
        """Join in."""
        return _Sum(lambda w: _squares(_error(w).tril(-1)), targets)


@dataclass(frozen=True, kw_only=True)
class ForgottenAbsolute:
    """The sum of the entries of W'W - I instead of their absolute values."""

    def attach(self, targets, ctx=None):
        """Join in."""
        return _Sum(lambda w: _error(w).sum((-2, -1)), targets)


@dataclass(frozen=True, kw_only=True)
class WrongSide:
    """The Gram matrix of the rows, which a tall matrix cannot make the identity."""

    def attach(self, targets, ctx=None):
        """Join in."""
        return _Sum(lambda w: _squares(_error(w.mT)), targets)


@dataclass(frozen=True, kw_only=True)
class Entrywise:
    """Absolute entries, which see a rotation of the columns, and claims that it does not matter."""

    def attach(self, targets, ctx=None):
        """Join in."""
        return _Sum(lambda w: _error(w).abs().sum((-2, -1)), targets)


@dataclass(frozen=True, kw_only=True)
class StrayProbe:
    """|E v|^2 for a random v of the global generator."""

    def attach(self, targets, ctx=None):
        """Join in."""
        return _Sum(lambda w: 0.01 * _squares(_error(w) @ torch.randn(w.shape[-1], 1, dtype=w.dtype)), targets)
