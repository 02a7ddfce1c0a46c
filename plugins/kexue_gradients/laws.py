"""The distributions of x: bits, classes, normal and gamma variables."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, reduce
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from kexue_bench.lab import precision
from kexue_bench.lab.precision import seen, working

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

Kind = Literal["bernoulli", "categorical"]

_LOST = 1e-3  # a share of a gamma variable's distribution that may round to zero
_IMPOSSIBLE = 1e9  # a logit as good as infinite whose differences and multiples are numbers


def below(u: Tensor, threshold: Tensor) -> Tensor:
    """`1[u < threshold]`, `[*u.shape]` in the dtype of the threshold; neither may need a gradient.

    In one pass, because a pass over booleans and a cast together cost a third of the draw itself.
    """
    try:
        return torch.lt(u, threshold, out=torch.empty_like(u, dtype=threshold.dtype))
    except RuntimeError:  # torch.func.vmap has no `out`
        return torch.lt(u, threshold).to(threshold.dtype)


def finite(logits: Tensor) -> Tensor:
    """Logits with 1e9 for infinity and -1e9 for -infinity (a mask), whose softmax and sigmoid are the same.

    Half precision becomes float32, because float16 has no 1e9.
    """
    dtype = working(logits.dtype)
    logits = logits if dtype == logits.dtype else logits.to(dtype)
    if precision.finite(logits):
        return logits
    return logits.nan_to_num(nan=torch.nan, posinf=_IMPOSSIBLE, neginf=-_IMPOSSIBLE)


def in_dtype(noise: Noise, dtype: torch.dtype) -> Noise:
    """The stream with floating draws in this dtype; what stands in for a stream and has draws alone stays as it is."""
    cast = getattr(noise, "cast", None)
    return noise if cast is None else cast(dtype)


def _hold(law: object, *names: str) -> None:
    """Keep these parameters, and the context, off their graphs and in one dtype: float32, or float64 if one has it."""
    dtype = working(reduce(torch.promote_types, (getattr(law, name).dtype for name in names)))
    for name in (*names, "context"):
        value = getattr(law, name)
        if value is not None:
            value = value.detach()
            object.__setattr__(law, name, value if value.dtype == dtype else value.to(dtype))


@cache
def _least_shape(dtype: torch.dtype) -> float:
    """The shape of a gamma variable whose mass below the smallest normal number is `_LOST`: P(x < t) is about t^a."""
    return math.log(_LOST) / math.log(torch.finfo(dtype).smallest_normal)


def _below_smallest(shape: Tensor) -> float:
    """The largest share of a gamma variable that lies below the smallest normal number."""
    a = shape.min().double()
    return float(torch.finfo(shape.dtype).smallest_normal ** a / torch.lgamma(a + 1).exp())


class Law(Protocol):
    """The distribution of x, as far as a method for any distribution needs it."""

    @property
    def parameters(self) -> Tensor:
        """What gradients are taken with respect to, `[*batch, ...]`."""
        ...

    @property
    def batch(self) -> torch.Size:
        """Shape of f for one sample."""
        ...

    @property
    def context(self) -> Tensor | None:
        """What x was conditioned on, `[*batch, C]`, for baselines that depend on it; None if there is nothing."""
        ...

    @property
    def event_dims(self) -> int:
        """Trailing dimensions of one x: 2 for classes, 1 for all others."""
        ...

    def sample(self, noise: Noise, *leading: int) -> Tensor:
        """Draws of x, `[*leading, *batch, L(, K)]`."""
        ...

    def score(self, x: Tensor) -> Tensor:
        """Gradient of the log density at x with respect to the parameters, `[*leading, *parameters.shape]`."""
        ...

    def expand(self, value: Tensor) -> Tensor:
        """A value `[*leading, *batch]` with dimensions of size 1 appended, to be multiplied with a gradient."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Distribution:
    """Independent bits or classes.

    Args:
        kind: `bernoulli` (logit of the bit being 1) or `categorical` (softmax over the last dimension).
        logits: `[*batch, L]` or `[*batch, L, K]`; kept detached from its graph, and never written to. Half precision is
            held in float32, in which everything is computed then, and infinite logits as 1e9 or -1e9.
        context: what the logits were computed from, `[*batch, C]`, detached; None if there is nothing.
    """

    kind: Kind
    logits: Tensor
    context: Tensor | None = None

    def __post_init__(self) -> None:
        events = {"bernoulli": 1, "categorical": 2}
        if self.kind not in events:
            raise ValueError(f"kind must be bernoulli or categorical, got {self.kind!r}")
        if self.logits.dim() < events[self.kind]:
            raise ValueError(
                f"{self.kind} logits need at least {events[self.kind]} dimensions, got {self.logits.dim()}; "
                "the last ones are [L] for bits and [L, K] for classes"
            )
        _hold(self, "logits")
        object.__setattr__(self, "logits", finite(self.logits))

    @property
    def parameters(self) -> Tensor:
        """The logits."""
        return self.logits

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
        return self._squashed(self.logits)

    def softened(self, temperature: float) -> Tensor:
        """`sigmoid(l / temperature)`, or the softmax of it over the classes."""
        return self._squashed(self.logits / temperature)

    def relax(self, perturbation: Tensor, temperature: float) -> Tensor:
        """Concrete sample: sigmoid or softmax of `(l + perturbation) / temperature`."""
        return self._squashed((self.logits + perturbation) / temperature)

    def _squashed(self, scores: Tensor) -> Tensor:
        return torch.sigmoid(scores) if self.kind == "bernoulli" else torch.softmax(scores, dim=-1)

    def perturb(self, noise: Noise, *leading: int) -> Tensor:
        """The noise under which the largest perturbed logit is a sample: logistic for bits, Gumbel for classes.

        Two-class logits (theta, 0) with Gumbel noise and a bit with logistic noise are equal in distribution.
        """
        noise = in_dtype(noise, self.logits.dtype)
        draw = noise.logistic if self.kind == "bernoulli" else noise.gumbel
        return draw(*leading, *self.logits.shape)

    def harden(self, perturbation: Tensor) -> Tensor:
        """The vertex of the largest perturbed logit, in the logits' dtype."""
        return self.vertex(self.logits + perturbation)

    def vertex(self, scores: Tensor) -> Tensor:
        """The vertex x with the largest `<x, scores>`, `[*leading, *logits.shape]`: the most likely x under them."""
        if self.kind == "bernoulli":
            return scores.detach().sign().clamp_min(0).to(self.logits.dtype)
        return functional.one_hot(scores.argmax(-1), self.logits.shape[-1]).to(self.logits.dtype)

    def sample(self, noise: Noise, *leading: int) -> Tensor:
        """Draws `[*leading, *logits.shape]` of x, exactly on the vertices."""
        if self.kind == "bernoulli":
            return below(in_dtype(noise, self.logits.dtype).uniform(*leading, *self.logits.shape), self.mean)
        return self.harden(self.perturb(noise, *leading))

    def score(self, x: Tensor) -> Tensor:
        """`x - E x`."""
        return x - self.mean

    def tempered(self, temperature: float) -> Distribution:
        """The distribution with logits `l / temperature`."""
        return replace(self, logits=self.logits / temperature)

    def jacobian(self, q: Tensor, cotangent: Tensor) -> Tensor:
        """J(q) times a cotangent: `q (1 - q)` for bits, `diag(q) - q q^T` for classes."""
        if self.kind == "bernoulli":
            return q * (1 - q) * cotangent
        return q * (cotangent - (q * cotangent).sum(-1, keepdim=True))

    def expand(self, value: Tensor) -> Tensor:
        """Append the event's dimensions to a value `[R, *batch]`."""
        return value.reshape(*value.shape, *(1,) * self.event_dims)


@dataclass(frozen=True, kw_only=True, eq=False)
class Gaussian:
    """Independent normal variables, with gradients with respect to mu and sigma themselves.

    Args:
        mu: means, `[*batch, L]`.
        sigma: standard deviations, `[*batch, L]`, positive.
        context: as in `Distribution`.
    """

    mu: Tensor
    sigma: Tensor
    context: Tensor | None = None

    def __post_init__(self) -> None:
        if self.mu.shape != self.sigma.shape or not self.mu.dim():
            raise ValueError(
                f"mu and sigma need one shape [*batch, L], got {tuple(self.mu.shape)} and {tuple(self.sigma.shape)}"
            )
        _hold(self, "mu", "sigma")

    @property
    def event_dims(self) -> int:
        """Trailing dimensions of one x."""
        return 1

    @property
    def parameters(self) -> Tensor:
        """`[*batch, L, 2]`: mu, then sigma."""
        return torch.stack([self.mu, self.sigma], dim=-1)

    @property
    def batch(self) -> torch.Size:
        """Shape of f for one sample."""
        return self.mu.shape[:-1]

    def sample(self, noise: Noise, *leading: int) -> Tensor:
        """Draws `[*leading, *batch, L]`."""
        return self.mu + self.sigma * in_dtype(noise, self.mu.dtype).normal(*leading, *self.mu.shape)

    def score(self, x: Tensor) -> Tensor:
        """`(e / sigma, (e^2 - 1) / sigma)` for `e = (x - mu) / sigma`, `[*leading, *batch, L, 2]`."""
        e = (x - self.mu) / self.sigma
        return torch.stack([e, e.square() - 1], dim=-1) / self.sigma.unsqueeze(-1)

    def expand(self, value: Tensor) -> Tensor:
        """Append the dimensions of variable and parameter to a value `[*leading, *batch]`."""
        return value.reshape(*value.shape, 1, 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Gamma:
    """Independent gamma variables of rate 1.

    Args:
        shape: shape parameters, `[*batch, L]`, positive; at least 0.079 in float32 and 0.0098 in float64, below which
            a thousandth of the distribution has no number of that dtype: draws of 0 have no logarithm and no score.
        context: as in `Distribution`.

    Raises:
        ValueError: a shape is too small for the dtype.
    """

    shape: Tensor
    context: Tensor | None = None

    def __post_init__(self) -> None:
        if not self.shape.dim():
            raise ValueError("shape needs at least one dimension, [*batch, L], got a scalar")
        _hold(self, "shape")
        least = _least_shape(self.shape.dtype)
        if self.shape.numel() and seen(self.shape.min(), lambda low: low < least, otherwise=False):
            raise ValueError(
                f"shape must be >= {least:.2g} in {self.shape.dtype}, got {float(self.shape.min()):.4g}: "
                f"{_below_smallest(self.shape):.2g} of the distribution is below the smallest number of that dtype; "
                "use float64, or log-gamma variables in a plugin"
            )

    @property
    def event_dims(self) -> int:
        """Trailing dimensions of one x."""
        return 1

    @property
    def parameters(self) -> Tensor:
        """The shape parameters."""
        return self.shape

    @property
    def batch(self) -> torch.Size:
        """Shape of f for one sample."""
        return self.shape.shape[:-1]

    def sample(self, noise: Noise, *leading: int) -> Tensor:
        """Draws `[*leading, *batch, L]`; a rejection sampler, so the noise must be of one stream."""
        shapes = self.shape.expand(*leading, *self.shape.shape).contiguous()
        # torch.distributions draws from the same function, but from the global generator only.
        draw = torch._standard_gamma  # noqa: SLF001  # pyright: ignore[reportPrivateImportUsage]  # see above
        return draw(shapes, generator=noise.generator)

    def score(self, x: Tensor) -> Tensor:
        """`log x - digamma(shape)`."""
        return x.log() - torch.digamma(self.shape)

    def expand(self, value: Tensor) -> Tensor:
        """Append the dimension of the variables to a value `[*leading, *batch]`."""
        return value.unsqueeze(-1)
