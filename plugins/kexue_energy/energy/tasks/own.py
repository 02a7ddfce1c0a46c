"""The user's own points: which criterion fits their density best?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kexue_bench import FilePath, task
from kexue_bench.lab.own import content, once

from ..methods.likelihood import log_z
from ..words import DENSITY_METHODS, FEW_DENSITY_METHODS, RATES
from .training import EnergyTraining, TrainedEnergy, sampler_gap

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure

    from ...contract import Criterion

MOST = 1_000_000
"""Rows of the largest file."""
LEAST = 100
BOUND, POINTS = 6.0, 401
_HELD = 0.2


@task(
    "own-points",
    "density of your points in one or two dimensions, by the likelihood of points held out",
    version=1,
    kind="trained",
    offers={"low-dimensional", "network"},
    knobs=(RATES,),
    methods={"quick": FEW_DENSITY_METHODS, "standard": FEW_DENSITY_METHODS, "full": DENSITY_METHODS},
    replicates={"quick": 3, "standard": 5, "full": 20},
    stack=3,
    primary="nll",
    headline=("nll", "sampler-gap", "evaluations", "time"),
    baseline="pcd[k=20,h=0.01]",
    order=300,
)
@dataclass(frozen=True, kw_only=True)
class OwnPoints(TrainedEnergy):
    """Points `[N, 1]` or `[N, 2]` of a file (`.npy`, `.pt`, or `.csv` with a line of names), 100 to a million.

    Every coordinate is brought to mean 0 and variance 1, in which steps and noise levels of criteria are given. Each
    replicate holds out a fifth of the points anew. `nll`: of the held-out points in the units of the file, log Z by
    the trapezoidal rule on 401 points per axis over six standard deviations.

    Args:
        path: the file.

    Raises:
        ValueError: the file cannot be used, or a setting is out of range.
    """

    path: FilePath
    steps: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        once(read_points, self.path)

    def _split(self, ctx: Context) -> tuple[Tensor, Tensor]:
        """Training and held-out points of every replicate, scaled, `[R, m, d]`."""
        values = scaled(once(read_points, self.path))
        order = ctx.again().noise("split", stack=0).permutation(len(values)).cpu()
        held = max(1, round(_HELD * len(values)))
        points = values[order].to(ctx.device, ctx.dtype)
        return points[:, held:], points[:, :held]

    def points(self, ctx: Context, noise: Noise, count: int) -> Tensor:
        """Random training points."""
        train, _ = self._split(ctx)
        picked = noise.integers(train.shape[1], len(ctx.replicates), count)
        return train.gather(1, picked.unsqueeze(-1).expand(-1, -1, train.shape[-1]))

    def measure(self, training: EnergyTraining, ctx: Context) -> Measure:
        """`nll`, and `sampler-gap` of criteria with samples."""
        noise, held = ctx.noise("measure", stack=0), self._split(ctx)[1]
        data = self.points(ctx, noise.at(0), 2 * self.batch)
        # Densities change by the product of the scales.
        units = float(once(read_points, self.path).std(0, correction=0).log().sum())

        def values() -> dict[str, Tensor]:
            energy = training.energy
            nll = energy(held).mean(1) + log_z(energy, held, POINTS, BOUND) + units
            return {"nll": nll, **sampler_gap(training, data, self.batch, noise.at(1))}

        return values

    def score(self, method: Criterion, ctx: Context) -> float:
        """Minus `nll`."""
        training = self.build(method, ctx)
        trained = ctx.train(training, steps=self.steps, measure=self.measure(training, ctx), marks=())
        return -float(trained.final["nll"].mean())


def scaled(values: Tensor) -> Tensor:
    """Mean 0 and variance 1 in every coordinate."""
    return (values - values.mean(0)) / values.std(0, correction=0)


def read_points(place: str) -> Tensor:
    """The points of a file, `[N, d]`, float64.

    Raises:
        ValueError: the file holds something else, is damaged, too small or too large, or has numbers that are not
            finite, a constant coordinate, or points more than six standard deviations from the mean.
    """
    name = Path(place).name
    found = content(place, {".npy": _npy, ".pt": _pt, ".csv": _csv}, what="the points")
    array = np.asarray(found)
    if array.ndim != 2 or array.shape[1] not in (1, 2) or array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold points [N, 1] or [N, 2], got {array.dtype} of shape {list(array.shape)}")
    if not LEAST <= len(array) <= MOST:
        raise ValueError(f"{name} must have {LEAST} to {MOST:,} points, got {len(array):,}")
    values = torch.from_numpy(np.array(array, dtype=np.float64))
    if not bool(values.isfinite().all()):
        raise ValueError(f"{name} must hold finite numbers, got {int((~values.isfinite()).sum())} that are not")
    if not bool((values.std(0, correction=0) > 0).all()):
        raise ValueError(f"{name} must have coordinates that vary, got a constant one; drop it")
    if far := int((scaled(values).abs() > BOUND).any(1).sum()):
        raise ValueError(
            f"{name} must lie within {BOUND:g} standard deviations of its mean, got {far} points outside; transform or "
            "drop them"
        )
    return values


def _npy(path: Path) -> Any:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _pt(path: Path) -> Any:
    return torch.load(path, weights_only=True, map_location="cpu")


def _csv(path: Path) -> Any:
    import pandas as pd

    return pd.read_csv(path)
