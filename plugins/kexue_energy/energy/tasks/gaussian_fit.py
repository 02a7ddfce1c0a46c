"""One number learned from Gaussian data: bias and variance of every criterion, beside what it declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from kexue_bench import task
from kexue_bench.errors import NotOffered
from kexue_bench.lab.problems import Sampling, Workload

from ..chains import check_count
from ..estimating import estimates, gradients

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.problems import Recorder

    from ...contract import Criterion

_SETS = 32
_FEW = ("mle", "score-matching", "sliced", "denoising[sigma=0.5]", "nce", "cd", "pcd[k=5]")
_CHOSEN = (
    *_FEW,
    "sliced[projection=rademacher]",
    "sliced-vr",
    "nce[ratio=10.0]",
    "cd[k=10]",
    "replay[k=5]",
    "short-run[k=10]",
    "recovery-likelihood[k=5]",
)


class Fit(NamedTuple):
    """What claims are checked on: a criterion with a declared law."""

    criterion: Criterion


@task(
    "gaussian-fit",
    "theta of E = theta x^2 / 2 from n points of N(0, 1): bias and variance of each criterion beside what it declares",
    version=1,
    offers={"low-dimensional"},
    suites={
        "tour": ("gaussian-fit[n=500]",),
        "quick": ("gaussian-fit",),
        "standard": ("gaussian-fit",),
        "full": ("gaussian-fit", "gaussian-fit[n=[250,16000]]"),
        "verify": ("gaussian-fit[n=32]",),
    },
    methods={"tour": _FEW, "quick": _CHOSEN, "standard": "fitting", "full": "fitting"},
    timed={"standard", "full"},
    budgets={"tour": 256, "quick": 256, "standard": 1024, "full": 16384},
    dtype="float64",
    baseline="pcd[k=5]",
    primary="mse",
    headline=("mse", "bias", "declared-bias", "scaled-variance", "declared-variance", "time"),
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class GaussianFit:
    """A draw is the theta at which the criterion's own gradient on one data set vanishes; the truth is 1.

    The noise of a data set is the same at every theta, and all data sets of a batch are solved at once by bracketing in
    (0, 1 / h). Chains that a criterion keeps start with the moments of the data and settle at every theta.

    `scaled-variance`: n (theta - theta*)^2 around the declared fixed point theta*, beside `declared-variance`, its
    limit for many data. `declared-bias`: theta* - 1. The curvature of the
    estimate as a function of the data adds some per cent to the variance of the noisiest at 2,000 points.

    Args:
        n: points of a data set, >= 1.

    Raises:
        ValueError: n is out of range.
    """

    n: int = 2000

    def __post_init__(self) -> None:
        check_count(n=self.n)

    def subject(self, method: Criterion, ctx: Context) -> Fit:
        """The criterion, if it declares its law.

        Raises:
            NotOffered: it does not.
        """
        _declared(method)
        return Fit(method)

    def problem(self, method: Criterion, ctx: Context) -> Sampling:
        """See the class.

        Raises:
            NotOffered: the criterion declares no law, or has no fixed point here.
        """
        fixed, variance = _declared(method)

        def after(context: Recorder) -> None:
            for name, value in (("declared-bias", abs(fixed - 1)), ("declared-variance", variance)):
                context.record(name, value, interval=(value, value), flags=("exact",))

        return Sampling(
            draw=lambda noise, count: self.draw(method, noise, count),
            truth=torch.ones((), dtype=torch.float64, device=ctx.device),
            batch=_SETS,
            losses={"scaled-variance": lambda theta: self.n * (theta - fixed) ** 2},
            after=after,
        )

    def draw(self, method: Criterion, noise: Noise, count: int) -> Tensor:
        """Estimates from `count` data sets, `[count]`."""
        return estimates(method, noise.at(0).normal(count, self.n, 1), noise.at(1))

    def workload(self, method: Criterion, ctx: Context) -> Workload:
        """One gradient of a batch of data sets at theta = 1, settling included."""
        noise = ctx.noise("noise")
        data, theta = noise.at(0).normal(_SETS, self.n, 1), torch.ones(_SETS, dtype=ctx.dtype, device=ctx.device)
        return Workload(call=lambda: gradients(method, data, theta, noise.at(1)), units=_SETS, unit="call")


def _declared(method: Criterion) -> tuple[float, float]:
    law = getattr(method, "gaussian", None)
    if law is None:
        raise NotOffered(f"{type(method).__name__} declares no law on Gaussian data (`gaussian`)")
    return law(1.0)
