"""Learned parameters of a method: one set for each independent problem, and the step that updates them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from kexue_gradients.contract import Distribution, Law

_EPSILON = 1e-8


class Learned(NamedTuple):
    """Parameters with the moving moments of their gradients; never written to.

    Args:
        values: name -> parameter, `[*batch[:-1], ...]`.
        first: moving means of the gradients.
        second: moving means of their squares.
        steps: number of steps taken, a scalar.
    """

    values: dict[str, Tensor]
    first: dict[str, Tensor]
    second: dict[str, Tensor]
    steps: Tensor


# `torch.load` takes such a state with its default, `weights_only=True`.
torch.serialization.add_safe_globals([Learned])


class Warming(Protocol):
    """A method that learns in `warmup` steps of `warmup_batch` estimates before it is frozen."""

    @property
    def warmup(self) -> int:
        """Steps of learning, >= 0."""
        ...

    @property
    def warmup_batch(self) -> int:
        """Estimates of a step, >= 1."""
        ...


def check_warmup(method: Warming) -> None:
    """Raise ValueError for a negative number of steps, or steps that learn from nothing."""
    if method.warmup < 0:
        raise ValueError(f"warmup must be >= 0, got {method.warmup}")
    if method.warmup_batch < 1:
        raise ValueError(f"warmup_batch must be >= 1, got {method.warmup_batch}; for no warm-up set warmup=0")


def learned(**values: Tensor) -> Learned:
    """Parameters before the first step."""
    zeros = {name: torch.zeros_like(value) for name, value in values.items()}
    steps = next(iter(values.values())).new_zeros(())
    return Learned(values=values, first=zeros, second=dict(zeros), steps=steps)


def scalar(law: Law, value: float) -> Tensor:
    """One number for each independent problem, `[*batch[:-1], 1]`; a scalar if there is no batch."""
    shape = (*law.batch[:-1], 1) if law.batch else ()
    return law.parameters.new_full(shape, value)


def descend(
    state: Learned, gradients: Mapping[str, Tensor], rate: float, *, momentum: float = 0.9, memory: float = 0.999
) -> Learned:
    """One step of Adam; without momentum, of RMSprop with corrected averages.

    Args:
        state: before the step.
        gradients: of a loss that is a sum over the independent problems, so that problems do not affect each other.
        rate: size of a step, > 0.
        momentum: decay of the first moment.
        memory: decay of the second moment.
    """
    steps = state.steps + 1
    first = {name: torch.lerp(gradients[name], old, momentum) for name, old in state.first.items()}
    second = {name: torch.lerp(gradients[name].square(), old, memory) for name, old in state.second.items()}
    values = {}
    for name, value in state.values.items():
        mean, square = first[name] / (1 - momentum**steps), second[name] / (1 - memory**steps)
        values[name] = value - rate * mean / (square.sqrt() + _EPSILON)
    return Learned(values=values, first=first, second=second, steps=steps)


def derivatives(values: Mapping[str, Tensor], loss: Callable[[dict[str, Tensor]], Tensor]) -> dict[str, Tensor]:
    """Gradients of a scalar loss with respect to the values only; nothing else on its graph is touched."""
    if torch.is_inference_mode_enabled():
        raise ValueError("learned parameters need gradients, got torch.inference_mode(); use torch.no_grad()")
    with torch.enable_grad():
        leaves = {name: value.detach().clone().requires_grad_() for name, value in values.items()}
        total = loss(leaves)
        # What autocast does to a product it does to its derivative too, where that is taken.
        with torch.autocast(total.device.type, enabled=False):
            found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(value) if gradient is None else gradient
        for (name, value), gradient in zip(values.items(), found, strict=True)
    }


def per_problem(law: Law, squares: Tensor) -> Tensor:
    """A number for each repeat and batch element, `[R, *batch]`, averaged within problems and summed over them."""
    mean = squares.mean(0)
    return mean.mean(-1).sum() if law.batch else mean


def step_on_square(
    distribution: Distribution, state: Learned, rate: float, estimate: Callable[[dict[str, Tensor]], Tensor]
) -> tuple[Tensor, Learned]:
    """An estimate `[R, *logits.shape]`, and the state after a step of descent on its mean square.

    Args:
        distribution: the logits.
        state: before the step.
        rate: size of the step, > 0.
        estimate: the estimate as a differentiable function of the learned values; called once.
    """
    kept: list[Tensor] = []

    def loss(values: dict[str, Tensor]) -> Tensor:
        gradient = estimate(values)
        kept.append(gradient.detach())
        return per_problem(distribution, gradient.square().flatten(-distribution.event_dims).sum(-1))

    state = descend(state, derivatives(state.values, loss), rate)
    return kept[0], state
