"""What a gradient estimator is given and what it gives back.

The problem: E f(x) for x drawn from a discrete distribution with logits l. The answer: independent estimates of its
gradient with respect to l, `[R, *logits.shape]`, in one call and without a Python loop over samples. A method works off
the graph of the logits; it reaches f only through an `Objective`, which counts what is asked of it.

Shapes: `logits` is `[*batch, L]` for bits and `[*batch, L, K]` for K classes; samples carry one leading dimension S. By
convention the last batch dimension is the minibatch; those before it are independent problems (stacked replicates), so
learned state averages over the last one only. Noise is asked for in shapes `[*leading, *logits.shape]`, so that a stack
of streams lies along the same negative axis for every method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from kexue_bench.lab.context import Noise

Kind = Literal["bernoulli", "categorical"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Distribution:
    """Independent bits or classes.

    Args:
        kind: `bernoulli` (logit of the bit being 1) or `categorical` (softmax over the last dimension).
        logits: `[*batch, L]` or `[*batch, L, K]`; kept detached from its graph, and never written to.
    """

    kind: Kind
    logits: Tensor

    def __post_init__(self) -> None:
        events = {"bernoulli": 1, "categorical": 2}
        if self.kind not in events:
            raise ValueError(f"kind must be bernoulli or categorical, got {self.kind!r}")
        if self.logits.dim() < events[self.kind]:
            raise ValueError(
                f"{self.kind} logits need at least {events[self.kind]} dimensions, got {self.logits.dim()}; "
                "the last ones are [L] for bits and [L, K] for classes"
            )
        object.__setattr__(self, "logits", self.logits.detach())

    @property
    def event_dims(self) -> int:
        """Trailing dimensions of one x: 1 for bits, 2 for classes."""
        return 1 if self.kind == "bernoulli" else 2

    @property
    def batch(self) -> torch.Size:
        """Shape of f for one sample."""
        return self.logits.shape[: -self.event_dims]

    @property
    def mean(self) -> Tensor:
        """E x: the probability of each bit or class, `[*logits.shape]`."""
        return self.softened(1.0)

    def softened(self, temperature: float) -> Tensor:
        """`sigmoid(l / temperature)`, or the softmax of it over the classes."""
        return self.relax(torch.zeros_like(self.logits), temperature)

    def relax(self, perturbation: Tensor, temperature: float) -> Tensor:
        """Concrete sample: sigmoid or softmax of `(l + perturbation) / temperature`."""
        scaled = (self.logits + perturbation) / temperature
        return torch.sigmoid(scaled) if self.kind == "bernoulli" else torch.softmax(scaled, dim=-1)

    def perturb(self, noise: Noise, *leading: int) -> Tensor:
        """The noise under which the largest perturbed logit is a sample: logistic for bits, Gumbel for classes.

        Two-class logits (theta, 0) with Gumbel noise and a bit with logistic noise are the same in law.
        """
        draw = noise.logistic if self.kind == "bernoulli" else noise.gumbel
        return draw(*leading, *self.logits.shape)

    def harden(self, perturbation: Tensor) -> Tensor:
        """The vertex of the largest perturbed logit, in the logits' dtype."""
        perturbed = self.logits + perturbation
        if self.kind == "bernoulli":
            return (perturbed > 0).to(self.logits.dtype)
        return functional.one_hot(perturbed.argmax(-1), self.logits.shape[-1]).to(self.logits.dtype)

    def sample(self, noise: Noise, *leading: int) -> Tensor:
        """Draws `[*leading, *logits.shape]` of x, exactly on the vertices."""
        if self.kind == "bernoulli":
            return (noise.uniform(*leading, *self.logits.shape) < self.mean).to(self.logits.dtype)
        return self.harden(self.perturb(noise, *leading))

    def jacobian(self, q: Tensor, cotangent: Tensor) -> Tensor:
        """J(q) times a cotangent: `q (1 - q)` for bits, `diag(q) - q q^T` for classes."""
        if self.kind == "bernoulli":
            return q * (1 - q) * cotangent
        return q * (cotangent - (q * cotangent).sum(-1, keepdim=True))

    def expand(self, value: Tensor) -> Tensor:
        """Append the event's dimensions to a value `[R, *batch]`."""
        return value.reshape(*value.shape, *(1,) * self.event_dims)


@dataclass(frozen=True, kw_only=True, eq=False)
class Enumeration:
    """f as a sum over independent blocks of consecutive variables, tabulated at every state of a block.

    With one block this is the plain table of f; 200 separable bits are 200 blocks of two states.

    Args:
        states: `[M, size]` for bits, `[M, size, K]` one-hot for classes: every state of a block of `size` variables.
        values: `[M, *batch, L / size]`: the block's share of f at each of its states, on f's graph.
    """

    states: Tensor
    values: Tensor


class Objective(Protocol):
    """f, which counts itself. `S` samples are S `evaluations`, whatever the batch."""

    def value(self, x: Tensor) -> Tensor:
        """The value of f at `x [S, *batch, L(, K)]`, giving `[S, *batch]` on the graph of f's own parameters."""
        ...

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Value of f and its gradient with respect to x, row by row; counts S `backwards` as well.

        Raises:
            ValueError: f is a black box.
        """
        ...

    def enumerate(self) -> Enumeration:
        """The table of f; counts as many evaluations as there are states.

        Raises:
            ValueError: there are too many states.
        """
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class GradSample:
    """R independent repeats of an estimator.

    Args:
        gradient: `[R, *logits.shape]`, without a graph.
        value: `[R, *batch]`, f as the method saw it, on f's graph: a decoder learns from it.
    """

    gradient: Tensor
    value: Tensor

    def surrogate(self, logits: Tensor) -> Tensor:
        """`[R, *batch]`: equal to `value`, with `gradient` as its gradient with respect to `logits`.

        Backpropagating its mean trains whatever made the logits and whatever is inside f in one pass.
        """
        events = self.gradient.dim() - self.value.dim()
        path = (logits - logits.detach()) * self.gradient
        return self.value + path.flatten(-events).sum(-1)


class GradientMethod(Protocol):
    """A frozen dataclass whose fields are its hyper-parameters; nothing of ours need be imported to write one."""

    def estimate(
        self,
        distribution: Distribution,
        objective: Objective,
        noise: Noise,
        repeats: int,
        state: object = None,
    ) -> GradSample:
        """`repeats` independent estimates of the gradient of E f with respect to the logits."""
        ...


class DeterministicMethod(GradientMethod, Protocol):
    """A method whose repeats are copies of one result: it is measured one call at a time, or a draw would look free."""

    deterministic: ClassVar[bool]


class AdaptiveMethod(GradientMethod, Protocol):
    """A method with learned state, which is explicit and frozen while it is measured.

    `warmup` calls of `adapt` prepare the state for a measurement; in training it adapts after every step.
    """

    warmup: int

    def init(self, distribution: Distribution) -> object:
        """State before the first sample."""
        ...

    def adapt(self, state: object, sample: GradSample) -> object:
        """State after a sample that was made with `state`."""
        ...
