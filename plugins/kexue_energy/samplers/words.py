"""Values that several declarations share: plain literals, read without importing anything."""

from __future__ import annotations

from kexue_bench import Knob

STEP = Knob(field="h", grid=(0.03, 0.1, 0.2, 0.5, 0.8, 1.0, 1.5))
"""Step sizes in units of the squared smallest standard deviation of the target."""
COLUMNS = (
    "budget-error",
    "mse",
    "bias",
    "variance",
    "exact-variance",
    "worst-mse",
    "work-variance",
    "acceptance",
    "time",
    "evaluations",
)
"""Columns of tasks whose chains have an exact law."""
