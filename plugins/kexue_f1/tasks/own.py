"""The user's own table, and the logits of the user's own model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import FilePath, task
from kexue_bench.lab.own import once
from kexue_f1.metrics import average_precision, calibration_error, called, f1
from kexue_f1.tables import columns_of, read_logits, read_table, split
from kexue_f1.tasks.held_out import HeldOutTask
from kexue_f1.tasks.linear import decisions, thresholds
from kexue_f1.words import LABEL_SCORES, RATES, SCORES, TIMED, TUNED, WIDER

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_f1.contract import F1Loss
    from kexue_f1.tasks.linear import Data


@task(
    "own-table",
    "your table with one label of 0 and 1, a linear score, repeated stratified splits",
    version=1,
    kind="trained",
    offers={"one-label"},
    knobs=(RATES,),
    methods={"quick": TIMED, "standard": WIDER},
    replicates={"quick": 10, "standard": 25, "full": 100},
    stack=5,
    primary=TUNED,
    headline=SCORES,
    fixed={"several": False},
    order=300,
)
@task(
    "own-labels",
    "your table with several labels of 0 and 1, linear scores, repeated stratified splits",
    version=1,
    kind="trained",
    knobs=(RATES,),
    methods={"quick": TIMED},
    replicates={"quick": 10, "standard": 25, "full": 100},
    stack=5,
    primary=TUNED,
    headline=LABEL_SCORES,
    fixed={"several": True, "positive": ""},
    order=310,
)
@dataclass(frozen=True, kw_only=True)
class OwnTable(HeldOutTask):
    """A table of at most 10 million numbers, `.csv` with a line of names or `.parquet`; other columns are features.

    Each replicate splits the items anew, 60 : 20 : 20, with the share of every label nearly the same in all parts (with
    several labels the share of each item's rarest one).

    Args:
        path: the file.
        label: column that is predicted; several with commas, in quotes (`'a,b'`).
        drop: columns that are left out, with commas.
        positive: value of the label that counts as positive; empty for columns of 0 and 1.
        several: whether `label` names several columns.
        batch: items per step; 0 for all.
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: the file cannot be used, or a setting is out of range.
    """

    path: FilePath
    label: str
    drop: str = ""
    positive: str = ""
    several: bool
    batch: int = 32
    steps: int = 500
    lr: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        names, name = columns_of(self.label), Path(self.path).name
        if (len(names) > 1) != self.several or not names:
            other = "own-table" if self.several else "own-labels"
            raise ValueError(
                f"label must name {'several columns' if self.several else 'one column'} of {name}, got "
                f"{self.label!r}; for {', '.join(names) or 'a label'} use {other}"
            )
        train = round(0.6 * len(self._data()[0]))
        if self.batch > train:
            raise ValueError(f"batch must lie in 1 .. {train}, or be 0 for all items, got {self.batch}")

    def _data(self) -> tuple[Tensor, Tensor]:
        """All items `[n, d]` and targets `[n, C]`, float64."""
        table, name = once(read_table, self.path), Path(self.path).name
        return split(table, name, labels=columns_of(self.label), drop=columns_of(self.drop), positive=self.positive)

    def items(self, ctx: Context) -> Data:
        """The whole table."""
        x, y = self._data()
        y = y if self.several else y.squeeze(1)
        return x.to(ctx.device, ctx.dtype), y.to(ctx.device, ctx.dtype)

    def order(self, shuffled: Tensor, y: Tensor) -> Tensor:
        """Every part gets its share of each stratum."""
        return stratified(shuffled, y)


def stratified(shuffled: Tensor, y: Tensor) -> Tensor:
    """Orders whose consecutive parts have nearly equal shares of every stratum.

    Items of one stratum keep their random order and are spread evenly. With several labels the stratum of an item is
    the rarest of its labels, or none.

    Args:
        shuffled: random orders `[R, n]`.
        y: targets `[n]` or `[n, C]`.

    Returns:
        `[R, n]`.
    """
    y = y if y.ndim == 2 else y.unsqueeze(1)
    by_rarity = y[:, y.sum(0).argsort(stable=True)] > 0
    # The first label that is true, in order of rarity; C if none is.
    none = torch.full((len(y), 1), 1, dtype=torch.int64, device=y.device)
    strata = torch.cat([by_rarity.to(torch.int64), none], dim=1).argmax(1)[shuffled]
    place = torch.zeros_like(strata, dtype=torch.float64)
    for stratum in range(y.shape[1] + 1):
        inside = strata == stratum
        place += inside * (inside.cumsum(1) - 0.5) / inside.sum(1, keepdim=True).clamp_min(1)
    return shuffled.gather(1, place.argsort(dim=1, stable=True))


@task(
    "own-logits",
    "logits and labels of your model: what each reading of them gives on held-out items",
    version=1,
    kind="record",
    methods={"quick": ("bce",), "standard": ("bce",), "full": ("bce",)},
    timed=(),
    replicates={"quick": 100, "standard": 400, "full": 1000},
    stack=1000,
    primary=TUNED,
    headline=("f1", "average-precision", "calibration-error"),
    order=320,
)
@dataclass(frozen=True, kw_only=True)
class OwnLogits:
    """Logits of items that your model was not trained on, with their labels: `.npz` with the arrays `logits` and
    `labels`, `[N]` or `[N, C]`, or a table with the columns `logit` and `label`.

    Nothing is trained. Each replicate chooses the thresholds on one stratified half of the items and measures F1 on the
    other. The probability of a logit is that of the method; give the loss that your model was trained with (`-m bce`).

    Args:
        path: the file.

    Raises:
        ValueError: the file cannot be used.
    """

    path: FilePath

    def __post_init__(self) -> None:
        once(read_logits, self.path)

    def evaluate(self, method: F1Loss, ctx: Context) -> None:
        """Record F1 under every reading, average precision and calibration error, one value for each replicate."""
        z, y = (part.to(ctx.device) for part in once(read_logits, self.path))
        order = stratified(ctx.noise("split", stack=0).permutation(len(z)), y)
        half = len(z) // 2
        (held_z, held_y), (test_z, test_y) = ((z[part], y[part]) for part in (order[:, :half], order[:, half:]))
        probability = method.probability(test_z)
        found = {
            name: called(test_z, at) for name, at in thresholds(ctx.readings, held_z, held_y, method).items()
        } | decisions(ctx.readings, probability)
        record = partial(ctx.record, n=len(z) - half)
        for name, positive in found.items():
            record("f1", f1(positive, test_y), reading=name)
        record("average-precision", average_precision(test_z, test_y))
        if probability is not None:
            record("calibration-error", calibration_error(probability, test_y))
