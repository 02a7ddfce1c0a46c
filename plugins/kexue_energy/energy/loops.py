"""The training loop that `kexue-bench show` prints: the state of a criterion is kept from step to step."""

from __future__ import annotations

from kexue_bench import Loop

_LOOP = """\
import torch
from kexue_bench.lab import Noise
from kexue_energy import Mlp

generator, noise = torch.Generator().manual_seed(0), Noise.seeded(0)
points = torch.randn(1000, 2, generator=generator)  # your data: [items, d]
model = Mlp.drawn(Noise.seeded(1), dim=2, width=64)  # or your own: a subclass of kexue_energy.Energy
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = METHOD
state = criterion.init(points[:100], Noise.seeded(2))  # chains or a noise law, if the criterion keeps some
for step in range(50):
    batch = points[torch.randperm(len(points), generator=generator)[:100]]
    loss, state = criterion.loss(model, batch, state, noise.at(step))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
LOOPS = (Loop(code=_LOOP),)
