"""Values that several declarations share: plain literals, read without importing anything."""

from __future__ import annotations

from kexue_bench import Knob

RATES = Knob(field="lr", grid=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5))
TUNED = "f1[reading=tuned]"
SCORES = ("f1", "average-precision", "calibration-error", "time", "memory")
EXACT_SCORES = ("f1", "collapse", "average-precision", "calibration-error", "zero-gradient", "f1-regret", "time")
LABEL_SCORES = ("f1", "f1-samples", "f1-micro", "average-precision", "calibration-error", "time")
# The methods of `quick`: few, so that the seconds go into seeds, and different enough to be told apart.
TIMED = ("bce", "weighted-bce", "soft-f1", "bce-dice", "sigmoid-f1", "lovasz-hinge", "global-soft-f1")
TOURED = ("bce", "weighted-bce", "soft-f1", "bce-dice", "lovasz-hinge")
CHOSEN = (*TIMED, "soft-f1[eps=1.0]", "anyloss-f1")
# `standard` adds those below, `full` adds smooth-ap, which compares positives with all items.
FIRST = (
    "bce",
    "weighted-bce",
    "focal",
    "dinkelbach",
    "soft-f1",
    "soft-f1[eps=1.0]",
    "double-soft-f1",
    "bce-dice",
    "sigmoid-f1",
    "anyloss-f1",
    "lovasz-hinge",
    "global-soft-f1",
)
WIDER = (
    *FIRST,
    "cost-sensitive",
    "tversky",
    "focal-tversky",
    "anyloss-f1[steepness=10.0]",
    "ema-soft-f1",
    "lovasz-softmax",
    "eban-bound",
    "asl",
    "zlpr",
    "aucm",
)
GRID = (*FIRST, "tversky", "eban-bound", "ema-soft-f1", "anyloss-f1[steepness=10.0]")
