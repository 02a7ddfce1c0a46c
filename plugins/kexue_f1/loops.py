"""Training loops that `kexue-bench show` prints: the state of a loss is kept from step to step."""

from __future__ import annotations

from kexue_bench import Loop

_START = """\
import torch

generator = torch.Generator().manual_seed(0)
rows = torch.randn(512, 10, generator=generator)  # your data: [items, features]
targets = (rows[:, 0] > 1.0).float()  # [items], 0 or 1
model = torch.nn.Linear(10, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
method = METHOD
state = method.init(targets)  # what the loss learns outside the model, if it does
for step in range(50):
    batch = torch.randperm(len(rows), generator=generator)[:64]
"""
_REFRESH = """\
    if step % method.every == 0:
        with torch.no_grad():  # once in a while, a pass over all training data
            state = method.refresh(model(rows).squeeze(-1), targets, state)
"""
_END = """\
    loss, state = method.loss(model(rows[batch]).squeeze(-1), targets[batch], state)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
_CLASSES = """\
import torch

generator = torch.Generator().manual_seed(0)
rows = torch.randn(512, 10, generator=generator)  # your data: [items, features]
targets = torch.nn.functional.one_hot(rows[:, :3].argmax(-1)).float()  # [items, classes], one-hot
model = torch.nn.Linear(10, 3)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
method = METHOD
state = method.init(targets[None])
for step in range(50):
    batch = torch.randperm(len(rows), generator=generator)[:64]
    loss, state = method.loss(model(rows[batch])[None], targets[batch][None], state)  # [1, batch, classes]
    optimizer.zero_grad()
    loss.sum().backward()
    optimizer.step()
"""
LOOPS = (
    Loop(words=frozenset({"classes"}), code=_CLASSES),
    Loop(words=frozenset({"every"}), code=_START + _REFRESH + _END),
    Loop(code=_START + _END),
)
"""The first one that fits a method is printed."""
