"""Values that several declarations share: plain literals, read without importing anything."""

from __future__ import annotations

from kexue_bench import Knob

STEP = Knob(field="h", grid=(0.001, 0.003, 0.01, 0.03, 0.1))
LENGTH = Knob(field="k", grid=(1, 5, 10, 20, 60))
RATES = Knob(field="lr", grid=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016))
EXACT_LAW = ("consistent", "fixed-point", "asymptotic-variance", "shift-invariant", "gradient-matches-value")
"""Claims of criteria whose fixed point is the truth."""
OWN_LAW = ("fixed-point", "asymptotic-variance", "shift-invariant", "gradient-matches-value")
"""Claims of criteria with another fixed point, which they declare."""
CHAIN_LAW = ("fixed-point", "asymptotic-variance", "shift-invariant")
"""Claims of criteria that walk: their gradient is not that of their value, since the chain moves with theta."""
FEW_DENSITY_METHODS = (
    "mle",
    "score-matching",
    "sliced[projection=rademacher]",
    "denoising[sigma=[0.15,0.3]]",
    "nce",
    "cd[k=20,h=0.01]",
    "pcd[k=20,h=0.01]",
    "short-run[k=20,h=0.01]",
)
"""Criteria that train networks, with steps and noise levels for densities of unit size."""
DENSITY_METHODS = (
    *FEW_DENSITY_METHODS,
    "sliced-vr",
    "replay[k=20,h=0.01]",
    "softplus[k=20,h=0.01]",
    "logsumexp[k=20,h=0.01]",
    "jem",
    "recovery-likelihood[h=0.01,sigma=0.3]",
)
"""The same, with variants of chains that take as long as `pcd` each."""
