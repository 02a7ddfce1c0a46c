"""From a matrix of known singular values to the nearest one with orthonormal columns: how many steps, and what cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from kexue_bench import task
from kexue_bench.lab.problems import Workload
from kexue_bench.lab.training import Training

from ..flops import count
from ..methods.landing import Landing
from ..methods.soft import DoubleSoft, Soft
from ..polynomials import Polynomial, evaluate, scaled
from ..targets import polar
from ..words import PENALTIES, WITHOUT_LOSS
from .cosine_bases import dct2, dct4
from .descent import descend, determinant_sign, record_exact, singular_error

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context

TOLERANCES = {"1e-6": 1e-6, "1e-12": 1e-12}
"""Names of the distances that steps and operations are counted to."""
_STARTS = ("dct", "gaussian", "repeated")
_EXACT = ("soft", "landing[lr=0.5]", "newton-schulz[degree=[3,5]]", "polar-express", "polar-projection")
_TO_ROUNDING = ("steps-to-1e-12", "exact-steps", "flops-to-1e-12")
_TO_A_MILLIONTH = ("steps-to-1e-6", "flops-to-1e-6", "polar-distance")


@runtime_checkable
class Iterating(Protocol):
    """A method whose forward pass is an iteration, which this task follows one iterate at a time."""

    def iterates(self, matrix: Tensor) -> Iterator[Tensor]:
        """The start, then each further iterate, without end; `[d, k]`."""
        ...


@task(
    "projection",
    "from matrices of known singular values to the polar factor; steps and operations to 1e-6 and 1e-12",
    version=1,
    kind="record",
    offers={"inputs"},
    facts=WITHOUT_LOSS,
    suites={
        "tour": ("projection[kappa=1000.0]",),
        "quick": ("projection[kappa=[10.0,1000.0,1000000.0]]",),
        "standard": ("projection[kappa=[10.0,1000.0,1000000.0]]",),
        "full": (
            "projection[kappa=[10.0,1000.0,1000000.0],d=[64,256]]",
            "projection[kappa=1000.0,d=1024,k=256]",
        ),
    },
    methods={
        "tour": (*_EXACT, "parametrization", "riemannian-sgd"),
        "quick": (*_EXACT, "parametrization", "riemannian-sgd"),
        "standard": (
            *_EXACT,
            "bjorck[beta=[0.4,0.5]]",
            "double-soft",
            "parametrization[map=[cayley,matrix_exp,householder]]",
            "riemannian-sgd[retraction=[qr,polar]]",
            "geotorch",
            "geoopt-sgd",
            "orthogonium-bjorck",
        ),
    },
    timed={"tour", "full"},
    dtype="float64",
    primary="flops-to-1e-12",
    headline=(*_TO_ROUNDING, "time", *_TO_A_MILLIONTH),
    baseline="soft",
    order=10,
)
@task(
    "hard-projection",
    "projection at a small rate, from norms near the edge of convergence, without full rank, of Gaussians",
    version=1,
    kind="record",
    offers={"inputs"},
    facts=WITHOUT_LOSS,
    suites={
        "standard": (
            "hard-projection[kappa=[10.0,1000.0,1000000.0],rate=0.01,steps=700]",
            "hard-projection[scale=[0.1,1.7,3.0]]",
            "hard-projection[start=gaussian]",
            "hard-projection[start=repeated,steps=50]",
            "hard-projection[d=256]",
        ),
        "full": (
            "hard-projection[kappa=[10.0,1000.0,1000000.0],rate=0.01,steps=700]",
            "hard-projection[scale=[0.1,1.7,3.0],d=[64,256]]",
            "hard-projection[start=gaussian,d=[64,256]]",
            "hard-projection[start=repeated,steps=50]",
        ),
    },
    methods={"standard": (*PENALTIES, "landing[lr=0.5]", "newton-schulz", "polar-express", "parametrization")},
    timed=(),
    dtype="float64",
    primary="polar-distance",
    headline=(*_TO_ROUNDING, *_TO_A_MILLIONTH, "determinant"),
    baseline="soft",
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class Projection:
    """Bring W_0 = U diag(s) V^T to orthonormal columns by the method alone, and count.

    U and V are columns of the orthonormal DCT-II and DCT-IV matrices and s falls geometrically from `scale` to
    `scale / kappa`, so that nothing is random and the polar factor U V^T is known. A penalty descends at `rate`
    whatever its weight: soft orthogonality then maps every singular value by s <- s (1 + 4 rate - 4 rate s^2), at 1/8
    the cubic Newton-Schulz step. A method that iterates in its forward pass is followed iterate by iterate; one that is
    done when attached takes 0 steps. `steps-to-1e-12` counts until |s - 1| <= 1e-12 for every s, and `exact-steps` is
    the count from the recursion of the singular values alone, if there is one. Timing covers a whole solve, from W_0 to
    `tolerance`, attaching included.

    Args:
        kappa: condition number, >= 1.
        d: rows.
        k: columns, 1 .. d.
        rate: step of gradient descent on a penalty of weight 1.
        scale: largest singular value.
        start: `dct`; `gaussian`, entries N(0, 1 / d); or `repeated`, `dct` with its first column twice: its rank is k -
            1, which matrix products repair only through the growth of rounding errors, 1.5 to 3.5 per step.
        steps: maximum number of steps.
        tolerance: error at which the timed solve ends.

    Raises:
        ValueError: a field is out of range.
    """

    kappa: float = 1000.0
    d: int = 64
    k: int = 64
    rate: float = 0.125
    scale: float = 1.0
    start: str = "dct"
    steps: int = 100
    tolerance: float = 1e-12

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.d:
            raise ValueError(f"k must be in 1 .. d = {self.d}, got {self.k}")
        if not self.kappa >= 1:
            raise ValueError(f"kappa must be >= 1, got {self.kappa}")
        if not (self.rate > 0 and self.scale > 0 and self.tolerance > 0):
            raise ValueError(
                f"rate, scale and tolerance must be > 0, got {self.rate}, {self.scale} and {self.tolerance}"
            )
        if self.start not in _STARTS:
            raise ValueError(f"start must be one of {', '.join(_STARTS)}, got {self.start!r}")
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")

    def evaluate(self, method: object, ctx: Context) -> None:
        """Record the curve of `singular-error`, and steps and operations to each tolerance."""
        start = self._start(ctx)
        errors, last = [], start
        for step, matrix in enumerate(islice(self._path(method, start, ctx), self.steps + 1)):
            error, last = _error(matrix), matrix
            errors.append(error)
            ctx.record("singular-error", error, point=step)
            if error <= min(TOLERANCES.values()) or not math.isfinite(error):
                break
        # Singular values are computed to k epsilons; rounding W_0 turns its polar factor by some kappa epsilons.
        eps = torch.finfo(start.dtype).eps
        record_exact(ctx, "singular-error", errors[-1], rounding=self.k * eps)
        distance = float(torch.linalg.matrix_norm(last - self._nearest(start)))
        record_exact(ctx, "polar-distance", distance, rounding=4 * (self.k + self.kappa) * eps)
        for index, (name, tolerance) in enumerate(TOLERANCES.items()):
            taken = next((step for step, error in enumerate(errors) if error <= tolerance), None)
            if taken is None:
                continue
            record_exact(ctx, f"steps-to-{name}", taken)
            apart = ctx.fork("cost", index)
            record_exact(ctx, f"flops-to-{name}", count(lambda n=taken, c=apart: self._solve(method, start, c, n)))
        if (exact := self._exact(method, start)) is not None:
            record_exact(ctx, "exact-steps", exact)
        if self.d == self.k:
            record_exact(ctx, "determinant", float(determinant_sign(last) * determinant_sign(start)))

    def workload(self, method: object, ctx: Context) -> Workload:
        """A whole solve to `tolerance`, or of all `steps` if it is not reached."""
        start = self._start(ctx)
        path = islice(self._path(method, start, ctx.fork("probe", 0)), self.steps + 1)
        found = next((n for n, matrix in enumerate(path) if _error(matrix) <= self.tolerance), None)
        steps = self.steps if found is None else found
        forks = (ctx.fork("solve", n) for n in itertools.count())
        return Workload(call=lambda: self._solve(method, start, next(forks), steps), units=1, unit="solve")

    def _path(self, method: object, start: Tensor, ctx: Context) -> Iterator[Tensor]:
        """W after 0, 1, ... steps, `[d, k]`."""
        if isinstance(method, Iterating):
            yield from method.iterates(start)
            return
        training = descend(method, start.unsqueeze(0), ctx, rate=self.rate)
        while True:
            with training.measuring():
                matrix = training.columns().squeeze(0).clone()
            yield matrix
            Training.step(training)

    def _solve(self, method: object, start: Tensor, ctx: Context, steps: int) -> Tensor:
        if isinstance(method, Iterating):
            return next(islice(method.iterates(start), steps, None))
        training = descend(method, start.unsqueeze(0), ctx, rate=self.rate)
        for _ in range(steps):
            # Operations are counted around the whole solve, not again in each step.
            Training.step(training)
        return training.columns()

    def _start(self, ctx: Context) -> Tensor:
        if self.start == "gaussian":
            return self.scale * ctx.noise("init").normal(self.d, self.k) / math.sqrt(self.d)
        values = self.scale * self._values()
        start = (dct2(self.d)[:, : self.k] * values) @ dct4(self.k).mT
        if self.start == "repeated":
            start[:, -1] = start[:, 0]
        return start.to(device=ctx.device, dtype=ctx.dtype)

    def _nearest(self, start: Tensor) -> Tensor:
        """The polar factor, U V^T if it is known."""
        if self.start == "dct":
            return (dct2(self.d)[:, : self.k] @ dct4(self.k).mT).to(start)
        return polar(start)

    def _values(self) -> Tensor:
        exponents = torch.arange(self.k, dtype=torch.float64) / max(self.k - 1, 1)
        return self.kappa**-exponents

    def _exact(self, method: object, start: Tensor) -> int | None:
        """Steps to 1e-12 by the recursion of the singular values alone; None if there is no recursion."""
        values = self.scale * self._values() if self.start == "dct" else torch.linalg.svdvals(start.double())
        if isinstance(method, Iterating) and hasattr(method, "polynomials"):
            values = scaled(torch.diag(values), str(getattr(method, "scale", "none"))).diagonal()
            return _recursion(values, cast("_Iterated", method).polynomials(), self.steps)
        if isinstance(method, (Soft, DoubleSoft)):
            pull = (8 if isinstance(method, DoubleSoft) else 4) * self.rate
        elif isinstance(method, Landing):
            pull = min(method.lr * method.strength, 0.5)
        else:
            return None
        return _recursion(values, repeat((1 + pull, -pull)), self.steps)


class _Iterated(Protocol):
    def polynomials(self) -> Iterator[Polynomial]: ...


def _error(matrix: Tensor) -> float:
    """Largest |s - 1|, NaN if the matrix is not finite."""
    return float(singular_error(matrix)) if bool(matrix.isfinite().all()) else math.nan


def _recursion(values: Tensor, polynomials: Iterator[Polynomial], limit: int) -> int | None:
    for step in range(limit + 1):
        if float((values - 1).abs().max()) <= 1e-12:
            return step
        values = evaluate(next(polynomials), values)
    return None
