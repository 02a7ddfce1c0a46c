"""Trains the replicates on which intervals over seeds are studied (tests/analysis/replicates.json).

    python tests/bench/replicates.py [FOLDER] [TASK ...]

trains what is not in the file yet: every trained task for a few steps, 60 to 200 seeds each, one entry for each
method and each reading of its primary column. Runs are stored in FOLDER (results) and resumed. A column with the same
value for every seed has no interval and is left out. `emotions-f1`, `yeast-f1` and `scene-f1` need files that the user
downloads, and what is `own` the user's own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import kexue_bench

STORED = Path(__file__).parents[1] / "analysis" / "replicates.json"
F1 = ("bce", "soft-f1[eps=1]", "sigmoid-f1")
READINGS = ("f1[reading=0.5]", "f1[reading=tuned]")
BITS, WEIGHTS = ("rloo", "reinforce"), ("none", "soft")
TOP_K = ("softmax", "hard", "straight-through", "perturbed")
TASKS = {
    "gaussian-f1[prior=0.1,steps=200]": ("f1", F1, READINGS, 200),
    "gaussian-f1[prior=0.01,steps=200]": ("f1", F1, READINGS, 200),
    "gaussian-f1[prior=0.01,batch=0,steps=60,lr=0.15]": ("f1", F1, READINGS, 200),
    "misspecified-f1[steps=200]": ("f1", F1, READINGS, 200),
    "breast-cancer-f1[steps=60]": ("f1", F1, READINGS[1:], 100),
    "wine-f1[steps=60]": ("f1", F1, READINGS[1:], 100),
    "digits-f1[steps=60]": ("f1", F1, READINGS[1:], 100),
    "multilabel-f1[steps=60]": ("f1", F1, READINGS[1:], 100),
    "lovasz-demo-binary[steps=10,lr=0.05]": ("f1", ("bce", "lovasz-hinge"), ("iou",), 60),
    "lovasz-demo-classes[steps=10,lr=0.05]": ("f1", ("bce", "lovasz-softmax"), ("iou",), 60),
    "digits-vae[steps=60]": ("gradients", BITS, ("elbo",), 60),
    "digits-vae-classes[steps=60]": ("gradients", BITS, ("elbo",), 60),
    "digits-completion[steps=60]": ("gradients", BITS, ("elbo",), 60),
    "polynomial-programming[steps=60]": ("gradients", BITS, ("excess",), 60),
    "double-cv-toy[steps=60]": ("gradients", BITS, ("objective",), 60),
    "density[steps=20,blocks=2,width=16]": ("logdet", ("power-series",), ("nll",), 60),
    "procrustes[steps=60]": ("orthogonality", WEIGHTS, ("component-gap",), 60),
    "eigenvectors[steps=60]": ("orthogonality", WEIGHTS, ("optimum-gap",), 60),
    "frames[steps=60]": ("orthogonality", WEIGHTS, ("welch-gap",), 60),
    "convolution[steps=30]": ("orthogonality", WEIGHTS, ("isometry-error",), 60),
    "digits-mlp[steps=40]": ("orthogonality", WEIGHTS, ("test-nll",), 60),
    "digits-mlp-large[steps=20]": ("orthogonality", WEIGHTS, ("test-nll",), 60),
    "digits-cnn[steps=20]": ("orthogonality", WEIGHTS, ("test-nll",), 60),
    "deep-mlp[steps=20]": ("orthogonality", WEIGHTS, ("test-nll",), 60),
    "copy-memory[steps=15]": ("orthogonality", WEIGHTS, ("copy-nll",), 60),
    "digits-top-k[steps=40]": ("smoothing", TOP_K, ("top-k-accuracy",), 60),
    "digits-neighbours[steps=40]": ("smoothing", TOP_K[:3], ("neighbour-accuracy",), 60),
}
"""Task -> its family, methods, columns and seeds."""
LOWER = {
    "excess", "nll", "component-gap", "optimum-gap", "welch-gap", "isometry-error", "test-nll", "copy-nll",
}  # fmt: skip


def main(folder: str, wanted: list[str]) -> None:
    """Train what is missing, task by task, and store each when it is done."""
    for task, (family, methods, columns, seeds) in TASKS.items():
        entries = json.loads(STORED.read_text(encoding="utf-8"))
        if any(entry["task"] == task for entry in entries) or (wanted and task not in wanted):
            continue
        entries += trained(folder, task, family, methods, columns, seeds)
        lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries)
        STORED.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def trained(
    folder: str, task: str, family: str, methods: tuple[str, ...], columns: tuple[str, ...], seeds: int
) -> list[dict[str, Any]]:
    """An entry for each method and column whose values differ, to six digits and in the order of the seeds."""
    done = kexue_bench.compare(
        family,
        methods,
        task,
        replicates=seeds,
        stages="evaluate",
        output=f"{folder}/{task.partition('[')[0]}",
        resume="latest",
        quiet=True,
    )
    frame = done.to_frame()
    final = frame[frame["step"].isna()].sort_values(by="replicate")
    found = []
    for method in methods:
        for column in columns:
            metric, _, reading = column.removesuffix("]").partition("[reading=")
            labels = json.dumps({"reading": reading} if reading else {}, separators=(",", ":"))
            of = (
                (final["method"] == method.partition("[")[0])
                & (final["metric"] == metric)
                & (final["labels"] == labels)
            )
            values = [float(f"{value:.6g}") for value in final[of]["value"]]
            if len(values) != seeds:
                raise RuntimeError(f"{task} {method} {column}: {len(values)} of {seeds} values")
            direction = "lower" if metric in LOWER else "higher"
            entry = {"family": family, "task": task, "method": method, "column": column, "direction": direction}
            found += [{**entry, "values": values}] if len(set(values)) > 1 else []
    return found


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "results", sys.argv[2:])
