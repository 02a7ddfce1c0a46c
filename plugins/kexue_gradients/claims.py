"""What the family's tasks provide for checking claims: the variance of a draw, by enumerating every sample."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from kexue_gradients.laws import Distribution

if TYPE_CHECKING:
    from collections.abc import Callable

    from kexue_bench.lab.noise import Noise
    from kexue_gradients.contract import GradientMethod, MultiSampleObjective, Objective
    from kexue_gradients.laws import Law

LARGEST = 2**22
"""Limit on the numbers in all gradients of an enumeration; beyond it nothing is enumerated."""


def enumerated_variance(
    method: GradientMethod,
    law: Law,
    objective: Objective | MultiSampleObjective,
    state: object = None,
    *,
    contract: Callable[[Tensor], Tensor] | None = None,
) -> float | None:
    """Trace of the covariance of one draw, summed over every sample x (or tuple of samples) that it may depend on.

    Works for any method whose only randomness is `distribution.sample(noise, repeats, ...)`, without its cooperation:
    the samples that it asks for are dealt in order, one per repeat.

    Args:
        method: the method; its learned state is frozen.
        law: bits or classes; nothing else can be enumerated.
        objective: f as the method sees it.
        state: the frozen state.
        contract: linear map from gradients to what varies, as in `frozen_problem`.

    Returns:
        The variance, `inf` if the gradient of some sample is not finite; None if the method draws anything else, if its
        repeats depend on each other, if a map may mix the elements of a batch, which are drawn independently, or if
        there are more than `LARGEST` numbers to compute.
    """
    if getattr(method, "deterministic", False):
        return 0.0
    if not isinstance(law, Distribution) or (contract is not None and law.batch):
        return None
    classes = 2 if law.kind == "bernoulli" else law.logits.shape[-1]
    variables = law.logits.shape[len(law.batch)]
    draws, count = 1, classes**variables
    while count**draws * draws * law.logits.numel() <= LARGEST:
        x, weights = _tuples(law, classes, variables, draws)
        try:
            gradient = _dealt(method, law, objective, state, x)
            few = _dealt(method, law, objective, state, x[: max(1, len(x) // 2)])
        except _OtherDrawsError as error:
            if error.draws <= draws:
                return None
            draws = error.draws
            continue
        if not bool(torch.isfinite(gradient).all()):
            return math.inf
        if not torch.allclose(gradient[: len(few)], few, rtol=1e-4):
            return None
        if contract is not None:
            return _variance(contract(gradient).double().flatten(1), weights.unsqueeze(-1))
        return _variance(gradient.double(), law.expand(weights))
    return None


class _OtherDrawsError(Exception):
    """The method asks for another number of draws per repeat; 0 if it asks for what cannot be dealt."""

    def __init__(self, draws: int = 0) -> None:
        super().__init__(draws)
        self.draws = draws


class _NoNoise:
    """Placeholder for a stream that must not be drawn from."""

    def __getattr__(self, name: str) -> object:
        raise _OtherDrawsError


@dataclass(frozen=True, kw_only=True, eq=False)
class _Dealer(Distribution):
    """Deals out samples instead of drawing them, once.

    Args:
        hand: `[R, draws, *logits.shape]`.
        dealt: grows by one entry when the hand has been dealt.
    """

    hand: Tensor
    dealt: list[bool]

    def sample(self, noise: Noise, *leading: int) -> Tensor:
        """The hand, as `[*leading, *logits.shape]`."""
        del noise
        repeats, draws = leading[0], math.prod(leading[1:])
        if self.dealt or repeats != len(self.hand):
            raise _OtherDrawsError
        if draws != self.hand.shape[1]:
            raise _OtherDrawsError(draws)
        self.dealt.append(True)
        return self.hand.reshape(*leading, *self.logits.shape)


def _dealt(
    method: GradientMethod,
    law: Distribution,
    objective: Objective | MultiSampleObjective,
    state: object,
    x: Tensor,
) -> Tensor:
    dealer = _Dealer(kind=law.kind, logits=law.logits, context=law.context, hand=x, dealt=[])
    return method.estimate(dealer, objective, cast("Noise", _NoNoise()), len(x), state).gradient


def _tuples(distribution: Distribution, classes: int, variables: int, draws: int) -> tuple[Tensor, Tensor]:
    """Every tuple of samples `[M, draws, *logits.shape]` and its probability `[M, *batch]`, float64."""
    logits = distribution.logits
    codes = torch.tensor(list(itertools.product(range(classes), repeat=variables)), device=logits.device)
    mean = distribution.mean.double()
    if distribution.kind == "bernoulli":
        states = codes.to(logits.dtype)
        chances = torch.where(codes.reshape(-1, *(1,) * len(distribution.batch), variables) > 0, mean, 1 - mean)
        weights = chances.prod(-1)
    else:
        states = torch.nn.functional.one_hot(codes, classes).to(logits.dtype)
        shaped = states.reshape(len(states), *(1,) * len(distribution.batch), variables, classes)
        weights = (shaped * mean).sum(-1).prod(-1)
    events = states.shape[1:]
    full = states.reshape(len(states), *(1,) * len(distribution.batch), *events).expand(len(states), *logits.shape)
    index = torch.cartesian_prod(*[torch.arange(len(states), device=logits.device)] * draws).reshape(-1, draws)
    return full[index], weights[index].prod(1)


def _variance(gradient: Tensor, weights: Tensor) -> float:
    mean = (weights * gradient).sum(0)
    return float((weights * (gradient - mean).square()).sum())
