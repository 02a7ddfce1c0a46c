"""Lanczos quadrature on a Nystrom-preconditioned operator, from one probe if one is enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from kexue_bench import Unless, method

from ..blocks import need_logdet
from ..contract import LogdetSample, Operator, afford
from ..lanczos import krylov, quadrature
from ..nystrom import Preconditioner, precondition
from ..probes import draw
from ..truncation import barred, gauss, remaining
from ..words import LOGDET_ONLY, NO_BOUND, SIGN

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "one-probe-slq",
    "preconditioned Lanczos quadrature from one Gaussian probe, and from more if its error bar requires them",
    references=("Cortinovis and Toni 2026, arXiv:2601.05778",),
    claims=("upper-bound", "error-bar", SIGN),
    needs={"spd", "bounded"},
    unless=(
        *LOGDET_ONLY,
        NO_BOUND,
        Unless(
            when="rank + steps * most > task.allowed and claim != 'small-determinant'",
            because="an estimate costs {rank + steps * most} products; the task allows {task.allowed}",
        ),
    ),
    order=60,
)
@dataclass(frozen=True, kw_only=True)
class OneProbeSLQ:
    """log det A = log det P + v^T log(B) v, B = P^-1/2 A P^-1/2, v one Gaussian vector.

    P is the Nystrom preconditioner of rank r = `rank`. The variance of a Gaussian probe is 2 ||log B||_F^2, and the
    Lanczos steps for v^T log(B) v also yield v^T log(B)^2 v, whose mean is that norm, without further products: the
    error bar of the method. If the first probe's error bar exceeds `tolerance` nats, its repeat takes as many more
    probes as bring it below, and all enter the mean. The number of probes depends on the first, which biases the
    mean by less than its error.

    Args:
        rank: r, >= 1; counted as set-up.
        steps: Lanczos steps k of a probe, >= 1.
        most: largest number of probes of a repeat, >= 1. A repeat costs r + k products up to r + k `most`; the budget
            must allow all.
        tolerance: standard error in nats that one probe may have, > 0.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Bounds, Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = torch.diag(torch.linspace(1.0, 4.0, 100, dtype=torch.float64))
        >>> op = Operator.of(matrix, "spd", bounds=Bounds(low=1.0, high=4.0, provenance="exact"))
        >>> sample = OneProbeSLQ().estimate(op, budget=60, noise=noise, repeats=4)
        >>> sample.products
        tensor([60, 60, 60, 60])
    """

    random_cost: ClassVar[bool] = True

    rank: int = 24
    steps: int = 12
    most: int = 3
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        if min(self.rank, self.steps, self.most) < 1:
            raise ValueError(f"rank, steps and most must be >= 1, got {self.rank}, {self.steps} and {self.most}")
        if not self.tolerance > 0:
            raise ValueError(f"tolerance must be > 0, got {self.tolerance}")

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`; needs a positive lower bound of the eigenvalues."""
        need_logdet(op, "one-probe-slq")
        steps = min(self.steps, op.n)
        afford(self.rank + steps * self.most, budget)
        known = precondition(op, noise, rank=self.rank, repeats=repeats, name="one-probe-slq")
        total, squares, left = self._probe(known, noise, repeats)
        wanted = torch.ceil(2 * squares / self.tolerance**2).clamp(1, self.most)
        # Operators of a batch share the number of probes.
        wanted = wanted.flatten(0, -2).amax(0) if op.batch_shape else wanted
        for number in range(1, self.most):
            chosen = torch.nonzero(wanted > number).flatten()
            if len(chosen):
                more, spread, _ = self._probe(known.of(chosen), noise, len(chosen))
                total, squares = total.index_add(-1, chosen, more), squares.index_add(-1, chosen, spread)
        value = known.logdet + total / wanted
        stderr = torch.sqrt(2 * squares) / wanted
        products = self.rank + steps * wanted.to(torch.int64)
        sample = LogdetSample(value=value.movedim(-1, 0), stderr=stderr.movedim(-1, 0), products=products)
        # The first probe of each repeat stands for the others.
        return barred(op, sample, left, remedy=f"take steps={2 * self.steps} or a larger rank")

    def _probe(self, known: Preconditioner, noise: Noise, repeats: int) -> tuple[Tensor, Tensor, Tensor]:
        """v^T log(B) v and v^T log(B)^2 v of one probe per repeat, `[*batch_shape, repeats]` each; its truncation."""
        v = draw(known.op, noise, "gaussian", repeats=repeats, probes=1)
        squared = v.square().sum(-1, dtype=torch.float64)
        unit = v / squared.sqrt().to(v.dtype).unsqueeze(-1)
        space = krylov(known.remainder(), unit, self.steps)
        first, history = gauss(space, squared, torch.log, repeats)
        second = squared * quadrature(space.diagonal, space.off, lambda theta: theta.log().square())
        return first, second, remaining(history, torch.sqrt(2 * second).movedim(-1, 0))
