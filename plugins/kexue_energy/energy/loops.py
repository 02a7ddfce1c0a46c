"""The training loop that `kexue-bench show` prints: the state of a criterion is kept from step to step."""

from __future__ import annotations

from kexue_bench import Loop

_LOOP = """\
import torch
from kexue_bench.lab import Noise
from kexue_energy import Mlp

noise = Noise.seeded(0)
points = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))  # your data: [items, d]
energy = Mlp.drawn(noise.at(-1), dim=2, width=64)  # or your own: a subclass of kexue_energy.Energy
optimizer = torch.optim.Adam(energy.parameters(), lr=1e-3)
criterion = METHOD
state = criterion.init(points[:100], noise.at(-2))  # chains or a noise law, if the criterion keeps some
for step in range(50):
    batch = points[noise.at(-3 - step).integers(len(points), 100)]
    loss, state = criterion.loss(energy, batch, state, noise.at(step))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
LOOPS = (Loop(code=_LOOP),)
