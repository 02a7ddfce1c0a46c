"""Langevin samplers in coordinates that a covariance makes round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kexue_bench import Claimed, method

from ...contract import Linear, Potential, Sampler, StepInfo
from ..checks import one_of, positive
from ..words import STEP
from .mala import Mala
from .ula import Ula

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

_KERNELS = ("mala", "ula")
_FORMS = ("full", "diagonal")


class Rounded:
    """U(R x) as a function of x."""

    def __init__(self, inner: Potential, root: Tensor) -> None:
        self.dim, self._inner, self._root = inner.dim, inner, root

    def value(self, x: Tensor) -> Tensor:
        """See `Potential.value`."""
        return self._inner.value(x @ self._root.mT)

    def gradient(self, x: Tensor) -> Tensor:
        """See `Potential.gradient`."""
        return self._inner.gradient(x @ self._root.mT) @ self._root

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Potential.both`."""
        value, slope = self._inner.both(x @ self._root.mT)
        return value, slope @ self._root

    def tempered(self, temperature: Tensor) -> Potential:
        """See `Potential.tempered`."""
        return Rounded(self._inner.tempered(temperature), self._root)


@method(
    "preconditioned",
    "ULA or MALA in coordinates in which the covariance that the potential states is the identity",
    references=("Roberts and Stramer 2002, doi:10.1023/A:1023562417138",),
    needs="covariance",
    claims=(
        "affine-equivariant",
        "independent-chains",
        Claimed(name="keeps-target", when="kernel == 'mala'"),
        Claimed(name="reversible", when="kernel == 'mala'"),
        Claimed(name="stationary-law", when="kernel == 'ula' and 'gaussian' in offers"),
        Claimed(name="exact-variance", when="kernel == 'ula' and 'gaussian' in offers"),
    ),
    knobs=(STEP,),
    variants=("preconditioned", "preconditioned[kernel=ula]", "preconditioned[form=diagonal]"),
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class Preconditioned:
    """The kernel on y = R^-1 x, with R R' = M: `x' = x - h M grad U(x) + sqrt(2 h) R xi`.

    M is the potential's `covariance`, or its diagonal. The full form does the same run in every basis.

    Args:
        kernel: `mala` or `ula`.
        form: of M, `full` or `diagonal`.
        h: the step size, > 0; in units of M.

    Raises:
        ValueError: a field out of range; when it starts, a potential without a covariance, or one that is not
            symmetric positive definite.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> covariance = torch.diag(torch.tensor([1.0, 100.0]))
        >>> potential = FunctionPotential(lambda x: x[:, 0] ** 2 / 2 + x[:, 1] ** 2 / 200, dim=2, covariance=covariance)
        >>> sampler, noise = Preconditioned(h=0.5), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> sampler.position(state).shape
        torch.Size([5, 2])
    """

    kernel: str = "mala"
    form: str = "full"
    h: float = 0.5

    def __post_init__(self) -> None:
        one_of("kernel", self.kernel, _KERNELS)
        one_of("form", self.form, _FORMS)
        positive("h", self.h)

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> tuple[Any, Tensor]:
        """See `Sampler.init`."""
        root = self._root(getattr(potential, "covariance", None)).to(x)
        y = torch.linalg.solve_triangular(root, x.mT, upper=False).mT
        return self._inner().init(y, Rounded(potential, root), noise), root

    def step(
        self, state: tuple[Any, Tensor], potential: Potential, noise: Noise
    ) -> tuple[tuple[Any, Tensor], StepInfo]:
        """See `Sampler.step`."""
        inner, root = state
        inner, info = self._inner().step(inner, Rounded(potential, root), noise)
        return (inner, root), info

    def position(self, state: tuple[Any, Tensor]) -> Tensor:
        """See `Sampler.position`."""
        inner, root = state
        return self._inner().position(inner) @ root.mT

    def linear(self, precision: Tensor) -> Linear | None:
        """The law of ULA in the round coordinates, for the covariance of the Gaussian itself; None for MALA."""
        if self.kernel == "mala":
            return None
        root = self._root(torch.linalg.inv(precision))
        inner = Ula(h=self.h).linear(root.mT @ precision @ root)
        back = torch.linalg.inv(root)
        return Linear(A=root @ inner.A @ back, B=root @ inner.B, Q=inner.Q)

    def _inner(self) -> Sampler:
        return Mala(h=self.h) if self.kernel == "mala" else Ula(h=self.h)

    def _root(self, covariance: Tensor | None) -> Tensor:
        if covariance is None:
            raise ValueError("a preconditioner needs a potential with a covariance, got none; give it `covariance=`")
        if self.form == "diagonal":
            covariance = torch.diag(covariance.diagonal())
        root, info = torch.linalg.cholesky_ex(covariance)
        if bool(info) or not torch.allclose(covariance, covariance.mT):
            raise ValueError(
                "a preconditioner must be symmetric positive definite, got one that is not; add to its diagonal"
            )
        return root
