"""Training loops that `kexue-bench show` prints: the probes change with the step."""

from __future__ import annotations

from kexue_bench import Loop

_KERNEL = """\
import torch
from kexue_bench.lab import Noise
from kexue_logdet import Bounds, Operator

method, noise = METHOD, Noise.seeded(0, dtype=torch.float64)
rows = torch.randn(100, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))  # your data
distances = torch.cdist(rows, rows).square()
for step in range(50):
    scale = 1.0 + 0.01 * step  # what your loop changes
    matrix = torch.exp(-distances / (2 * scale**2)) + 0.1 * torch.eye(100, dtype=torch.float64)
    bounds = Bounds(low=0.1, high=100.1)  # noise on the diagonal, and the largest row sum
    op = Operator.of(matrix, "spd", bounds=bounds{target})
    sample = method.estimate(op, budget=500, noise=noise.at(step), repeats=1)  # other probes at every step
    estimate = sample.value[0]
"""
_RESIDUAL = """\
import torch
from kexue_bench.lab import Noise
from kexue_logdet import Bounds, Operator

method, noise = METHOD, Noise.seeded(0, dtype=torch.float64)
weight = torch.randn(64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
for step in range(50):
    slope = 0.5 + 0.005 * step  # what your loop changes; below 1
    jacobian = slope * weight / torch.linalg.matrix_norm(weight, 2)
    op = Operator.of(jacobian, "residual", bounds=Bounds(norm=slope))
    sample = method.estimate(op, budget=500, noise=noise.at(step), repeats=1)  # log |det(I + J)|
    estimate = sample.value[0]
"""
LOOPS = (
    Loop(words=frozenset({"residual"}), code=_RESIDUAL),
    Loop(words=frozenset({"trace"}), code=_KERNEL.format(target=', target="trace"')),
    Loop(code=_KERNEL.format(target="")),
)
"""The first one that fits a method is printed."""
