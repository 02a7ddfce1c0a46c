"""NVIL: the score function with an input-dependent baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from kexue_bench import Claimed, Knob, method
from kexue_gradients.contract import GradSample, Law, Objective
from kexue_gradients.laws import in_dtype
from kexue_gradients.words import PACE, WARMUP

from .learning import Learned, check_warmup, derivatives, descend, learned, per_problem, scalar

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise


class _Baseline(NamedTuple):
    """A network of the context, and moving averages of the first two moments of the residual of f."""

    network: Learned
    mean: Tensor
    square: Tensor
    weight: Tensor


# `torch.load` takes such a state with its default, `weights_only=True`.
torch.serialization.add_safe_globals([_Baseline])


@method(
    "nvil",
    "score function with a learned input-dependent baseline, divided by the spread of f",
    needs="discrete",
    claims=(Claimed(name="unbiased", when="not normalise"),),
    cost="1",
    knobs=(PACE, WARMUP, Knob(field="hidden", grid=(5, 10, 30))),
    variants=("nvil", "nvil[normalise=false]"),
    references=("arXiv:1402.0030",),
    order=180,
)
@dataclass(frozen=True, kw_only=True)
class Nvil:
    """`(f(x) - m - c(context)) / max(1, sd) (x - E x)` for one draw x.

    c is a network with one hidden tanh layer, fitted to f - m by squared error; m and sd are the moving mean and
    standard deviation of f - c. The context is what the logits were computed from or, if the task gives none, the
    logits. The division makes learning rates comparable between problems and scales the estimate: unbiased without it,
    or if sd is below 1. All of these are read before the draw updates them.

    One estimate takes time O(B L K) and memory O(B L K), f apart.

    Args:
        hidden: units of the hidden layer, at least 1.
        normalise: divide by max(1, sd).
        decay: weight that the moving averages keep at each draw, in [0, 1).
        rate: learning rate of c, > 0.
        warmup: steps of learning before it is frozen for a measurement; training starts without them.
        warmup_batch: estimates that each of these steps averages, as a step of training averages a minibatch.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> nvil, noise, encoder = Nvil(), Noise.seeded(0), torch.nn.Linear(4, 3)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> images = torch.rand(10, 4)
        >>> logits = encoder(images)
        >>> law = Distribution(kind="bernoulli", logits=logits, context=images)
        >>> sample, state = nvil.adapt(law, f, noise.at(0), 1, nvil.init(law, noise))
        >>> sample.surrogate(logits).mean().backward()
    """

    hidden: int = 10
    normalise: bool = True
    decay: float = 0.9
    rate: float = 0.02
    warmup: int = 200
    warmup_batch: int = 16

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise ValueError(f"hidden must be >= 1, got {self.hidden}; without a network use reinforce[baseline=ema]")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {self.decay}")
        if not self.rate > 0:
            raise ValueError(f"rate must be > 0, got {self.rate}")
        check_warmup(self)

    def init(self, distribution: Law, noise: Noise) -> _Baseline:
        """A network whose output is 0, and empty averages."""
        lead, inputs = distribution.batch[:-1], _inputs(distribution)
        new = inputs.new_zeros
        row = (*lead, 1, self.hidden) if distribution.batch else (self.hidden,)
        size = inputs.shape[-1]
        weight = in_dtype(noise, inputs.dtype).normal(*lead, self.hidden, size) / size**0.5
        network = learned(weight=weight, bias=new(row), output=new(row))
        zero = scalar(distribution, 0.0)
        return _Baseline(network=network, mean=zero, square=zero, weight=zero)

    def adapt(
        self, distribution: Law, objective: Objective, noise: Noise, repeats: int, state: _Baseline
    ) -> tuple[GradSample, _Baseline]:
        """One estimate; then a step of fitting the network to f - m, and an update of the averages with f - c."""
        sample = self.estimate(distribution, objective, noise, repeats, state)
        f, inputs = sample.value.detach(), _inputs(distribution)
        goal = f - self._moments(state)[0]
        network = descend(
            state.network,
            derivatives(
                state.network.values,
                lambda values: per_problem(distribution, (goal - _output(values, inputs)).square()),
            ),
            self.rate,
        )
        rest = (
            (f - _output(state.network.values, inputs)).mean(0),
            (f - _output(state.network.values, inputs)).square().mean(0),
        )
        first, second = (r.mean(-1, keepdim=True) if distribution.batch else r for r in rest)
        return sample, _Baseline(
            network=network,
            mean=torch.lerp(first, state.mean, self.decay),
            square=torch.lerp(second, state.square, self.decay),
            weight=torch.lerp(torch.ones_like(state.weight), state.weight, self.decay),
        )

    def estimate(
        self, distribution: Law, objective: Objective, noise: Noise, repeats: int, state: _Baseline | None = None
    ) -> GradSample:
        """One draw and one evaluation per repeat; without a state, plain REINFORCE."""
        x = distribution.sample(noise, repeats)
        value = objective.value(x)
        centred = value.detach()
        if state is not None:
            mean, deviation = self._moments(state)
            centred = centred - mean - _output(state.network.values, _inputs(distribution))
            if self.normalise:
                centred = centred / deviation.clamp_min(1.0)
        return GradSample(gradient=distribution.expand(centred) * distribution.score(x), value=value)

    def _moments(self, state: _Baseline) -> tuple[Tensor, Tensor]:
        """Moving mean and standard deviation; 0 before the first draw."""
        weight = state.weight.clamp_min(1e-30)
        mean = state.mean / weight
        return mean, (state.square / weight - mean.square()).clamp_min(0).sqrt()


def _inputs(distribution: Law) -> Tensor:
    """What the baseline sees, `[*batch, C]`."""
    if distribution.context is not None:
        return distribution.context
    return distribution.parameters.flatten(len(distribution.batch))


def _output(values: dict[str, Tensor], inputs: Tensor) -> Tensor:
    """Output of the network at the inputs, `[*batch]`."""
    with torch.autocast(inputs.device.type, enabled=False):
        return (torch.tanh(inputs @ values["weight"].mT + values["bias"]) * values["output"]).sum(-1)
