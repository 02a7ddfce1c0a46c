"""The Björck parametrization of orthogonium, if it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from kexue_bench import Unless, method
from kexue_bench.lab.precision import raised

from ..contract import Alone, Session, Surroundings, Target
from ..parametrized import Parametrized
from ..words import WITHOUT_WEIGHTS


@method(
    "orthogonium-bjorck",
    "orthogonium's Björck parametrization, if orthogonium is installed",
    unless=(*WITHOUT_WEIGHTS, Unless(when="dtype != 'float32'", because="computes in float32 only")),
    claims=("converges-to-polar",),
    references=("arXiv:2501.07930", "repository deel-ai/orthogonium"),
    order=320,
    requires="orthogonium",
    install="pip install orthogonium",
)
@dataclass(frozen=True, kw_only=True)
class OrthogoniumBjorck:
    """The default of orthogonium: three power iterations, then `W <- (3 W - W W^T W) / 2`.

    A third-party implementation, for comparison with ours: its norm is a lower bound, so that singular values start
    above 1, its power iteration continues in every forward pass, evaluation included, and it computes in float32 only.
    Its first vectors are drawn from torch's global generator, which is seeded from a stream and restored.

    Needs the package orthogonium.

    Args:
        steps: Björck iterations, >= 1.

    Raises:
        ValueError: steps is below 1.

    Examples:
        >>> method = OrthogoniumBjorck(steps=12)
        >>> method.steps  # with orthogonium: joins = method.attach(targets_of(model)), then any optimizer
        12
    """

    steps: int = 12

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`."""
        from orthogonium import reparametrizers  # pyright: ignore[reportMissingImports]  # optional

        targets = tuple(targets)
        session = Parametrized(targets)
        surroundings = ctx or Alone.around(targets)
        with surroundings.global_rng("method"):
            for target in session.targets:
                matrix = raised(target.matrix().detach())
                normalized = reparametrizers.BatchedPowerIteration(matrix.shape).to(matrix)
                bjorck = reparametrizers.BatchedBjorckOrthogonalization(matrix.shape, niters=self.steps)
                target.parametrize_(_Both(normalized, bjorck))
        return session


class _Both(nn.Module):
    """One map after the other; both start from the weight itself."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, free: object) -> object:
        return self.second(self.first(free))

    def right_inverse(self, matrix: object) -> object:
        return matrix
