"""Controls: methods that do not ask for orthogonality, or do not keep it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kexue_bench import method
from kexue_bench.lab.noise import untraced
from kexue_bench.lab.precision import raised

from ..contract import Alone, Session, Surroundings, Target
from ..words import POLYNOMIALS_ONLY, WEIGHTS, WITHOUT_WEIGHTS

_WARM_UP = 15


@method(
    "none",
    "weights left alone; the baseline of every comparison",
    unless=(POLYNOMIALS_ONLY,),
    references=("the control of every comparison",),
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class Nothing:
    """A session without a hook: W is trained by the loop alone, `W <- W - lr G` for plain gradient descent.

    Examples:
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> joins = Nothing().attach(targets_of(nn.Linear(4, 3)))
        >>> joins.penalty() is None
        True
    """

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`."""
        return Session(targets)


@method(
    "weight-decay",
    "multiple of the weights added to their gradient",
    unless=WITHOUT_WEIGHTS,
    knobs=(WEIGHTS,),
    aliases=("l2",),
    references=("Krogh and Hertz, NeurIPS 1991",),
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class WeightDecay:
    """`G <- G + weight W`: the gradient of `weight / 2 |W|_F^2`, added after the backward pass.

    Args:
        weight: the multiple.

    Raises:
        ValueError: weight is negative.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = WeightDecay(weight=1e-3).attach(targets_of(model))
        >>> model(torch.ones(2, 8)).square().mean().backward()
        >>> joins.gradient_()
    """

    weight: float = 1e-3

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise ValueError(f"weight must be >= 0, got {self.weight}")

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`."""
        return _Decaying(targets, self.weight)


class _Decaying(Session):
    def __init__(self, targets: Sequence[Target], weight: float) -> None:
        super().__init__(targets)
        self._weight = weight

    def gradient_(self) -> None:
        for target in self.targets:
            target.gradient().add_(target.matrix().detach(), alpha=self._weight)


@method(
    "orthogonal-init",
    "orthogonal initialization at the polar factors, nothing afterwards",
    unless=WITHOUT_WEIGHTS,
    references=("arXiv:1312.6120",),
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class OrthogonalInit:
    """`W_0 <- U V^T` for `W_0 = U S V^T`.

    Every method that must start at orthonormal columns starts at the same ones, so that this control shows how much of
    its effect is due to the start.

    Examples:
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = OrthogonalInit().attach(targets_of(model))
        >>> bool((model.weight @ model.weight.T).diagonal().allclose(model.weight.new_ones(4)))
        True
    """

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`."""
        session = Session(targets)
        for target in session.targets:
            target.polar_()
        return session


@method(
    "spectral-norm",
    "division by the largest singular value, by power iteration",
    unless=WITHOUT_WEIGHTS,
    references=("arXiv:1802.05957",),
    order=40,
)
@dataclass(frozen=True, kw_only=True)
class SpectralNorm:
    """`W = X / |X v|` with `v <- X^T X v`, normalized: its largest singular value is about 1.

    For a convolution this is the norm of the flattened kernel, not of the layer. The estimate is a lower bound that is
    carried over from step to step; 15 iterations precede the first. It stays as it is while X does, so that all uses of
    a tied weight see one W, and a frozen layer, or one that is only evaluated, does not drift.

    Args:
        iterations: power iterations in training after each change of X, >= 1.

    Raises:
        ValueError: iterations is below 1.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = SpectralNorm().attach(targets_of(model))  # before the optimizer is made
        >>> model(torch.ones(2, 8)).square().mean().backward()
    """

    iterations: int = 1

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ValueError(f"iterations must be >= 1, got {self.iterations}")

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`."""
        targets = tuple(targets)
        session = Session(targets)
        noise = (ctx or Alone.around(targets)).noise("method", stack=0)
        for index, target in enumerate(session.targets):
            size = target.shape[1]
            start = noise.at(index).normal(*(target.stack or (1,)), size * math.prod(target.blocks), 1)
            mapping = _Normalised(start.reshape(*target.stack, *target.blocks, size, 1), self.iterations, target)
            mapping.iterate(raised(target.matrix().detach()), _WARM_UP)
            # Attaching reads the weight once for each layer that has it; the first pass is the first step.
            with torch.no_grad():
                target.parametrize_(mapping)
        return session


class _Normalised(nn.Module):
    """X / |X v|; no gradient passes through v, and 0 stays 0."""

    v: Tensor

    def __init__(self, start: Tensor, iterations: int, target: Target) -> None:
        super().__init__()
        self.register_buffer("v", _unit(start))
        self._iterations, self._target = iterations, target
        self._seen: tuple[int, int] | None = None

    @torch.no_grad()
    def iterate(self, matrix: Tensor, count: int) -> None:
        """Take steps of v <- X^T X v, normalized."""
        for _ in range(count):
            self.v = _unit(matrix.mT @ (matrix @ raised(self.v)))

    def forward(self, matrix: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled():
            self._follow(matrix.detach())
        norm = torch.linalg.vector_norm(matrix @ raised(self.v), dim=-2, keepdim=True)
        return matrix / (norm + (norm == 0))

    @untraced
    def _follow(self, matrix: Tensor) -> None:
        """Iterate if X is trained and has changed since the last time."""
        parameter = self._target.parameter
        version = id(parameter), parameter._version  # noqa: SLF001  # what autograd itself goes by
        if parameter.requires_grad and version != self._seen:
            self.iterate(matrix, self._iterations)
            self._seen = version

    def right_inverse(self, matrix: Tensor) -> Tensor:
        return matrix


def _unit(v: Tensor) -> Tensor:
    return nn.functional.normalize(v, dim=-2)
