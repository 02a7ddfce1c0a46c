"""The parametrization of geotorch, if it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from kexue_bench import method
from kexue_bench.lab.precision import raised

from ..contract import Alone, Session, Surroundings, Target
from ..parametrized import Parametrized
from ..words import ON_MANIFOLD, WITHOUT_WEIGHTS

_MAPS = ("expm", "cayley")


@method(
    "geotorch",
    "geotorch's Stiefel parametrization, if geotorch is installed",
    unless=WITHOUT_WEIGHTS,
    claims=ON_MANIFOLD,
    references=("arXiv:1909.09501", "repository lezcano/geotorch"),
    order=300,
    requires="geotorch",
    install="pip install geotorch",
)
@dataclass(frozen=True, kw_only=True)
class GeotorchStiefel:
    """`geotorch.Stiefel`: the first k columns of f(A) B, A skew of size d, B a full orthogonal matrix.

    A third-party implementation, for comparison with ours: it costs O(d^3) for a tall matrix. geotorch draws a
    completion of the start from torch's global generator, which is seeded from a stream and restored. Starts at the
    polar factor, like the others.

    Needs the package geotorch.

    Args:
        map: `expm` or `cayley`.

    Raises:
        ValueError: map is unknown.

    Examples:
        >>> method = GeotorchStiefel(map="cayley")
        >>> method.map  # with geotorch: joins = method.attach(targets_of(model)), then any optimizer
        'cayley'
    """

    map: str = "expm"

    def __post_init__(self) -> None:
        if self.map not in _MAPS:
            raise ValueError(f"map must be one of {', '.join(_MAPS)}, got {self.map!r}")

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`."""
        import geotorch  # pyright: ignore[reportMissingImports]  # optional

        targets = tuple(targets)
        session = Parametrized(targets)
        surroundings = ctx or Alone.around(targets)
        with surroundings.global_rng("method"):
            for target in session.targets:
                target.polar_()
                matrix = raised(target.matrix().detach())
                with torch.no_grad():
                    target.parametrize_(geotorch.Stiefel(matrix.shape, self.map).to(matrix))
        return session
