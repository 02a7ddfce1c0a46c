"""Values that several declarations of the family share. Read without being imported: plain values only."""

from __future__ import annotations

BOUNDED = ("error-bound", "tight-bound", "hard-limit", "gradient-matches-value")
"""Claims of operators with a declared error."""
INDICATOR = (*BOUNDED, "unit-interval", "sums-to-k", "symmetric")
"""Claims of soft indicators."""
FITTING = {"quick": "fitting", "standard": "fitting", "full": "fitting"}
"""Every method that stands for the task's hard function, in every suite."""
BUDGETS = {"quick": 2048, "standard": 16384, "full": 262144}
"""Rows that an operator is measured on."""
AT_ERROR = ("gradient-gap", "smooth-error", "dead-share", "wrong-sign", "softness", "time", "memory")
"""Columns where operators meet at one error."""
AT_GRADIENT = ("smooth-error", "gradient-gap", "dead-share", "wrong-sign", "softness", "time", "memory")
"""Columns where operators meet at one gradient gap."""
