"""The user's own model with its loss, as tasks of several families train it; used in workers only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from .own import function_of

MOST = 50_000_000
"""Parameters of the largest model: a method may need several copies of its weights."""

Loss = Callable[[nn.Module, int], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """What a function of the user's returned.

    Args:
        model: drawn anew for each replicate.
        loss: `(model, step) -> []`, the loss of the batch of a step.
        held: `(model) -> []`, the loss on held-out data; None: that of step 0 of `loss`.
    """

    model: nn.Module
    loss: Loss
    held: Callable[[nn.Module], Tensor] | None

    def held_loss(self) -> Tensor:
        """The held-out loss of the model as it is, `[1]`, float64."""
        value = self.held(self.model) if self.held is not None else self.loss(self.model, 0)
        return value.detach().double().reshape(1)


def made(place: str) -> Made:
    """A new model with its losses, from `file.py:function`; running it is running the user's code.

    Args:
        place: the path as a field of type `CodePath` has it.

    Raises:
        TypeError: the function returns something else.
        ValueError: the model is too large or in half precision.
    """
    name, found = Path(place).name, function_of(place)()
    parts: tuple[Any, ...] = found if isinstance(found, tuple) else (found,)
    if not (len(parts) in {2, 3} and isinstance(parts[0], nn.Module) and all(map(callable, parts[1:]))):
        got = ", ".join(type(part).__name__ for part in parts)
        raise TypeError(f"{name} must return (model, loss) or (model, loss, held), got ({got})")
    model = parts[0]
    size = sum(p.numel() for p in model.parameters())
    if size > MOST:
        raise ValueError(f"{name} must return a model of at most {MOST:,} parameters, got {size:,}")
    dtypes = {p.dtype for p in model.parameters()}
    if len(dtypes) != 1 or not dtypes <= {torch.float32, torch.float64}:
        raise ValueError(f"{name} must return a model in float32 or in float64, got {sorted(map(str, dtypes))}")
    return Made(model=model, loss=cast("Loss", parts[1]), held=parts[2] if len(parts) == 3 else None)


def tried(place: str, check: Callable[[nn.Module], object] = lambda _: None) -> None:
    """Make the model once and evaluate its losses; torch's generator is left as it was.

    Args:
        place: as for `made`.
        check: what a task asks of the model besides.

    Raises:
        TypeError: see `made`.
        ValueError: see `made`; or a loss is no finite number, or has no graph.
    """
    name, state = Path(place).name, torch.get_rng_state()
    try:
        found = made(place)
        check(found.model)
        with torch.enable_grad():
            loss = found.loss(found.model, 0)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            got = list(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(f"{name}: loss(model, step) must return one number, got {got}")
        if not loss.requires_grad:
            raise ValueError(f"{name}: loss(model, step) must have a graph, got a number without one")
        values = [float(loss.detach())]
        if found.held is not None:
            with torch.no_grad():
                values.append(float(found.held(found.model)))
        if not all(map(torch.isfinite, torch.tensor(values))):
            raise ValueError(f"{name}: losses must be finite at the start, got {values}")
    finally:
        torch.set_rng_state(state)
