"""Mean and variance of one estimate without sampling error: a sum over every sample, or an integral over its noise.

Both work without the cooperation of a method. A method whose only randomness is `distribution.sample` is given every
sample (or tuple of samples) as its repeats. One that draws up to three numbers per repeat is given the nodes of a
quadrature of those numbers instead; the rule is split where a bit changes its value, and checked against a coarser one.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from scipy import special
from torch import Tensor

from kexue_bench.lab.noise import Noise
from kexue_bench.lab.problems import ExactMoments
from kexue_gradients.laws import Distribution, Gamma, Gaussian

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from kexue_gradients.contract import GradientMethod, GradSample, MultiSampleObjective, Objective
    from kexue_gradients.laws import Law

    Floats = NDArray[np.float64]

LARGEST = 2**22
"""Limit on the numbers in all gradients of an enumeration; beyond it nothing is enumerated."""
ONE_BY_ONE = 512
"""Most states that are enumerated one at a time, as they must be if the repeats of a batch depend on each other."""
AGREEMENT = 1e-3
"""A quadrature counts if a coarser one gives the same mean up to this share of its own length."""
_ROUNDING = 1e-9
NODES = {1: (81, 63), 2: (29, 23), 3: (17, 13)}
"""Numbers drawn per repeat -> nodes on every interval of the quadrature, and of the coarser one."""


def exact_moments(
    method: GradientMethod,
    law: Law,
    objective: Objective | MultiSampleObjective,
    state: object = None,
    *,
    contract: Callable[[Tensor], Tensor] | None = None,
) -> ExactMoments | None:
    """The moments of one estimate, by enumeration or else by quadrature.

    Args:
        method: the method; its learned state is frozen.
        law: the distribution of x.
        objective: f as the method sees it.
        state: the frozen state.
        contract: linear map from gradients to what varies, as in `frozen_problem`.

    Returns:
        None if the method draws what can be neither enumerated nor integrated, or too much of it, if the quadrature
        has not converged, or if a map may mix the elements of a batch, which are drawn independently.
    """
    if contract is not None and law.batch:
        return None
    case = _Case(method=method, law=law, objective=objective, state=state, contract=contract)
    return enumerated(case) or (None if law.batch else integrated(case))


def sampled_variance(moments: ExactMoments | None) -> float | None:
    """The variance, if it is known to exist: a quadrature that converges does not show that."""
    return None if moments is None or moments.error else moments.variance


def widened(state: Any) -> Any:
    """Learned state with every floating-point tensor in float64."""
    if isinstance(state, Tensor):
        return state.double() if state.is_floating_point() else state
    if isinstance(state, dict):
        return {name: widened(value) for name, value in cast("dict[str, Any]", state).items()}
    if isinstance(state, tuple):
        parts = [widened(part) for part in cast("tuple[Any, ...]", state)]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    if is_dataclass(state) and not isinstance(state, type):
        return replace(state, **{field.name: widened(getattr(state, field.name)) for field in fields(state)})
    return state


@dataclass(frozen=True, kw_only=True)
class _Case:
    """The arguments of `exact_moments`."""

    method: GradientMethod
    law: Law
    objective: Objective | MultiSampleObjective
    state: object
    contract: Callable[[Tensor], Tensor] | None

    def gradient(self, law: Law, noise: object, repeats: int) -> Tensor:
        """Estimates `[repeats, ...]` from a distribution and noise that deal out what is asked for."""
        sample: GradSample = self.method.estimate(
            cast("Any", law), cast("Any", self.objective), cast("Noise", noise), repeats, self.state
        )
        return sample.gradient if self.contract is None else self.contract(sample.gradient)


class _CannotDealError(Exception):
    """The method asks for another number of samples per repeat; 0 if it asks for what cannot be dealt."""

    def __init__(self, draws: int = 0) -> None:
        super().__init__(draws)
        self.draws = draws


# -- a sum over states ------------------------------------------------------------------------------------------------


def enumerated(case: _Case) -> ExactMoments | None:
    """The sum over every sample x, or tuple of samples, that an estimate may depend on.

    Returns:
        None if the method draws anything else, or there are more than `LARGEST` numbers to compute. Repeats that depend
        on each other are enumerated one at a time, up to `ONE_BY_ONE` of them.
    """
    law = case.law
    if getattr(case.method, "deterministic", False):
        return _of_a_constant(case)
    if not isinstance(law, Distribution):
        return None
    classes = 2 if law.kind == "bernoulli" else law.logits.shape[-1]
    variables = law.logits.shape[len(law.batch)]
    draws, count = 1, classes**variables
    while count**draws * draws * law.logits.numel() <= LARGEST:
        x, weights = _tuples(law, classes, variables, draws)
        try:
            gradient = _dealt(case, law, x)
            few = _dealt(case, law, x[: max(1, len(x) // 2)])
            apart = torch.allclose(gradient[: len(few)], few, rtol=1e-4, equal_nan=True)
            if not apart and len(x) <= ONE_BY_ONE:
                gradient = torch.cat([_dealt(case, law, row) for row in x.split(1)])
            elif not apart:
                return None
        except _CannotDealError as error:
            if error.draws <= draws:
                return None
            draws = error.draws
            continue
        how = f"a sum over {len(x)} {'states' if draws == 1 else f'tuples of {draws} states'}"
        weights = weights.unsqueeze(-1) if case.contract is not None else law.expand(weights)
        return replace(_moments(gradient, weights, how=how), alone=not apart)
    return None


def _of_a_constant(case: _Case) -> ExactMoments | None:
    try:
        gradient = case.gradient(case.law, _NoNoise(), 1)
    except _CannotDealError:
        return None
    return ExactMoments(
        mean=gradient[0].detach().double().cpu(), variance=0.0, how="one call of a deterministic method"
    )


def _moments(gradient: Tensor, weights: Tensor, *, how: str) -> ExactMoments:
    """Weighted moments of gradients `[M, ...]`; weights broadcast against them."""
    values = gradient.detach().double()
    if not bool(torch.isfinite(values).all()):
        return ExactMoments(mean=values.new_full(values.shape[1:], torch.nan).cpu(), variance=math.inf, how=how)
    mean = (weights * values).sum(0)
    return ExactMoments(mean=mean.cpu(), variance=float((weights * (values - mean).square()).sum()), how=how)


class _NoNoise:
    """Placeholder for a stream that must not be drawn from."""

    def __getattr__(self, name: str) -> object:
        raise _CannotDealError


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
            raise _CannotDealError
        if draws != self.hand.shape[1]:
            raise _CannotDealError(draws)
        self.dealt.append(True)
        return self.hand.reshape(*leading, *self.logits.shape)


def _dealt(case: _Case, law: Distribution, x: Tensor) -> Tensor:
    dealer = _Dealer(kind=law.kind, logits=law.logits, context=law.context, hand=x, dealt=[])
    return case.gradient(dealer, _NoNoise(), len(x))


def _tuples(distribution: Distribution, classes: int, variables: int, draws: int) -> tuple[Tensor, Tensor]:
    """Every tuple of samples `[M, draws, *logits.shape]` and its probability `[M, *batch]`, float64."""
    logits = distribution.logits
    codes = torch.tensor(list(itertools.product(range(classes), repeat=variables)), device=logits.device)
    wide = replace(distribution, logits=logits.double())
    if distribution.kind == "bernoulli":
        states = codes.to(logits.dtype)
        signs = 2 * codes.double().reshape(-1, *(1,) * len(distribution.batch), variables) - 1
        # 1 - sigmoid(l) would lose the digits of a rare state.
        weights = torch.sigmoid(signs * wide.logits).prod(-1)
    else:
        states = torch.nn.functional.one_hot(codes, classes).to(logits.dtype)
        shaped = states.reshape(len(states), *(1,) * len(distribution.batch), variables, classes)
        weights = (shaped * wide.mean).sum(-1).prod(-1)
    events = states.shape[1:]
    full = states.reshape(len(states), *(1,) * len(distribution.batch), *events).expand(len(states), *logits.shape)
    index = torch.cartesian_prod(*[torch.arange(len(states), device=logits.device)] * draws).reshape(-1, draws)
    return full[index], weights[index].prod(1)


# -- an integral over noise -------------------------------------------------------------------------------------------


def integrated(case: _Case) -> ExactMoments | None:
    """The integral over up to three uniform numbers per repeat, from which all other noise is made.

    Returns:
        None if a repeat draws more numbers, or what is not made from uniforms, if the estimate is not finite at some
        node, or if a coarser rule disagrees.
    """
    if _variables(case.law) > max(NODES):
        return None
    try:
        sizes = _sizes(case)
        if not 0 < len(sizes) <= max(NODES):
            return None
        fine, coarse = (_quadrature(case, sizes, nodes) for nodes in NODES[len(sizes)])
    except _CannotDealError:
        return None
    gap, length = float((fine.mean - coarse.mean).norm()), float(fine.mean.norm())
    # A variance of 0 is known up to rounding.
    allowed = AGREEMENT * fine.variance + (_ROUNDING * length) ** 2
    if not gap <= AGREEMENT * length or not abs(fine.variance - coarse.variance) <= allowed:
        return None
    return replace(fine, error=max(gap, _ROUNDING * length))


def _quadrature(case: _Case, variables: tuple[int | None, ...], nodes: int) -> ExactMoments:
    """ExactMoments by a product rule with so many nodes on every interval of every number drawn."""
    axes = [_nodes(tuple(_breaks(case.law, variable)), nodes) for variable in variables]
    below, above, weights = (
        [grid.reshape(-1) for grid in np.meshgrid(*(axis[part] for axis in axes), indexing="ij")] for part in range(3)
    )
    hand = np.stack([np.stack(below, 1), np.stack(above, 1)])
    dealer = _NoiseDealer(hand, dtype=case.law.parameters.dtype, device=case.law.parameters.device)
    count = hand.shape[1]
    gradient = case.gradient(_with_dealt_gamma(case.law, dealer), dealer, count)
    share = torch.from_numpy(np.prod(np.stack(weights), 0)).to(gradient.device)
    if not bool(gradient.isfinite().all()):
        raise _CannotDealError
    found = _moments(gradient, share.reshape(-1, *(1,) * (gradient.dim() - 1)), how="")
    return replace(found, how=f"a quadrature with {count} nodes in {len(variables)} dimensions")


def _variables(law: Law) -> int:
    """Number of variables of x, each of which takes at least one number per repeat."""
    if isinstance(law, Distribution):
        return law.logits[..., 0].numel() if law.kind == "categorical" else law.logits.numel()
    return law.mu.numel() if isinstance(law, Gaussian) else law.parameters.numel()


def _breaks(law: Law, variable: int | None) -> Iterator[float]:
    """Where an estimate may jump in a uniform that decides about a bit: at its two probabilities."""
    yield 0.0
    if isinstance(law, Distribution) and law.kind == "bernoulli" and variable is not None:
        p = float(torch.sigmoid(law.logits.double())[variable])
        yield from sorted({p, 1 - p})
    yield 1.0


@cache
def _nodes(breaks: tuple[float, ...], count: int) -> tuple[Floats, Floats, Floats]:
    """Nodes u, their complements 1 - u without loss of digits, and weights of a tanh-sinh rule on every interval."""
    t = np.linspace(-3.0, 3.0, count)
    bend = np.pi / 2 * np.sinh(t)
    share, rest = special.expit(2 * bend), special.expit(-2 * bend)
    weight = np.cosh(t) * share * rest
    weight /= weight.sum()
    low, high = np.array(breaks[:-1]), np.array(breaks[1:])
    size = high - low
    u = (low + np.multiply.outer(share, size)).T.reshape(-1)
    v = ((1 - high) + np.multiply.outer(rest, size)).T.reshape(-1)
    return u, v, np.multiply.outer(size, weight).reshape(-1)


class _NoiseDealer:
    """Deals out the nodes of a quadrature as noise, one column for each number of a repeat.

    Args:
        hand: u and 1 - u at the nodes, `[2, R, numbers]`.
        dtype: dtype of what is dealt.
        device: and its device.
    """

    def __init__(self, hand: Floats, *, dtype: torch.dtype, device: torch.device) -> None:
        self._hand, self._next = hand, 0
        self.dtype, self.device = dtype, device

    def cast(self, dtype: torch.dtype) -> _NoiseDealer:
        """Itself: everything is dealt in one dtype."""
        del dtype
        return self

    def uniform(self, *shape: int) -> Tensor:
        """Nodes u, inside (0, 1)."""
        eps = float(torch.finfo(self.dtype).eps)
        return self._deal(shape, lambda u, v: np.clip(u, eps / 4, 1 - eps / 2))

    def logistic(self, *shape: int) -> Tensor:
        """Quantile log u - log(1 - u)."""
        return self._deal(shape, lambda u, v: np.log(u) - np.log(v))

    def exponential(self, *shape: int) -> Tensor:
        """Quantile -log(1 - u)."""
        return self._deal(shape, lambda u, v: -np.log(v))

    def gumbel(self, *shape: int) -> Tensor:
        """Quantile -log(-log u)."""
        return self._deal(shape, lambda u, v: -np.log(np.where(v < 0.5, -np.log1p(-v), -np.log(u))))

    def normal(self, *shape: int) -> Tensor:
        """The normal quantile of u."""
        return self._deal(shape, lambda u, v: np.where(u < 0.5, special.ndtri(u), -special.ndtri(v)))

    def gamma(self, shape: Tensor, *leading: int) -> Tensor:
        """The quantile of gamma variables of these shapes."""
        alpha = shape.double().cpu().numpy()
        return self._deal(
            (*leading, *shape.shape),
            lambda u, v: np.where(u < 0.5, special.gammaincinv(alpha, u), special.gammainccinv(alpha, v)),
        )

    def __getattr__(self, name: str) -> object:
        raise _CannotDealError

    def _deal(self, shape: tuple[int, ...], quantile: Callable[[Floats, Floats], Floats]) -> Tensor:
        repeats = self._hand.shape[1]
        size = math.prod(shape) // repeats
        end = self._next + size
        # Repeats come first, alone or merged with what follows them.
        if not shape or shape[0] % repeats or end > self._hand.shape[2]:
            raise _CannotDealError
        u, v = self._hand[:, :, self._next : end].reshape(2, *shape)
        self._next = end
        return torch.from_numpy(quantile(u, v)).to(self.device, self.dtype)


class _Listening(Noise):
    """A stream that notes the shape of everything drawn from it."""

    shapes: list[tuple[int, ...]]

    def _draw(self, shape: tuple[int, ...], fill: Any) -> Tensor:
        self.shapes.append(tuple(shape))
        return super()._draw(shape, fill)

    def cast(self, dtype: torch.dtype) -> Noise:
        """Itself: only shapes matter."""
        del dtype
        return self


_HEARD = 7
"""Repeats of the call that tells how much noise a repeat takes; a prime, so that it is found in a shape."""


def _sizes(case: _Case) -> tuple[int | None, ...]:
    """For every number that a repeat draws: which bit it may decide about, None if there are no bits."""
    law = case.law
    noise = _Listening((bytes(32),), dtype=law.parameters.dtype, device=law.parameters.device, axis=None)
    noise.shapes = []
    case.gradient(_with_dealt_gamma(law, noise), noise, _HEARD)
    found: list[int | None] = []
    for shape in noise.shapes:
        if not shape or shape[0] % _HEARD:
            raise _CannotDealError
        size = math.prod(shape) // _HEARD
        if len(found) + size > max(NODES):
            raise _CannotDealError
        bits = law.logits.shape[-1] if isinstance(law, Distribution) and law.kind == "bernoulli" else 0
        found.extend(index % bits if bits and shape[-1] == bits else None for index in range(size))
    return tuple(found)


@dataclass(frozen=True, kw_only=True, eq=False)
class _DealtGamma(Gamma):
    """Gamma variables whose samples are quantiles: their own sampler rejects, and cannot be dealt to."""

    dealer: Any

    def sample(self, noise: Noise, *leading: int) -> Tensor:
        """Quantiles of what the dealer deals; from a stream, quantiles of its uniforms."""
        del noise
        if isinstance(self.dealer, _NoiseDealer):
            return self.dealer.gamma(self.shape, *leading)
        return torch.ones_like(self.shape) + self.dealer.uniform(*leading, *self.shape.shape)


def _with_dealt_gamma(law: Law, dealer: object) -> Law:
    if not isinstance(law, Gamma):
        return law
    return _DealtGamma(**{field.name: getattr(law, field.name) for field in fields(law)}, dealer=dealer)
