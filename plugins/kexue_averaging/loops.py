"""The training loop that `kexue-bench show` prints: where an average records, and where its weights are used."""

from __future__ import annotations

from kexue_bench import Loop

_DATA = """\
import torch
from torch import nn

generator = torch.Generator().manual_seed(0)
x, labels = torch.randn(64, 8, generator=generator), torch.arange(64) % 4  # your data
model = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4))
"""
_STEP = """\
for step in range(50):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), labels).backward()
    optimizer.step()
    average.after_(step + 1)  # after the optimizer, never before
with average.measuring():  # averaged weights inside, the trained ones again outside
    loss = nn.functional.cross_entropy(model(x), labels)
"""

LOOPS = (
    Loop(
        code=f"""\
{_DATA}average = METHOD.attach(model, lr=0.1)
(optimizer,) = average.optimizers()
{_STEP}""",
        words=frozenset({"optimizer"}),
    ),
    Loop(
        code=f"""\
{_DATA}average = METHOD.attach(model, batches=lambda index: x)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
{_STEP}"""
    ),
)
"""One for averages that are the optimizer, one for those beside any."""
