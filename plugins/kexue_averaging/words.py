"""Words that several declarations share: claims and knobs."""

from __future__ import annotations

from kexue_bench import Knob

SWAPS = ("restores", "resumes", "compiled")
"""What every average promises about the model."""
OWNING = (*SWAPS, "exact-moments")
"""What an average promises that is the optimizer."""
BESIDE = (*SWAPS, "passive", "buffers")
"""What an average beside any optimizer promises."""
STATED = (*BESIDE, "matches-weights", "exact-moments")
"""The same, of an average whose coefficients are stated."""
LINEAR = (*STATED, "convex", "follows-constant")
"""The same, of an average that never leaves the hull of the iterates."""
DECAYS = Knob(field="decay", grid=(0.9, 0.97, 0.99, 0.997, 0.999, 0.9999))
OPTIMIZER = "optimizer"
"""Offered by tasks whose optimizer a method may replace."""
