"""Values that several declarations share: plain literals, read without importing anything."""

from __future__ import annotations

from kexue_bench import Claimed, Knob, Unless

STEP = Knob(field="h", grid=(0.03, 0.1, 0.2, 0.5, 0.8, 1.0, 1.5))
"""Step sizes in units of the squared smallest standard deviation of the target."""
LEAPS = Knob(field="leaps", grid=(1, 2, 3, 5, 10, 20))
LEAPS_PAID = (
    Unless(
        when="leaps > task.evaluations",
        because="a step costs {leaps} evaluations; a chain of the task has {task.evaluations}",
    ),
)
RUNGS_PAID = (
    Unless(
        when="rungs > task.evaluations",
        because="a step costs {rungs} evaluations; a chain of the task has {task.evaluations}",
    ),
)

# -- claims -----------------------------------------------------------------------------------------------------------

ADJUSTED = (
    Claimed(name="keeps-target", when="'exact-draws' in offers"),
    Claimed(name="reversible", when="'exact-draws' in offers"),
    "independent-chains",
)
"""Claims of samplers that accept or reject."""
UNADJUSTED = (
    Claimed(name="stationary-law", when="'gaussian' in offers"),
    Claimed(name="exact-variance", when="'gaussian' in offers"),
    "independent-chains",
)
"""Claims of samplers with an exact law on a Gaussian."""

# -- tasks ------------------------------------------------------------------------------------------------------------

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
PLAIN = (
    "budget-error",
    "mse",
    "bias",
    "variance",
    "worst-mse",
    "work-variance",
    "acceptance",
    "time",
    "evaluations",
)
"""Columns of other tasks of chains."""
BUDGETS = {"tour": 2048, "quick": 4096, "standard": 16384, "full": 65536}
"""Chains of a case."""
WALKING = (
    "random-walk",
    "ula",
    "mala",
    "underdamped",
    "underdamped[scheme=obabo]",
    "hmc",
    "adjusted-mclmc",
)
"""Methods of tasks that cannot be drawn from."""
FEW = ("exact", *WALKING)
"""Methods of tasks that are too expensive for all in quick."""
REGRESSION = {
    "verify": ("sgld", "sghmc"),
    "standard": (*FEW, "preconditioned", "sgld[h=[0.03,0.1,0.3],batch=[8,32,128]]", "sghmc"),
    "full": (*FEW, "preconditioned", "sgld[h=[0.03,0.1,0.3],batch=[8,32,128]]", "sghmc"),
}
