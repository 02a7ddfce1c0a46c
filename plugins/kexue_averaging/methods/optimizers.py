"""Averages that are the optimizer: they change the path, so that they own the parameters of the training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from kexue_bench import Knob, method

from ..contract import Attaching, Average, Batches
from ..words import OPTIMIZER, OWNING


@method(
    "lookahead",
    "slow weights that follow SGD's every few steps, and restart it",
    needs=OPTIMIZER,
    claims=OWNING,
    knobs=(Knob(field="follow", grid=(0.2, 0.5, 0.8)), Knob(field="every", grid=(5, 10))),
    references=("arXiv:1907.08610",),
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class Lookahead(Attaching):
    """Every k steps `slow += a (fast - slow)` and `fast = slow` (arXiv 1907.08610, algorithm 1); measured at slow.

    The variance of the slow weights on a quadratic with contraction r, over that of SGD, is
    a^2 (1 - r^(2k)) / (1 - (1 - a + a r^k)^2) (the paper's proposition 2).

    Args:
        every: k, steps of SGD between two of the slow weights, >= 1.
        follow: a, in (0, 1].

    Raises:
        ValueError: a field is out of range, or `attach` without a learning rate.

    Examples:
        >>> import torch
        >>> model = torch.nn.Linear(1, 1)
        >>> (optimizer,) = Lookahead().attach(model, lr=0.1).optimizers()
        >>> type(optimizer).__name__
        'SGD'
    """

    every: int = 5
    follow: float = 0.5

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be >= 1, got {self.every}")
        if not 0 < self.follow <= 1:
            raise ValueError(f"follow must be in (0, 1], got {self.follow}")

    def average(self, model: nn.Module, batches: Batches | None, lr: float | None) -> Average:
        """See `Attaching.average`."""
        return _Slow(model, self, SGD(model.parameters(), lr=_rate(lr)))

    def law(self, curvature: Tensor, rate: float, n: int) -> tuple[Tensor, Tensor]:
        """See `kexue_averaging.laws.law`; proposition 2 of the paper, and its transient."""
        ratio, turns = (1 - rate * curvature), n // self.every
        kept = 1 - self.follow + self.follow * ratio**self.every
        fast = rate**2 * sum(ratio ** (2 * k) for k in range(self.every))
        geometric = (1 - kept ** (2 * turns)) / (1 - kept**2)
        return kept**turns, self.follow**2 * fast * geometric


class _Slow(Average):
    passive = False

    def __init__(self, model: nn.Module, rule: Lookahead, optimizer: Optimizer) -> None:
        super().__init__(model)
        self._rule, self._optimizer = rule, optimizer
        self.period = rule.every
        self._held = [tensor.detach().clone() for tensor in self._tensors.values()]

    def optimizers(self) -> Sequence[Optimizer]:
        """See `Joins.optimizers`."""
        return (self._optimizer,)

    def record_(self, tensors: Sequence[Tensor], n: int) -> None:
        """See `Average.record_`."""
        if n % self._rule.every == 0:
            for slow, fast in zip(self._held, tensors, strict=True):
                slow.lerp_(fast, self._rule.follow)
                fast.copy_(slow)

    def values(self) -> Sequence[Tensor]:
        """See `Average.values`."""
        return self._held

    def _state(self) -> dict[str, Any]:
        return {"slow": [tensor.clone() for tensor in self._held]}

    def _restore(self, state: Mapping[str, Any]) -> None:
        for tensor, value in zip(self._held, state["slow"], strict=True):
            tensor.copy_(value)


@method(
    "schedule-free",
    "schedule-free SGD: gradients between an average and a fast iterate",
    needs=OPTIMIZER,
    claims=OWNING,
    knobs=(Knob(field="momentum", grid=(0.5, 0.9, 0.98)),),
    references=("arXiv:2405.15682",),
    order=80,
)
@dataclass(frozen=True, kw_only=True)
class ScheduleFree(Attaching):
    """`y = (1 - b) z + b x`; `z' = z - lr grad(y)`; `x' = (1 - 1/t) x + z'/t` (arXiv 2405.15682, equations 3 to 5).

    The model holds y while it trains, and x inside `measuring`. Statistics of batch normalization belong to y.

    Args:
        momentum: b, in [0, 1).

    Raises:
        ValueError: the momentum is not in [0, 1), or `attach` without a learning rate.

    Examples:
        >>> import torch
        >>> model = torch.nn.Linear(1, 1)
        >>> (optimizer,) = ScheduleFree().attach(model, lr=0.1).optimizers()
        >>> optimizer.param_groups[0]["momentum"]
        0.9
    """

    momentum: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")

    def average(self, model: nn.Module, batches: Batches | None, lr: float | None) -> Average:
        """See `Attaching.average`."""
        return _Free(model, ScheduleFreeSGD(model.parameters(), lr=_rate(lr), momentum=self.momentum))

    def law(self, curvature: Tensor, rate: float, n: int) -> tuple[Tensor, Tensor]:
        """See `kexue_averaging.laws.law`; mean and covariance of (x, z) by their recursion."""
        b, one = self.momentum, torch.ones_like(curvature)
        x, z = one, one
        xx, xz, zz = (torch.zeros_like(curvature) for _ in range(3))
        step = rate * curvature
        for t in range(1, n + 1):
            # z' = p z - q x - rate xi with p = 1 - step (1 - b), q = step b.
            p, q = 1 - step * (1 - b), step * b
            z = p * z - q * x
            zz, xz = p * p * zz - 2 * p * q * xz + q * q * xx + rate**2, p * xz - q * xx
            x = (1 - 1 / t) * x + z / t
            xx, xz = (
                (1 - 1 / t) ** 2 * xx + 2 * (1 - 1 / t) / t * xz + zz / t**2,
                (1 - 1 / t) * xz + zz / t,
            )
        return x, xx


class ScheduleFreeSGD(Optimizer):
    """The optimizer of `ScheduleFree`; parameters hold y.

    Args:
        parameters: what it owns.
        lr: learning rate, > 0.
        momentum: see `ScheduleFree`.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float, momentum: float) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]  # torch overloads it
        """One step from the gradients at y.

        Args:
            closure: evaluates the loss again and fills the gradients.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                state = self.state[p]
                if not state:
                    state |= {"step": 0, "x": p.detach().clone(), "z": p.detach().clone()}
                state["step"] += 1
                state["z"].sub_(p.grad, alpha=group["lr"])
                state["x"].lerp_(state["z"], 1 / state["step"])
                p.copy_(torch.lerp(state["z"], state["x"], group["momentum"]))
        return loss


class _Free(Average):
    passive = False

    def __init__(self, model: nn.Module, optimizer: ScheduleFreeSGD) -> None:
        super().__init__(model)
        self._optimizer = optimizer

    def optimizers(self) -> Sequence[Optimizer]:
        """See `Joins.optimizers`."""
        return (self._optimizer,)

    def record_(self, tensors: Sequence[Tensor], n: int) -> None:
        """The optimizer's step has done it."""

    def values(self) -> Sequence[Tensor]:
        """See `Average.values`."""
        return [self._optimizer.state[p]["x"] if self._optimizer.state[p] else p for p in self._tensors.values()]

    def _state(self) -> dict[str, Any]:
        return {"optimizer": deepcopy(self._optimizer.state_dict())}

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._optimizer.load_state_dict(dict(state["optimizer"]))


def _rate(lr: float | None) -> float:
    if lr is None:
        raise ValueError("this averager is the optimizer and needs a learning rate; give attach(model, lr=...)")
    return lr
