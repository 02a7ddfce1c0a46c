"""Training loops that `kexue-bench show` prints, one for each hard function: noise advances with the step."""

from __future__ import annotations

from kexue_bench import Loop

_LOOP = """\
import torch
{imported}
operator{also} = {operator}{made}
rows = torch.randn(32, 10, generator=torch.Generator().manual_seed(0))  # your data: [batch, features]
target = {target}
model = torch.nn.Linear(10, {n})
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(50):
    soft = operator.apply({x}, softness=0.1{more})  # softness: smaller is harder
    optimizer.zero_grad()
    (soft - target).square().mean().backward()
    optimizer.step()
"""
_ROW = "torch.zeros(32)"
_TABLE = "torch.zeros(32, 8)"


def _loop(
    *words: str, target: str, operator: str = "METHOD", n: int = 8, x: str = "model(rows)", more: str = ""
) -> Loop:
    noisy = "noise" in more
    code = _LOOP.format(
        operator=operator,
        target=target,
        n=n,
        x=x,
        more=more,
        imported="from kexue_bench.lab import Noise\n" if noisy else "",
        also=", noise" if noisy else "",
        made=", Noise.seeded(0)" if noisy else "",
    )
    return Loop(words=frozenset(words), code=code)


LOOPS = (
    _loop("max", "pair", target=_ROW, n=2),
    _loop("max", "nonnegative", target=_ROW, x="model(rows).exp()"),
    _loop("max", target=_ROW),
    _loop("argmax", target=_ROW),
    _loop("sample", target=_TABLE, more=", noise=noise.at(step)"),
    _loop("top-k", target=_TABLE, more=", k=3"),
    *(
        _loop(kind, target=_TABLE)
        for kind in ("one-hot", "cumax", "sort", "rank", "relu", "abs", "step", "round", "floor")
    ),
    _loop("linear", target=_TABLE, operator='METHOD.of("one-hot")', more=", noise=noise.at(step)"),
    _loop(target=_TABLE, operator='METHOD.of("one-hot")'),
)
"""The first one that fits a method is printed; those of several hard functions show the indicator of the largest."""
