"""Values that several declarations share: plain literals, read without importing anything."""

from __future__ import annotations

BOUNDED = ("error-bound", "tight-bound", "hard-limit", "gradient-matches-value")
"""Claims of operators with a declared bound."""
INDICATOR = (*BOUNDED, "unit-interval", "sums-to-k", "symmetric")
"""Claims of soft indicators."""
FITTING = {"tour": "fitting", "quick": "fitting", "standard": "fitting", "full": "fitting"}
"""Every method for the task's hard function, in every suite."""
BUDGETS = {"quick": 2048, "standard": 16384, "full": 262144}
"""Number of rows on which an operator is measured."""
FINE_BUDGETS = {"quick": 8192, "standard": 16384, "full": 262144}
"""The same where operators are so similar that `quick` could not tell them apart otherwise."""
AT_ERROR = ("gradient-gap", "smooth-error", "dead-share", "wrong-sign", "softness", "time", "memory")
"""Columns of tasks with matched errors."""
AT_GRADIENT = ("smooth-error", "gradient-gap", "dead-share", "wrong-sign", "softness", "time", "memory")
"""Columns of tasks with matched gradient gaps."""
