"""Riemannian gradient descent of geoopt, if it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from kexue_bench import method

from ..contract import Session, Surroundings, Target
from ..parametrized import Descending, Momentum
from ..words import LEARNING_RATES, ON_MANIFOLD, WITHOUT_WEIGHTS


@method(
    "geoopt-sgd",
    "geoopt's Riemannian gradient descent, if geoopt is installed",
    unless=WITHOUT_WEIGHTS,
    claims=ON_MANIFOLD,
    knobs=(LEARNING_RATES,),
    references=("arXiv:2005.02819", "repository geoopt/geoopt"),
    order=310,
    requires="geoopt",
    install="pip install geoopt",
)
@dataclass(frozen=True, kw_only=True)
class GeooptSGD(Momentum):
    """`geoopt.optim.RiemannianSGD` on the Stiefel manifold with its canonical metric.

    A third-party implementation, for comparison with `riemannian-sgd`. geoopt needs a separate parameter, tall as the
    matrix: each step copies gradient and weight across. Starts at the polar factor.

    Needs the package geoopt.

    Args:
        lr: learning rate, > 0.
        momentum: in [0, 1).

    Raises:
        ValueError: a field is out of range.

    Examples:
        >>> method = GeooptSGD(lr=0.1)
        >>> method.lr  # with geoopt: joins = method.attach(targets_of(model)); step joins.optimizers() too
        0.1
    """

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`."""
        import geoopt  # pyright: ignore[reportMissingImports]  # optional

        def step(matrix: Tensor, gradient: Tensor, state: dict[str, Any], lr: float) -> Tensor:
            if not state:
                state["point"] = geoopt.ManifoldParameter(matrix.clone(), manifold=geoopt.Stiefel(canonical=True))
                state["inner"] = geoopt.optim.RiemannianSGD([state["point"]], lr=lr, momentum=self.momentum)
            point, inner = state["point"], state["inner"]
            inner.param_groups[0]["lr"] = lr
            point.copy_(matrix)
            point.grad = gradient.clone()
            inner.step()
            return point.detach()

        session = Descending(targets, step, self.lr)
        for target in session.targets:
            target.polar_()
        return session
