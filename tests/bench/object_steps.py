"""A process that times training steps with single objects; its parent says with which, on its standard input.

It imports what is public in every version of the families, so that it can run on another checkout of them. Each line of
input is a JSON object with `family`, `name`, `kind`, `target` (`module:Class`), `fields` and `calls`; the answer is the
seconds of that many steps in processor time, or null for an object that this checkout cannot build or step.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from time import process_time

import torch
from torch import nn

from kexue_bench.lab.context import Noise

Step = Callable[[], object]


def gradients(method, kind: str, noise: Noise) -> Step:
    """An estimate of 4 repeats for 64 rows of 32 variables or 8 times 8 classes, and the backward pass."""
    from kexue_gradients import Distribution, Enumeration, FunctionObjective, Gamma, Gaussian

    classes = kind == "categorical"
    parameters = noise.normal(*((64, 8, 8) if classes else (64, 32)))
    parameters = (parameters if kind in ("bernoulli", "categorical") else parameters.abs() + 1).requires_grad_()
    f = lambda x: (x - 0.45).square().sum((-1, -2) if classes else -1)  # noqa: E731  # f, as one writes it
    states = torch.eye(8).unsqueeze(1) if classes else torch.tensor([[0.0], [1.0]])
    rows = (64, 8) if classes else (64, 32)
    values = (states - 0.45).square().flatten(1).sum(-1)
    table = Enumeration(states=states, values=values.reshape(-1, 1, 1).expand(-1, *rows))
    objective = FunctionObjective(f, table=lambda: table)

    def law():
        if kind == "gaussian":
            return Gaussian(mu=parameters, sigma=parameters)
        return Gamma(shape=parameters) if kind == "gamma" else Distribution(kind=kind, logits=parameters)

    class Bound:
        samples = 4

        def log_weights(self, x):
            return -f(x), torch.zeros(len(x), *law().parameters.shape)

    if type(method).__name__ == "Vimco":
        objective = Bound()
    state = method.init(law(), noise) if hasattr(method, "init") else None
    outer = (lambda: torch.stack([parameters, parameters], dim=-1)) if kind == "gaussian" else (lambda: parameters)

    def step() -> None:
        if hasattr(method, "adapt"):
            sample, _ = method.adapt(law(), objective, noise, 4, state)
        else:
            sample = method.estimate(law(), objective, noise, 4)
        sample.surrogate(outer()).mean().backward()

    return step


def logdet(method, kind: str, noise: Noise) -> Step:
    """An estimate for a dense matrix of 128 rows."""
    from kexue_logdet import Bounds, Operator

    g = noise.normal(128, 128) / 32
    spd = kind != "residual"
    matrix = g @ g.mT + torch.diag(torch.linspace(1, 4, 128)) if spd else g
    bounds = Bounds(low=0.5, high=8.0, provenance="proven") if spd else Bounds(norm=0.95, provenance="proven")

    def step() -> None:
        with torch.no_grad():
            op = Operator.of(matrix, "spd" if spd else "residual", bounds=bounds, target=kind if spd else "logdet")
            method.estimate(op, 10**6, noise, 1)

    return step


def orthogonality(method, kind: str, noise: Noise) -> Step:
    """A step of a model with two layers on 32 rows, all hooks included."""
    from kexue_orthogonality import targets_of

    del kind
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 16))
    joins = method.attach(targets_of(model))
    owned = {id(p) for o in joins.optimizers() for group in o.param_groups for p in group["params"]}
    rest = torch.optim.SGD([p for p in model.parameters() if id(p) not in owned], lr=1e-4)
    x, count = noise.normal(32, 32), [0]

    def step() -> None:
        optimizers = (rest, *joins.optimizers())
        for optimizer in optimizers:
            optimizer.zero_grad()
        with joins.forward():
            loss = model(x).square().mean()
            penalty = joins.penalty()
        (loss if penalty is None else loss + penalty).backward()
        joins.gradient_()
        for optimizer in optimizers:
            optimizer.step()
        count[0] += 1
        joins.after_(count[0])

    return step


def f1(method, kind: str, noise: Noise) -> Step:
    """A loss of 256 items with 8 labels, and the backward pass."""
    del kind
    logits = noise.normal(1, 256, 8).requires_grad_()
    targets = nn.functional.one_hot(logits.argmax(2).roll(1, 1), 8).float()
    state = method.init(targets)
    return lambda: method.loss(logits, targets, state)[0].sum().backward()


def smoothing(method, kind: str, noise: Noise) -> Step:
    """An operator on 64 rows of 32 entries, and the backward pass."""
    from kexue_smoothing.contract import arguments

    operator = method.of(kind) if hasattr(method, "of") else method
    x = noise.normal(64, 2 if type(method).__name__ == "PairMax" else 32).abs().requires_grad_()
    keywords = arguments(operator, softness=0.5, k=3, noise=noise)
    if not operator.apply(x, **keywords).requires_grad:
        return lambda: operator.apply(x, **keywords)
    return lambda: operator.apply(x, **keywords).sum().backward()


@lru_cache(1)
def step_with(family: str, kind: str, target: str, fields: str) -> Step | None:
    """The step, already taken three times; None if it cannot be taken."""
    module, _, name = target.partition(":")
    try:
        method = getattr(importlib.import_module(module), name)(**json.loads(fields))
        step = globals()[family](method, kind, Noise.seeded(0))
        for _ in range(3):
            step()
    except Exception:  # noqa: BLE001  # another checkout may fail in any way
        return None
    return step


def main() -> None:
    """Answer line by line."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        ask = json.loads(line)
        step = step_with(ask["family"], ask["kind"], ask["target"], json.dumps(ask["fields"]))
        seconds = None
        if step is not None:
            start = process_time()
            for _ in range(ask["calls"]):
                step()
            seconds = process_time() - start
        print(json.dumps(seconds), flush=True)  # noqa: T201  # the answer


if __name__ == "__main__":
    main()
