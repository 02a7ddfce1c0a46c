"""Adapters that make a gradient method of a sampler, a rule for one sample or a surrogate loss."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from kexue_bench.lab.noise import Noise as SeededNoise

from .contract import Distribution, GradSample, Law, Objective
from .laws import in_dtype

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

Sampler = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True, kw_only=True)
class _SamplerMethod:
    """A differentiable sampler as a gradient method; see `from_sampler`."""

    sampler: Sampler
    temperature: float

    def estimate(
        self,
        distribution: Distribution,
        objective: Objective,
        noise: Noise,
        repeats: int,
        state: object = None,
    ) -> GradSample:
        """One sample, one evaluation and one backward pass per repeat."""
        logits = distribution.logits
        bits = distribution.kind == "bernoulli"
        with torch.enable_grad():
            # Each repeat has its own copy of the logits, so one backward pass gives the gradient of each.
            repeated = logits.expand(repeats, *logits.shape).clone().requires_grad_()
            classes = torch.stack([repeated, torch.zeros_like(repeated)], dim=-1) if bits else repeated
            with _lent_global_rng(noise, logits):
                sample = self.sampler(classes, self.temperature)
            if sample.shape != classes.shape:
                raise ValueError(
                    f"a sampler must return the shape of its logits {tuple(classes.shape)}, got {tuple(sample.shape)}"
                )
            x = sample[..., 0] if bits else sample
        value, cotangent = objective.value_and_gradient(x)
        (gradient,) = torch.autograd.grad(x, repeated, cotangent)
        return GradSample(gradient=gradient, value=value)


def from_sampler(sampler: Sampler, *, temperature: float) -> _SamplerMethod:
    """Wrap a sampler in the style of `torch.nn.functional.gumbel_softmax` as a gradient method.

    The logits are expanded to `[R, *logits.shape]`, sampled in one call and differentiated in one backward pass. Bits
    are passed as two classes with logits (l, 0), and f sees the first of them. A sampler draws from torch's global
    generator, which is seeded from the method's noise and restored afterwards. In a stack of replicates the first
    replicate's noise seeds all of them, so a stack does not equal its single replicates.

    Args:
        sampler: `sampler(logits, temperature)`, logits `[..., K]`, giving a sample of the same shape whose backward
            pass is the estimator.
        temperature: passed to the sampler.

    Raises:
        ValueError: at the first estimate, if the sampler returns another shape.

    Examples:
        >>> import torch
        >>> from torch.nn import functional
        >>> method = from_sampler(lambda l, tau: functional.gumbel_softmax(l, tau, hard=True), temperature=1.0)
        >>> method.temperature
        1.0
    """
    return _SamplerMethod(sampler=sampler, temperature=temperature)


@contextmanager
def _lent_global_rng(noise: Noise, logits: Tensor) -> Iterator[None]:
    """Seed torch's global generators from `noise` within the block; their state is restored on exit."""
    draw = in_dtype(noise, logits.dtype).uniform(*logits.shape).flatten()[:16].to("cpu", torch.float64)
    seed = int.from_bytes(hashlib.sha256(draw.numpy().tobytes()).digest(), "little")
    devices = [logits.device] if logits.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.set_rng_state(SeededNoise.seeded(seed).twister())
        for device in devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed % 2**63)
        yield


# -- a rule for one sample --------------------------------------------------------------------------------------------


class SampleObjective(Protocol):
    """f as a rule for one sample sees it."""

    def __call__(self, x: Tensor) -> Tensor:
        """The value of f at one x `[*batch, L(, K)]`, giving `[*batch]`; one evaluation."""
        ...

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The value, and the gradient of f with respect to x; one evaluation and one backward pass."""
        ...


Rule = Callable[[Any, SampleObjective, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class _PerSample:
    """A rule for one sample as a gradient method; see `from_per_sample`."""

    rule: Rule
    draws: int
    batched: dict[torch.Size, bool] = field(default_factory=dict, compare=False)

    def estimate(
        self,
        distribution: Law,
        objective: Objective,
        noise: Noise,
        repeats: int,
        state: object = None,
    ) -> GradSample:
        """All repeats in one call if the rule can be batched, one after the other otherwise."""
        shape = distribution.parameters.shape
        u = in_dtype(noise, distribution.parameters.dtype).uniform(
            repeats, self.draws, *distribution.batch, *_event(distribution)
        )
        if shape not in self.batched:
            self.batched[shape] = self._can_be_batched(distribution, u[:2])
        if self.batched[shape]:
            f = _Batched(objective)
            gradient = torch.func.vmap(lambda one: self.rule(distribution, f, one))(u)
            value = torch.stack(f.values).mean(0)
        else:
            results, values = [], []
            for one in u:
                single = _Single(objective)
                results.append(self.rule(distribution, single, one))
                values.append(torch.stack(single.values).mean(0))
            gradient, value = torch.stack(results), torch.stack(values)
        if gradient.shape != (repeats, *shape):
            raise ValueError(
                f"the rule must return the shape of the parameters {tuple(shape)}, got {tuple(gradient.shape[1:])}"
            )
        return GradSample(gradient=gradient.detach(), value=value)

    def _can_be_batched(self, distribution: Law, u: Tensor) -> bool:
        """Whether `vmap` accepts the rule; tried with f = 0, so that no evaluation is spent or counted."""
        blank = _Batched(_Blank(distribution.batch))
        try:
            torch.func.vmap(lambda one: self.rule(distribution, blank, one))(u)
        except RuntimeError:
            return False
        return True


def from_per_sample(rule: Rule, *, draws: int = 1) -> _PerSample:
    """Wrap a rule for ONE sample as a gradient method; all repeats run in one call of `torch.func.vmap`.

    A rule that `vmap` cannot batch (a branch on a value, `.item()`, an operator without a batching rule) runs in a
    Python loop over the repeats instead, with the same numbers, about a hundred times slower; this is decided once for
    each shape. Evaluations are counted alike in both.

    Args:
        rule: `rule(distribution, f, u)` gives the gradient `[*parameters.shape]` of one sample. `u` is uniform on
            (0, 1), `[draws, *batch, L(, K)]`; `f(x)` is f at one x, `f.value_and_gradient(x)` its gradient as well.
        draws: draws of noise that one sample needs.

    Raises:
        ValueError: draws is below 1; at the first estimate, if the rule returns another shape.

    Examples:
        REINFORCE with the value at the flipped sample as control, written for one sample:

        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective, from_per_sample
        >>> def antithetic(distribution, f, u):
        ...     p = distribution.mean
        ...     x, y = (u[0] < p).to(p.dtype), (1 - u[0] < p).to(p.dtype)
        ...     return (f(x) - f(y)) / 2 * ((x - p) - (y - p))
        >>> objective = FunctionObjective(lambda x: (x - 0.45).square().mean(-1))
        >>> bits = Distribution(kind="bernoulli", logits=torch.zeros(200))
        >>> from_per_sample(antithetic).estimate(bits, objective, Noise.seeded(0), 1024).gradient.shape
        torch.Size([1024, 200])
    """
    if draws < 1:
        raise ValueError(f"draws must be >= 1, got {draws}")
    return _PerSample(rule=rule, draws=draws)


class _Single:
    """f for one sample at a time."""

    def __init__(self, objective: Any) -> None:
        self.objective, self.values = objective, []

    def __call__(self, x: Tensor) -> Tensor:
        self.values.append(self.objective.value(x.unsqueeze(0)).squeeze(0))
        return self.values[-1].detach()

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = self.objective.value_and_gradient(x.unsqueeze(0))
        self.values.append(value.squeeze(0))
        return self.values[-1].detach(), gradient.squeeze(0)


class _Batched:
    """f inside `vmap`: evaluated for all samples at once outside of it, so that it counts and keeps its graph."""

    def __init__(self, objective: Any) -> None:
        self.objective, self.values = objective, []

    def __call__(self, x: Tensor) -> Tensor:
        return _Ask.apply(self, x, False)[0]

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return _Ask.apply(self, x, True)

    def ask(self, x: Tensor, gradient: bool) -> tuple[Tensor, Tensor]:
        """Value and gradient of f at `x [R, ...]`; without `gradient` the second result is empty."""
        if gradient:
            value, slope = self.objective.value_and_gradient(x)
        else:
            value, slope = self.objective.value(x), x.new_empty(len(x), 0)
        self.values.append(value)
        return value.detach(), slope


class _Ask(torch.autograd.Function):
    """An operator whose batching rule is f itself."""

    @staticmethod
    def forward(f: _Batched, x: Tensor, gradient: bool) -> tuple[Tensor, Tensor]:
        # Reached only if x is the same for every sample: one row stands for all.
        value, slope = f.ask(x.unsqueeze(0), gradient)
        return value.squeeze(0), slope.squeeze(0)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is saved: a rule sees values of f as constants; its gradient comes from `value_and_gradient`."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        f, x, gradient = args
        return f.ask(x.movedim(in_dims[1], 0), gradient), (0, 0)


class _Blank:
    """An f that is zero and counts nothing."""

    def __init__(self, batch: torch.Size) -> None:
        self.batch = batch

    def value(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x), *self.batch)

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.value(x), torch.zeros_like(x)


def _event(law: Law) -> tuple[int, ...]:
    """Trailing dimensions of one x."""
    if isinstance(law, Distribution):
        return tuple(law.logits.shape[len(law.batch) :])
    return (law.parameters.shape[len(law.batch)],)


# -- a surrogate loss -------------------------------------------------------------------------------------------------

SurrogateRule = Callable[[Tensor, Callable[[Tensor], Tensor], "Noise"], Tensor]


@dataclass(frozen=True, kw_only=True)
class _Surrogate:
    """A surrogate loss as a gradient method; see `from_surrogate`."""

    rule: SurrogateRule

    def estimate(
        self,
        distribution: Law,
        objective: Objective,
        noise: Noise,
        repeats: int,
        state: object = None,
    ) -> GradSample:
        """One backward pass through the surrogate of all repeats."""
        parameters, training = distribution.parameters, torch.is_grad_enabled()
        values: list[Tensor] = []

        def f(x: Tensor) -> Tensor:
            if not x.requires_grad:
                values.append(objective.value(x))
                return values[-1].detach()
            value, slope = objective.value_and_gradient(x)
            values.append(value)
            path = ((x - x.detach()) * slope).flatten(len(value.shape)).sum(-1)
            return value.detach() + path

        with torch.enable_grad():
            # Each repeat has its own copy of the parameters, so one backward pass gives the gradient of each.
            repeated = parameters.expand(repeats, *parameters.shape).clone().requires_grad_()
            loss = self.rule(repeated, f, noise)
            if loss.shape[:1] != (repeats,):
                raise ValueError(
                    f"a surrogate must return a loss per repeat, [{repeats}, ...], got {tuple(loss.shape)}"
                )
            (gradient,) = torch.autograd.grad(loss.sum(), repeated)
        value = torch.stack([v.unflatten(0, (repeats, -1)).mean(1) for v in values]).mean(0)
        return GradSample(gradient=gradient, value=value if training else value.detach())


def from_surrogate(rule: SurrogateRule) -> _Surrogate:
    """Wrap a surrogate loss, whose gradient with respect to the logits is the estimator, as a gradient method.

    If x is on the graph of the logits (a relaxed sample), values of f carry their gradient with respect to x, which
    counts as a backward pass; otherwise they are constants.

    Args:
        rule: `rule(logits, f, noise)` with logits `[R, *logits.shape]`, one copy per repeat, on the graph; it draws
            from `noise` in shapes `[R, *logits.shape]`, evaluates `f(x)` at `x [R * n, *batch, L(, K)]`, rows of one
            repeat adjacent, and returns `[R, *batch]` (or anything with one leading R that sums to it).

    Raises:
        ValueError: at the first estimate, if the repeats were summed.

    Examples:
        The score function, by the log-probability of a sample:

        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective, from_surrogate
        >>> def score(logits, f, noise):
        ...     x = (noise.uniform(*logits.shape) < torch.sigmoid(logits)).to(logits.dtype)
        ...     return f(x) * torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1)
        >>> objective = FunctionObjective(lambda x: (x - 0.45).square().mean(-1))
        >>> bits = Distribution(kind="bernoulli", logits=torch.zeros(3))
        >>> from_surrogate(score).estimate(bits, objective, Noise.seeded(0), 5).gradient.shape
        torch.Size([5, 3])
    """
    return _Surrogate(rule=rule)
