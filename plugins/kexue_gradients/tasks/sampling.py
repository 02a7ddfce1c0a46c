"""What the tasks of frozen problems share: the state of a method and the statement of the problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexue_bench.lab.context import Noise
from kexue_bench.lab.protocols import Sampling
from kexue_gradients.methods.exact import Exact

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_gradients.contract import Distribution, GradientMethod, GradSample, Objective


def initial_state(method: GradientMethod, distribution: Distribution) -> object:
    """The method's learned state before its first sample; None for a method that learns nothing."""
    init = getattr(method, "init", None)
    return None if init is None else init(distribution)


def adapted_state(method: GradientMethod, state: object, sample: GradSample) -> object:
    """The state after a sample; the same for a method that learns nothing."""
    adapt = getattr(method, "adapt", None)
    return state if adapt is None else adapt(state, sample)


def warm_state(method: GradientMethod, distribution: Distribution, objective: Objective, noise: Noise) -> object:
    """The state after the method's own `warmup` draws, to be frozen while it is measured."""
    state = initial_state(method, distribution)
    if state is None:
        return None
    for _ in range(getattr(method, "warmup", 0)):
        state = adapted_state(method, state, method.estimate(distribution, objective, noise, 1, state))
    return state


def frozen_problem(
    method: GradientMethod,
    ctx: Context,
    *,
    distribution: Distribution,
    objective: Objective,
    truth: Tensor,
    batch: int,
) -> Sampling:
    """Draws of a method at fixed logits, against the exact gradient.

    Args:
        method: what is measured; learned state is warmed first and then frozen.
        ctx: lends the stream of the warm-up.
        distribution: the logits.
        objective: f as the method sees it.
        truth: the exact gradient, float64, `[*logits.shape]`.
        batch: draws in one call of a method that samples.
    """
    state = warm_state(method, distribution, objective, ctx.noise("method"))

    def draw(noise: Noise, n: int) -> Tensor:
        return method.estimate(distribution, objective, noise, n, state).gradient

    # A truth of zero (f equal at both states) has no direction and no relative error.
    relative = ("relative-bias", "cosine") if truth.any() else ()
    return Sampling(
        draw=draw,
        truth=truth,
        batch=1 if getattr(method, "deterministic", False) else batch,
        inputs=(distribution.logits,),
        metrics=("bias", "variance", "mse", *relative),
    )


def exact_gradient(distribution: Distribution, objective: Objective) -> Tensor:
    """The truth of a problem whose objective can be tabulated, `[*logits.shape]`."""
    never_drawn_from = Noise.seeded(0)
    return Exact().estimate(distribution, objective, never_drawn_from, 1).gradient[0]
