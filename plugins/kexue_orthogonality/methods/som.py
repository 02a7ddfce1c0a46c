"""Self-orthogonality: angles between neurons, estimated from the signs of their responses to a batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from kexue_bench import Claimed, method
from kexue_bench.lab.precision import precise, raised

from ..contract import Alone, Session, Surroundings, Target, over_blocks
from ..targets import WeightTarget
from ..words import WEIGHTS, WITHOUT_WEIGHTS
from .penalty import cosines, off_diagonal, unit

ESTIMATORS = ("batch", "split", "whitened", "random", "exact")
_RIDGE = 1e-6


@method(
    "som",
    "angles estimated from the signs of the responses to a batch",
    needs="inputs",
    unless=WITHOUT_WEIGHTS,
    claims=(
        "gradient-matches-value",
        Claimed(name="left-invariant", when="estimator == 'exact'"),
        Claimed(name="scale-invariant", when="estimator == 'exact'"),
        Claimed(name="stationary-on-orthogonal", when="estimator == 'exact'"),
    ),
    knobs=(WEIGHTS,),
    references=("arXiv:2001.01275",),
    variants=("som", "som[estimator=split]", "som[estimator=whitened]", "som[estimator=exact]"),
    order=120,
)
@dataclass(frozen=True, kw_only=True)
class SelfOrthogonality:
    """SOM: a (sum over i != j of t_ij)^2 + b sum over i != j of t_ij^2, t_ij the correlation of two neurons' signs.

    For inputs of rotation-invariant distribution t_ij = 1 - 2 (angle of w_i, w_j) / pi, 0 at right angles. The signs
    are smoothed to tanh(c y), y = x^T W the layer's responses to its batch, each neuron normalized over the batch. On
    other inputs the angle is that of S^1/2 w_i and S^1/2 w_j, S = E x x^T: orthogonal neurons are then penalized. A
    batch of n samples adds (2 a + b) k (k - 1) / n to the value at right angles, where it should be 0.

    `estimator` selects a remedy: `batch` is the published method. `split` multiplies the correlations of two halves of
    the batch instead of squaring one: no such floor, and a value that may be negative. `whitened` multiplies inputs by
    S^-1/2, S a running covariance, so that the angle is the one between the weights. `random` uses responses to
    independent Gaussian inputs, `exact` takes t_ij = (2 / pi) asin(cos of w_i, w_j) without inputs.

    Args:
        weight: factor of the penalty.
        mean: a, the factor of the squared sum.
        pair: b, the factor of the sum of squares.
        gamma: c, the steepness of tanh.
        estimator: `batch`, `split`, `whitened`, `random` or `exact`.
        samples: Gaussian inputs per step for `random`.
        momentum: share of the old covariance at each step of `whitened`.

    Raises:
        ValueError: a factor is negative, gamma is not positive, the estimator is unknown, or samples or momentum is out
            of range.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = SelfOrthogonality(weight=1e-6).attach(targets_of(model))
        >>> loss = model(torch.randn(32, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    weight: float = 1e-6
    mean: float = 100.0
    pair: float = 1.0
    gamma: float = 10.0
    estimator: str = "batch"
    samples: int = 256
    momentum: float = 0.95

    def __post_init__(self) -> None:
        if min(self.weight, self.mean, self.pair) < 0:
            raise ValueError(f"weight, mean, pair must be >= 0, got {self.weight}, {self.mean}, {self.pair}")
        if not self.gamma > 0:
            raise ValueError(f"gamma must be > 0, got {self.gamma}")
        if self.estimator not in ESTIMATORS:
            raise ValueError(f"estimator must be one of {', '.join(ESTIMATORS)}, got {self.estimator!r}")
        if self.samples < 1:
            raise ValueError(f"samples must be >= 1, got {self.samples}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")

    @precise
    def value(self, matrix: Tensor) -> Tensor:
        """The exact penalty of W `[*stack, d, k]` under rotation-invariant inputs, without its weight, `[*stack]`.

        Parallel columns are at a corner of the arcsine, whose slope is infinite there.
        """
        # The diagonal is left out before the arcsine, whose slope at 1 would make its gradient nan.
        angles = torch.asin(off_diagonal(cosines(matrix)).clamp(-1, 1)) * (2 / math.pi)
        return self._combined(angles, angles)

    @precise
    def batch_value(self, responses: Tensor) -> Tensor:
        """The penalty of responses y `[*stack, n, k]` as this method estimates it, without its weight, `[*stack]`.

        Raises:
            ValueError: the estimator is `split` and there are fewer than 2 samples.
        """
        if self.estimator != "split":
            correlations = off_diagonal(self._correlations(responses))
            return self._combined(correlations, correlations)
        if (samples := responses.shape[-2]) < 2:
            raise ValueError(f"a split batch needs at least 2 samples, got {samples}")
        halves = responses[..., 0::2, :], responses[..., 1::2, :]
        first, second = (off_diagonal(self._correlations(half)) for half in halves)
        return self._combined(first, second)

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`; outside the harness the session records the inputs of its layers itself."""
        targets = tuple(targets)
        if self.estimator == "exact":
            return _Exact(self, targets)
        if self.estimator == "random":
            return _Random(self, targets, ctx or Alone.around(targets))
        return _Listening(self, targets, alone=ctx is None)

    def _correlations(self, responses: Tensor) -> Tensor:
        """Of the smoothed signs, each neuron normalized over the batch, `[*stack, k, k]`."""
        signs = torch.tanh(self.gamma * responses)
        units = unit(signs)
        return units.mT @ units

    def _combined(self, first: Tensor, second: Tensor) -> Tensor:
        sums = first.sum((-2, -1)) * second.sum((-2, -1))
        return self.mean * sums + self.pair * (first * second).sum((-2, -1))


@precise
def _product(inputs: Tensor, columns: Tensor) -> Tensor:
    return inputs @ columns


class _Exact(Session):
    """The closed form, of weights alone."""

    def __init__(self, method: SelfOrthogonality, targets: Sequence[Target]) -> None:
        super().__init__(targets)
        self._method = method

    def penalty(self, taps: Mapping[str, Tensor] | None = None) -> Tensor:
        values = [over_blocks(self._value(t, (taps or {}).get(t.name)), t) for t in self.targets]
        return self.total(values, self._method.weight)

    def _value(self, target: Target, inputs: Tensor | None) -> Tensor:
        return self._method.value(raised(target.columns()))


class _Random(_Exact):
    """Responses to Gaussian inputs."""

    def __init__(self, method: SelfOrthogonality, targets: Sequence[Target], ctx: Surroundings) -> None:
        super().__init__(method, targets)
        self._noise, self._drawn = ctx.noise("method", stack=0), 0

    def _value(self, target: Target, inputs: Tensor | None) -> Tensor:
        columns = raised(target.columns())
        x = self._noise.at(self._drawn).normal(*(target.stack or (1,)), self._method.samples, columns.shape[-2])
        self._drawn += 1
        x = x.reshape(*target.stack, *(1 for _ in target.blocks), *x.shape[1:])
        return self._method.batch_value(_product(x, columns))


class _Listening(_Exact):
    """Responses to the inputs of each step."""

    def __init__(self, method: SelfOrthogonality, targets: Sequence[Target], *, alone: bool) -> None:
        super().__init__(method, targets)
        for target in self.attached:
            if isinstance(target, WeightTarget):
                target.require_responses()
        self._heard: dict[str, Tensor] = {}
        self._covariances: dict[str, Tensor] = {}
        self.taps = {target.name: target.module for target in self.attached}
        self._handles = [self._listen(target) for target in self.attached] if alone else []

    def penalty(self, taps: Mapping[str, Tensor] | None = None) -> Tensor:
        """See `Session.penalty`.

        Raises:
            ValueError: no input of some target was recorded since the last call.
        """
        heard = self._heard if taps is None else taps
        if missing := [target.name for target in self.targets if target.name not in heard]:
            raise ValueError(f"no input of {missing[0]!r} was recorded; run the model with grad enabled first")
        total = super().penalty(heard)
        self._heard.clear()
        return total

    def finish_(self) -> None:
        """Stop recording."""
        for handle in self._handles:
            handle.remove()

    def _listen(self, target: Target) -> RemovableHandle:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            # The last pass counts: an earlier one may have measured something and lost its graph.
            if torch.is_grad_enabled():
                self._heard[target.name] = inputs[0]

        return target.module.register_forward_pre_hook(hook)

    def _value(self, target: Target, inputs: Tensor | None) -> Tensor:
        assert inputs is not None
        if self._method.estimator != "whitened":
            return self._method.batch_value(target.responses(inputs))
        return self._method.batch_value(self._whitened(target.samples(inputs), target.columns(), target.name))

    @precise
    def _whitened(self, samples: Tensor, columns: Tensor, name: str) -> Tensor:
        """The responses to whitened inputs."""
        samples = samples - samples.mean(-2, keepdim=True)
        factor = torch.linalg.cholesky(self._covariance(name, samples.detach()))
        white = torch.linalg.solve_triangular(factor, samples.mT, upper=False).mT
        return white @ raised(columns)

    def _covariance(self, name: str, samples: Tensor) -> Tensor:
        """The running covariance `[*stack, d, d]`, its start a multiple of the identity, so that it has an inverse."""
        now = samples.mT @ samples / samples.shape[-2]
        eye = torch.eye(now.shape[-1], dtype=now.dtype, device=now.device)
        size = now.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None].clamp_min(torch.finfo(now.dtype).tiny)
        old = self._covariances.get(name, size * eye)
        new = self._covariances[name] = self._method.momentum * old + (1 - self._method.momentum) * now
        return new + _RIDGE * size * eye
