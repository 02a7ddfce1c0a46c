"""RODEO: RLOO with control variates from a discrete Stein operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from kexue_bench import Knob, method
from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.laws import in_dtype
from kexue_gradients.words import WARMUP

from .learning import Learned, check_warmup, learned, scalar, step_on_square

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise

_LEAK = 0.3


@method(
    "rodeo",
    "RLOO with learned Stein control variates over single flips, a network of 20 units (the authors': 100)",
    needs={"bernoulli", "differentiable"},
    claims=("unbiased",),
    cost="n",
    knobs=(Knob(field="rate", grid=(0.001, 0.003, 0.01, 0.03, 0.1)), WARMUP),
    references=("arXiv:2202.09497",),
    order=240,
)
@dataclass(frozen=True, kw_only=True)
class Rodeo:
    """`mean_i (f_i - mean_{j != i} (f_j + alpha (A h)_j)) s_i + beta (A k s)_i` over n draws, s = x - E x.

    A is the Gibbs Stein operator over single flips, `(A h)(x) = 1/L sum_d q(flip_d x | rest) (h(flip_d x) - h(x))`
    (Barker's for bits), whose mean under q is zero for every h. h and k are the two outputs of one small network at
    `mean_j grad f(x_j) . (y - x_j)` and `mean_j f(x_j)` over the draws j other than i, so that a flip costs no
    evaluation of f. Unbiased for every network, alpha and beta; all are learned by descent on the mean squared
    estimate. Initially alpha and beta are 0 and it is RLOO. Bits only.

    Of the variants in the authors' code this is the one with the averages of the other draws as inputs; there the
    network has 100 units and the rate is 0.001. Operators other than Gibbs are left out.

    One estimate takes time O(n hidden B L) and memory O(n hidden B L), f apart.

    Args:
        n: draws, evaluations and backward passes for one estimate, at least 2.
        hidden: units of the network's one leaky-ReLU layer, at least 1.
        rate: learning rate, > 0.
        warmup: steps of learning before it is frozen for a measurement; training starts without them.
        warmup_batch: estimates that each of these steps averages, as a step of training averages a minibatch.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> rodeo, noise, logits = Rodeo(), Noise.seeded(0), torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> state = rodeo.init(Distribution(kind="bernoulli", logits=logits), noise)
        >>> for step in range(3):  # an optimizer's step would follow each
        ...     law = Distribution(kind="bernoulli", logits=logits)
        ...     sample, state = rodeo.adapt(law, f, noise.at(step), 1, state)
        ...     sample.surrogate(logits).mean().backward()
    """

    n: int = 2
    hidden: int = 20
    rate: float = 0.01
    warmup: int = 200
    warmup_batch: int = 16

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"n must be >= 2, got {self.n}; the control variate of a draw uses the others")
        if self.hidden < 1:
            raise ValueError(f"hidden must be >= 1, got {self.hidden}; without a network use rloo")
        if not self.rate > 0:
            raise ValueError(f"rate must be > 0, got {self.rate}; without learning use rloo")
        check_warmup(self)

    def init(self, distribution: Distribution, noise: Noise) -> Learned:
        """A random network, and alpha and beta of 0, for each problem."""
        lead = distribution.batch[:-1]
        weights = in_dtype(noise, distribution.logits.dtype).normal(*lead, 4, self.hidden)
        if distribution.batch:
            # The minibatch and the flips share a network.
            weights = weights.unsqueeze(-3).unsqueeze(-3)
        slope, level, first, second = weights.unbind(-2)
        return learned(
            alpha=scalar(distribution, 0.0),
            beta=scalar(distribution, 0.0),
            slope=slope,
            level=level,
            bias=torch.zeros_like(slope),
            first=first / self.hidden**0.5,
            second=second / self.hidden**0.5,
            offset=torch.zeros_like(slope[..., 0]),
        )

    def adapt(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: Learned
    ) -> tuple[GradSample, Learned]:
        """One estimate, and a step on its mean square; costs no evaluation beyond the estimate's."""
        x, value, slope = self._draws(distribution, objective, noise, repeats)

        def estimate(values: dict[str, Tensor]) -> Tensor:
            return self._controlled(distribution, x, value.detach(), slope, values)

        gradient, state = step_on_square(distribution, state, self.rate, estimate)
        return GradSample(gradient=gradient, value=value.mean(1)), state

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: Learned | None = None
    ) -> GradSample:
        """Take n draws, evaluations and backward passes per repeat; `value` is the mean of f. RLOO without a state.

        Raises:
            ValueError: the distribution is not over bits.
        """
        x, value, slope = self._draws(distribution, objective, noise, repeats)
        f = value.detach()
        if state is None:
            gradient = _leave_one_out(distribution, x, f, f)
        else:
            gradient = self._controlled(distribution, x, f, slope, state.values)
        return GradSample(gradient=gradient, value=value.mean(1))

    def _draws(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draws `[R, n, *batch, L]`, f and its gradient there."""
        if distribution.kind != "bernoulli":
            raise ValueError(f"rodeo flips bits, got {distribution.kind} variables; use double-cv")
        x = distribution.sample(noise, repeats, self.n)
        value, slope = objective.value_and_gradient(x.flatten(0, 1))
        return x, value.unflatten(0, (repeats, self.n)), slope.unflatten(0, (repeats, self.n))

    def _controlled(
        self, distribution: Distribution, x: Tensor, f: Tensor, slope: Tensor, values: dict[str, Tensor]
    ) -> Tensor:
        first, second = _stein_inputs(x, f, slope, values)
        flips = distribution.mean * (1 - x) + (1 - distribution.mean) * x
        size = x.shape[-1]
        moved = (flips * (first[..., :-1] - first[..., -1:])).sum(-1) / size
        gradient = _leave_one_out(distribution, x, f, f + values["alpha"] * moved)
        # s at a neighbor is s at x, plus 1 - 2 x in the bit that was flipped.
        turned = (flips * (second[..., :-1] - second[..., -1:])).sum(-1, keepdim=True)
        pull = (turned * distribution.score(x) + flips * second[..., :-1] * (1 - 2 * x)) / size
        return gradient + distribution.expand(values["beta"]) * pull.mean(1)


def _leave_one_out(distribution: Distribution, x: Tensor, f: Tensor, baseline: Tensor) -> Tensor:
    """The mean over draws of `(f_i - mean of the others' baseline) s_i`."""
    n = x.shape[1]
    others = (baseline.sum(1, keepdim=True) - baseline) / (n - 1)
    return (distribution.expand(f - others) * distribution.score(x)).mean(1)


def _stein_inputs(x: Tensor, f: Tensor, slope: Tensor, values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The network's two outputs at the neighbors of each draw, and last at the draw, `[R, n, *batch, L + 1]`."""
    n = x.shape[1]

    def others(total: Tensor) -> Tensor:
        return (total.sum(1, keepdim=True) - total) / (n - 1)

    pull = others(slope)
    own = ((pull * x).sum(-1) - others((slope * x).sum(-1))).unsqueeze(-1)
    linear = torch.cat([own + pull * (1 - 2 * x), own], dim=-1).unsqueeze(-1)
    level = others(f).unsqueeze(-1).unsqueeze(-1)
    units = linear * values["slope"] + level * values["level"] + values["bias"]
    units = functional.leaky_relu(units, _LEAK)
    return (units * values["first"]).sum(-1), (units * values["second"]).sum(-1) + values["offset"]
