"""What a gradient estimator is given and what it returns.

The problem: E f(x) for x drawn from a distribution with parameters: the logits of bits or classes, mean and standard
deviation of a normal, the shape of a gamma. The answer: independent estimates of its gradient with respect to
`law.parameters`, `[R, *parameters.shape]`, in one call and without a Python loop over samples. A method works off the
graph of the parameters; it reaches f only through an `Objective`, which counts its calls. What only a few methods need
is declared here too: what x was conditioned on (`context`), the most likely vertex (`Distribution.vertex`), derivatives
of derivatives (`Objective.value_and_gradient(graph=True)`), the importance weights of a bound over several samples
(`MultiSampleObjective`), learned state (`AdaptiveMethod`) and a method's own target distribution (`TemperedMethod`).

Shapes: logits are `[*batch, L]` for bits and `[*batch, L, K]` for K classes; samples carry one leading dimension S. By
convention the last batch dimension is the minibatch; those before it are independent problems (stacked replicates), so
learned state averages over the last one only. Noise is requested in shapes `[*leading, *batch, L(, K)]`, so that a
stack of streams lies along the same negative axis for every method.

Logits that are shared, or computed by a network, are handled by the task: gradients are linear in the gradient of the
logits, so a task contracts the estimates with the derivative of the logits (`shared-bits` does).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from torch import Tensor

from .laws import Distribution, Gamma, Gaussian, Law, finite

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

__all__ = [
    "AdaptiveMethod",
    "DeterministicMethod",
    "Distribution",
    "Enumeration",
    "Gamma",
    "Gaussian",
    "GradSample",
    "GradientMethod",
    "Law",
    "MultiSampleObjective",
    "Objective",
    "TemperedMethod",
]


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
    """f with a count of its evaluations. `S` samples are S `evaluations`, whatever the batch."""

    def value(self, x: Tensor) -> Tensor:
        """The value of f at `x [S, *batch, L(, K)]`, giving `[S, *batch]` on the graph of f's own parameters."""
        ...

    def value_and_gradient(self, x: Tensor, *, graph: bool = False) -> tuple[Tensor, Tensor]:
        """Value of f and its gradient with respect to x, row by row; counts S `backwards` as well.

        Args:
            x: `[S, *batch, L(, K)]`.
            graph: keep both on the graph of x, for a method that learns parameters of x; x then needs a graph.

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


class MultiSampleObjective(Protocol):
    """A bound over n samples instead of a mean of f: `E log 1/n sum_i w(x_i)`, the log-mean-exp of log-weights.

    The bound, and so its gradient, differs for every n; n belongs to the problem.
    """

    samples: int
    """n, the number of samples of one bound."""

    def log_weights(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`log w` at `x [S, *batch, L(, K)]`, and its gradient with respect to the parameters at fixed x.

        Returns:
            Log-weights `[S, *batch]`, and their gradient at fixed x, `[S, *parameters.shape]`; counts S evaluations.
        """
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class GradSample:
    """R independent repeats of an estimator.

    Args:
        gradient: `[R, *parameters.shape]`, without a graph.
        value: `[R, *batch]`, f as the method saw it, on f's graph: a decoder learns from it.
    """

    gradient: Tensor
    value: Tensor

    def __post_init__(self) -> None:
        rows, shape = self.value.shape, self.gradient.shape
        if len(shape) <= len(rows) or shape[: len(rows)] != rows:
            raise ValueError(
                f"values need the shape [R, *batch] of gradients {list(shape)}, got {list(rows)}; "
                "let f return one number for each row of x"
            )

    def surrogate(self, parameters: Tensor) -> Tensor:
        """`[R, *batch]`: equal to `value`, with `gradient` as its gradient with respect to `parameters`.

        Backpropagating its mean trains whatever computes the parameters (the logits) and whatever is inside f in one
        pass.
        """
        events = self.gradient.dim() - self.value.dim()
        # Infinite parameters (masks) have no difference; `finite` is what the law took them for.
        parameters = finite(parameters)
        path = (parameters - parameters.detach()) * self.gradient
        return self.value + path.flatten(-events).sum(-1)


class GradientMethod(Protocol):
    """A frozen dataclass whose fields are its hyper-parameters; writing one needs no import of ours.

    The distributions it accepts are declared as `needs`: `bernoulli`, `categorical`, `discrete` for either, `gaussian`,
    `gamma`.
    """

    def estimate(
        self,
        distribution: Any,
        objective: Any,
        noise: Noise,
        repeats: int,
        state: Any = None,
    ) -> GradSample:
        """`repeats` independent estimates of the gradient of E f with respect to the parameters.

        Args:
            distribution: a `Law`.
            objective: an `Objective`, or a `MultiSampleObjective` for a method that needs `multi-sample`.
            noise: the only source of randomness.
            repeats: R.
            state: learned state; None for a method that learns nothing, or before it has learned anything.
        """
        ...


class DeterministicMethod(GradientMethod, Protocol):
    """A method whose repeats are copies of one result; measured one call at a time, or a draw would look free."""

    deterministic: ClassVar[bool]


class AdaptiveMethod(GradientMethod, Protocol):
    """A method with learned state, which is explicit and frozen while it is measured.

    `warmup` calls of `adapt` prepare the state for a measurement, each with `warmup_batch` repeats if the method has
    that field, as a method that learns by descent should; in training every step is such a call, without a warm-up. The
    state consists of tensors in containers of any kind, and is never written to.
    """

    warmup: int

    def init(self, distribution: Any, noise: Noise) -> Any:
        """State before the first sample.

        Random weights are drawn in shapes `[*batch[:-1], ...]`, one set for each independent problem; when stacked
        replicates are trained, this noise is stacked along the first axis.
        """
        ...

    def adapt(
        self,
        distribution: Any,
        objective: Any,
        noise: Noise,
        repeats: int,
        state: Any,
    ) -> tuple[GradSample, Any]:
        """The result of `estimate` with this state and noise, and the state after it.

        One call does both, so that learning may use whatever the estimate has computed and costs no extra draw.
        """
        ...


class TemperedMethod(GradientMethod, Protocol):
    """A method whose samples come from `softmax(l / target_temperature)`.

    Its bias is measured against the gradient, with respect to l, of E f under that distribution.
    """

    @property
    def target_temperature(self) -> float:
        """Temperature of the distribution that the method samples from, > 0."""
        ...
