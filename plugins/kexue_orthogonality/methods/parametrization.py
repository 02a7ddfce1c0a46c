"""Orthogonal weights as a smooth map of free matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kexue_bench import method
from kexue_bench.lab.precision import raised

from .. import maps
from ..contract import Session, Surroundings, Target
from ..parametrized import Parametrized
from ..targets import polar
from ..words import ON_MANIFOLD, WITHOUT_WEIGHTS

_SKEW: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"cayley": maps.cayley, "matrix_exp": maps.exponential}
_MAPS = ("cayley", "matrix_exp", "householder")


@method(
    "parametrization",
    "weights as a map of free matrices: Cayley, exponential or Householder reflections",
    unless=WITHOUT_WEIGHTS,
    claims=ON_MANIFOLD,
    references=("arXiv:1901.08428", "arXiv:1909.09501", "doi:10.1007/s10107-012-0584-1", "arXiv:1612.00188"),
    variants=("parametrization[map=[cayley,matrix_exp,householder]]",),
    order=220,
)
@dataclass(frozen=True, kw_only=True)
class Parametrization:
    """W = f(X), with orthonormal columns for every X, trained by the optimizer of the loop.

    `cayley`: (I - A/2)^-1 (I + A/2) B and `matrix_exp`: exp(A) B, with A = X B^T - B X^T and B the polar factor of the
    initial weight, where X = 0. Weight decay therefore pulls toward the start. Cost O(d k^2) for tall W. `householder`:
    k reflections whose vectors are the columns of X below the diagonal, times fixed signs; it too starts at the polar
    factor. Weight decay leaves the weights orthogonal under all three, and none can change the sign of the determinant
    of a square W.

    Args:
        map: `cayley`, `matrix_exp` or `householder`.

    Raises:
        ValueError: map is unknown.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = Parametrization(map="cayley").attach(targets_of(model))  # before the optimizer is made
        >>> optimizer = torch.optim.Adam(model.parameters())
        >>> torch.allclose(model.weight @ model.weight.T, torch.eye(4), atol=1e-6)
        True
    """

    map: str = "cayley"

    def __post_init__(self) -> None:
        if self.map not in _MAPS:
            raise ValueError(f"map must be one of {', '.join(_MAPS)}, got {self.map!r}")

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`."""
        session = Parametrized(targets)
        for target in session.targets:
            matrix = raised(target.matrix().detach())
            target.parametrize_(_Reflections(matrix) if self.map == "householder" else _Skew(_SKEW[self.map], matrix))
        return session


class _Skew(nn.Module):
    """f(X B^T - B X^T) B; assigning a weight moves B to its polar factor and X to 0."""

    base: Tensor

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], like: Tensor) -> None:
        super().__init__()
        self._function = function
        self.register_buffer("base", torch.zeros_like(like))

    def forward(self, free: Tensor) -> Tensor:
        return self._function(free, raised(self.base))

    @torch.no_grad()
    def right_inverse(self, matrix: Tensor) -> Tensor:
        self.base.copy_(polar(matrix))
        return torch.zeros_like(matrix)


class _Reflections(nn.Module):
    """Reflections times signs; assigning a weight finds those of its polar factor."""

    signs: Tensor

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.register_buffer("signs", torch.ones_like(like[..., 0, :]))

    def forward(self, free: Tensor) -> Tensor:
        return maps.householder(free, raised(self.signs))

    @torch.no_grad()
    def right_inverse(self, matrix: Tensor) -> Tensor:
        free, signs = maps.reflections(polar(matrix))
        self.signs.copy_(signs)
        return free
