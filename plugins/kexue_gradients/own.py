"""The user's own f: loaded, tried, and given the truth of its gradient or a reference for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from kexue_bench.errors import NotOffered
from kexue_bench.lab.noise import Noise
from kexue_bench.lab.own import function_of

from .contract import Distribution, Enumeration, Gaussian
from .methods.muprop import MuProp
from .methods.pathwise import Pathwise
from .methods.reinforce import Reinforce
from .methods.rloo import Rloo
from .objective import FunctionObjective

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from kexue_bench.lab.counter import Counter

_TRIED = 4
_DRAWS = 8
"""Evaluations of f in one estimate of a reference, whose mean of the others is the baseline of each."""
_TRIAL = 1024
_Z = 1.959963984540054


@dataclass(frozen=True, kw_only=True, eq=False)
class Own:
    """f on samples, and what was found out about it by calling it.

    Args:
        f: `[S, L]` bits or numbers, or `[S, L, K]` one-hot classes -> `[S]`, in the dtype of its argument.
        name: `file.py:f`, for messages.
        relaxed: whether f takes points between the states.
        smooth: whether it has a gradient.
    """

    f: Callable[[Tensor], Tensor]
    name: str
    relaxed: bool
    smooth: bool

    def objective(
        self, counter: Counter | None = None, table: Callable[[], Enumeration] | None = None
    ) -> FunctionObjective:
        """F as methods see it; what it lacks makes their cases `unsupported`."""
        return _OwnObjective(self, counter=counter, table=table)


class _OwnObjective(FunctionObjective):
    def __init__(self, own: Own, **more: Any) -> None:
        super().__init__(own.f, **more)
        self._own = own

    def value_and_gradient(self, x: Tensor, *, graph: bool = False) -> tuple[Tensor, Tensor]:
        """As `FunctionObjective`.

        Raises:
            NotOffered: f has no gradient.
        """
        if not self._own.smooth:
            raise NotOffered(f"{self._own.name} has no gradient with respect to x")
        return super().value_and_gradient(x, graph=graph)

    def enumerate(self) -> Enumeration:
        """As `FunctionObjective`.

        Raises:
            NotOffered: there are too many states.
        """
        if self._table is None:
            raise NotOffered(f"{self._own.name} has too many states to sum over")
        return super().enumerate()

    def _call(self, x: Tensor) -> Tensor:
        if not self._own.relaxed and not bool(((x == 0) | (x == 1)).all()):
            raise NotOffered(f"{self._own.name} is not defined between its states")
        return super()._call(x)


def load(place: str, law: Distribution | Gaussian, *, one: bool) -> Own:
    """The function of a file, tried on a few samples of a law.

    Args:
        place: absolute path with `:function`.
        law: float64.
        one: f takes one sample, `[L]` or `[L, K]`, and returns one number.

    Raises:
        TypeError: f returns no tensor.
        ValueError: f returns another shape, numbers that are not finite, not the same twice, or mixes its rows.
    """
    name, given = Path(place).name, function_of(place)

    def f(x: Tensor) -> Tensor:
        if one:
            rows = [torch.as_tensor(given(row), dtype=x.dtype, device=x.device) for row in x]
            return torch.stack([row.reshape(()) if row.numel() == 1 else row for row in rows])
        value = given(x)
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"{name} must return a tensor [S], got {type(value).__name__}")
        return value

    for dtype in (torch.float64, torch.float32):
        x = law.sample(Noise.seeded(0, dtype=torch.float64), _TRIED).to(dtype)
        kept = x.clone()
        with torch.no_grad():
            value, again = f(x), f(x)
        if value.shape != (_TRIED,):
            want = "one number for its sample" if one else f"[{_TRIED}], one number a sample,"
            hint = "" if one else "; write one=true if it takes one sample"
            raise ValueError(f"{name} must return {want} for x {list(x.shape)}, got {list(value.shape)}{hint}")
        if not torch.equal(x, kept):
            raise ValueError(f"{name} must not write to its argument; work on a copy")
        if not bool(value.isfinite().all()):
            raise ValueError(f"{name} must return finite numbers, got {[float(v) for v in value]}")
        if not torch.equal(value, again):
            raise ValueError(f"{name} must return the same number for the same x, got two; keep its noise fixed")
        with torch.no_grad():
            alone = torch.stack([f(row).reshape(()) for row in x.split(1)])
        size = float(value.abs().max()) or 1.0
        if float((value - alone).abs().max()) > 1e3 * torch.finfo(dtype).eps * size:
            raise ValueError(f"{name} must treat each sample alone, got other values in a batch of {_TRIED}")
    probe = law.sample(Noise.seeded(1, dtype=torch.float64), _TRIED)
    inside = probe if isinstance(law, Gaussian) else law.mean.expand_as(probe)
    relaxed = isinstance(law, Gaussian) or _works(f, inside)
    return Own(f=f, name=name, relaxed=relaxed, smooth=_has_gradient(f, inside if relaxed else probe))


def _works(f: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    try:
        with torch.no_grad():
            return bool(f(x).isfinite().all())
    except Exception:  # noqa: BLE001  # a table that is looked up, for example, may raise anything there
        return False


def _has_gradient(f: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    try:
        with torch.enable_grad():
            x = x.clone().requires_grad_()
            (slope,) = torch.autograd.grad(f(x).sum(), x)
    except Exception:  # noqa: BLE001  # as above
        return False
    return bool(slope.isfinite().all())


def reference(own: Own, law: Distribution | Gaussian, *, evaluations: int) -> tuple[Tensor, float]:
    """The gradient of E f from independent unbiased estimates in float64, and the length of its 95 % error.

    Estimates are those of RLOO or, if f is smooth between its states, of MuProp, whichever has the least variance per
    evaluation in a trial of its own; of normal variables pathwise ones, or REINFORCE for an f without a gradient. By
    Szekely and Bakirov (2003) a sum of squared normals exceeds 3.84 times its mean at most as often as a single one, so
    that the length of the error is at most 1.96 sqrt(tr S / N) with 95 % confidence, whatever the covariance S.

    Args:
        own: f.
        law: float64.
        evaluations: of f, at least 1,024.

    Returns:
        The mean `[*parameters.shape]`, and the radius.
    """
    choices: list[tuple[Any, int]]
    if isinstance(law, Gaussian):
        choices = [(Pathwise(), 1)] if own.smooth else [(Reinforce(), 1)]
    else:
        choices = [(Rloo(n=_DRAWS), _DRAWS), *([(MuProp(), 2)] if own.smooth and own.relaxed else [])]
    tried = [cost * _estimated(own, law, method, _TRIAL // cost, seed=3)[1] for method, cost in choices]
    method, cost = choices[min(range(len(choices)), key=tried.__getitem__)]
    repeats = evaluations // cost
    mean, variance = _estimated(own, law, method, repeats, seed=2)
    return mean, _Z * math.sqrt(variance / repeats)


def _estimated(own: Own, law: Distribution | Gaussian, method: Any, repeats: int, *, seed: int) -> tuple[Tensor, float]:
    """Mean of independent estimates, and the trace of their covariance."""
    block = max(1, min(repeats, 2**20 // law.parameters.numel() // _DRAWS))
    objective, noise = own.objective(), Noise.seeded(seed, dtype=torch.float64)
    count, mean, squares = 0, torch.zeros_like(law.parameters), 0.0
    for step in range(math.ceil(repeats / block)):
        n = min(block, repeats - count)
        found = method.estimate(law, objective, noise.at(step), n).gradient.double()
        # Welford's update, block by block.
        gap = found.mean(0) - mean
        squares += float((found - found.mean(0)).square().sum() + gap.square().sum() * count * n / (count + n))
        mean, count = mean + gap * n / (count + n), count + n
    return mean, squares / (count - 1)
