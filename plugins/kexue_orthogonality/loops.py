"""The training loop that `kexue-bench show` prints, with every place where a method may take part in a step."""

from __future__ import annotations

from kexue_bench import Loop

LOOPS = (
    Loop(
        code="""\
import torch
from torch import nn
from kexue_orthogonality import targets_of

generator = torch.Generator().manual_seed(0)
x, labels = torch.randn(64, 1, 8, 8, generator=generator), torch.arange(64) % 10  # your data: images and classes
model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 32), nn.ReLU(), nn.Linear(32, 10))
joins = METHOD.attach(targets_of(model, exclude=("5",)))  # all weights but those of the last layer
optimizers = [torch.optim.Adam(joins.rest(model.parameters()), lr=1e-3), *joins.optimizers()]
for step in range(50):
    for optimizer in optimizers:
        optimizer.zero_grad()
    with joins.forward():
        loss, penalty = nn.functional.cross_entropy(model(x), labels), joins.penalty()
    (loss if penalty is None else loss + penalty).backward()
    with torch.no_grad():
        joins.gradient_()
        for optimizer in optimizers:
            optimizer.step()
        joins.after_(step + 1)
with torch.no_grad():
    joins.finish_()  # once, after the last step
"""
    ),
)
"""One for all methods."""
