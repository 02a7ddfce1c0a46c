"""Do losses at frozen parameters predict training? Rank correlations, measured by the product (docs/gradients.md).

    python tests/bench/training_ranks.py [FOLDER]

trains 25 methods on three digits problems and measures them at frozen parameters along the path of the exact gradient,
then prints Spearman's rank correlation of the score after training with each quantity: at equal steps, and at equal
work, where a method has spent as many evaluations and backward passes as the cheapest has at the last step. Runs are
stored in FOLDER (results) and resumed, so that it may be stopped. It takes about an hour of CPU time.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import kexue_bench
from kexue_bench.analysis.tables import Row, Table

METHODS = (
    "reinforce[baseline=[none,ema,optimal]]",
    "rloo[n=[2,4]]",
    "exact-baseline",
    "stratified",
    "muprop",
    "double-cv",
    "nvil[normalise=[true,false]]",
    "rebar",
    "gumbel-softmax[temperature=[0.5,1.0]]",
    "st-gumbel-softmax[temperature=[0.5,1.0]]",
    "straight-through",
    "gumbel-rao",
    "gapped-straight-through",
    "reinmax[temperature=[1.0,1.5]]",
)
OF_BITS = ("disarm", "arm", "arms", "bit-flip")
OF_CLASSES = ("disarm-tree", "disarm-stick-breaking", "unordered-set", "top-k-sum")
STEPS, SEEDS = (500, 2000), 3
TRAINED = {"bits": ("digits-vae", "digits-completion"), "classes": ("digits-vae-classes",)}
FROZEN = {"bits": ("digits-path[step=[20,100,500,2000]]",), "classes": ("digits-vae-classes-frozen",)}
MEASURES = {
    "loss, B = 16": "progress-loss[B=16]",
    "loss, B = 256": "progress-loss[B=256]",
    "own-scale loss, B = 16": "own-loss[B=16]",
    "own-scale loss, B = 256": "own-loss[B=256]",
    "variance times evaluations": "work-variance",
    "cosine": "cosine",
}


def main(folder: str) -> None:
    """Run what is missing, and print the table."""
    print("| trained problem | steps | at equal | methods |", " | ".join(MEASURES), "|")  # noqa: T201  # the table
    print("|---|---|---|---|" + "---|" * len(MEASURES))  # noqa: T201
    for layout, tasks in TRAINED.items():
        methods = (*METHODS, *(OF_BITS if layout == "bits" else OF_CLASSES))
        frozen = _compare(methods, FROZEN[layout], f"{folder}/frozen-{layout}", budget=4096, budget_of_use=(16, 256))
        for task, steps in itertools.product(tasks, STEPS):
            trained = _compare(methods, (f"{task}[steps={steps}]",), f"{folder}/{task}-{steps}", replicates=SEEDS)
            for equal, scores in (("steps", scores_at_end(trained)), ("work", scores_at_work(trained, steps))):
                print(_line(f"| `{task}` | {steps:,} | {equal}", scores, frozen.tables))  # noqa: T201


def _compare(methods: Sequence[str], tasks: Sequence[str], folder: str, **options: object) -> kexue_bench.Comparison:
    """A request, with the cases of an earlier call replayed."""
    settings: dict[str, Any] = {"stages": "evaluate", "output": folder, "quiet": True, **options}
    return kexue_bench.compare("gradients", methods, tasks, resume="latest", **settings)


def scores_at_end(trained: kexue_bench.Comparison) -> dict[str, float]:
    """Method -> its mean score over the seeds after the last step."""
    (table,) = trained.tables
    return {row.label: row.cells["elbo"].value for row in table.rows if "elbo" in row.cells}


def scores_at_work(trained: kexue_bench.Comparison, work: float) -> dict[str, float]:
    """Method -> its mean score over the seeds where it had spent the same work, linear in log steps between marks.

    Args:
        work: evaluations of f, and backward passes through it, spent on one image.
    """
    (table,) = trained.tables
    frame = trained.to_frame()
    curve = frame[(frame["metric"] == "elbo") & frame["step"].notna()].astype({"step": float})
    means = curve.groupby(["key", "step"])["value"].mean()
    found = {}
    for row in table.rows:
        if "elbo" in row.cells and price(row) > 0:
            marks = means[row.cells["elbo"].case_key]
            # Step 0 is no logarithm: the curve is drawn over 1 + steps.
            found[row.label] = float(np.interp(np.log1p(work / price(row)), np.log1p(marks.index), marks))
    return found


def price(row: Row) -> float:
    """Work of one step: evaluations and backward passes of one estimate; 0 where nothing was counted."""
    return sum(row.cells[name].value for name in ("evaluations", "backwards") if name in row.cells)


def _line(head: str, scores: Mapping[str, float], frozen: Sequence[Table]) -> str:
    """Correlations of one trained problem, positive where the quantity orders methods as training does."""
    values = {name: _mean_ranks(key, frozen, scores) for name, key in MEASURES.items()}
    common = [label for label in scores if label != "exact" and all(label in found for found in values.values())]
    cells = []
    for name, key in MEASURES.items():
        better = 1 if key == "cosine" else -1
        cells.append(spearman([scores[m] for m in common], [better * values[name][m] for m in common]))
    return f"{head} | {len(common)} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |"


def _mean_ranks(key: str, tables: Sequence[Table], labels: Mapping[str, float]) -> dict[str, float]:
    """Mean over the tables of the logarithm of a positive quantity, or of the quantity itself."""
    found: dict[str, list[float]] = {}
    for table in tables:
        for row in table.rows:
            cell = row.cells.get(key)
            if cell is not None and row.label in labels and np.isfinite(cell.value):
                value = cell.value if key == "cosine" else float(np.log(max(cell.value, 1e-30)))
                found.setdefault(row.label, []).append(value)
    return {label: float(np.mean(values)) for label, values in found.items() if len(values) == len(tables)}


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Correlation of the ranks, ties sharing their mean rank."""
    ranks = [_ranks(np.asarray(values, dtype=float)) for values in (x, y)]
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "results")
