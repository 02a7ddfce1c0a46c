"""What criteria share: energies of a batch, chains that walk on them, and the check of hyper-parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from ..contract import Energy, Potential, Sampler
from ..samplers.methods.mala import Mala
from ..samplers.methods.ula import Ula

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

SAMPLERS = ("ula", "mala")


def check_positive(**values: float) -> None:
    """Raise ValueError unless every value is positive and finite."""
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be > 0 and finite, got {value}")


def check_count(**values: int) -> None:
    """Raise ValueError unless every number is at least 1."""
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} must be >= 1, got {value}")


def check_sampler(name: str) -> None:
    """Raise ValueError for an unknown sampler."""
    if name not in SAMPLERS:
        raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}, got {name!r}")


def check_share(**values: float) -> None:
    """Raise ValueError unless every value lies in [0, 1]."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in [0, 1], got {value}")


def energies(energy: Energy, x: Tensor) -> Tensor:
    """E of `[*stack, B, d]` as `[*stack, B]`.

    Raises:
        ValueError: x is no batch, the energy has another shape, or it has a layer that couples the rows of a batch.
    """
    if x.ndim < 2:
        raise ValueError(f"data must be [*stack, B, d], got {list(x.shape)}; write x.unsqueeze(-1) for numbers")
    coupling = [type(m).__name__ for m in energy.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001  # the one base of all of them
    if coupling:
        raise ValueError(
            f"an energy must treat the rows of a batch separately, got a {coupling[0]}, which couples chains; "
            "use GroupNorm or LayerNorm"
        )
    value = energy(x)
    if value.shape != x.shape[:-1]:
        raise ValueError(
            f"an energy must return {list(x.shape[:-1])}, one number for each row, got {list(value.shape)}; "
            "squeeze the last dimension"
        )
    return value


def walk(energy: Energy, x: Tensor, sampler: Sampler, steps: int, noise: Noise) -> Tensor:
    """Chains after `steps` steps from x `[*stack, B, d]`, at fixed theta and without a graph."""
    stack = x.shape[:-2]
    potential, rows = cast("Potential", _Rows(energy, stack)), cast("Any", _RowNoise(noise, stack))
    with torch.no_grad():
        state = sampler.init(x.detach().reshape(-1, x.shape[-1]), potential, rows)
        for _ in range(steps):
            state, _ = sampler.step(state, potential, rows)
        return sampler.position(state).reshape(x.shape)


def langevin(name: str, h: float) -> Sampler:
    """The sampler of a criterion, by its name, with step h."""
    return {"ula": Ula, "mala": Mala}[name](h=h)


def like(data: Tensor, noise: Noise) -> Tensor:
    """Normal points with the mean and the standard deviation of every coordinate of the data, of the same shape."""
    mean, sd = data.mean(-2, keepdim=True), data.std(-2, keepdim=True, correction=0)
    return mean + sd * noise.normal(*data.shape).to(data.dtype)


class _Rows:
    """The energy as a potential on rows: `[C, d]`, the stack unfolded before each call."""

    def __init__(self, energy: Energy, stack: tuple[int, ...], inner: Potential | None = None) -> None:
        self._inner, self._stack = inner or energy.potential(), stack
        self._energy, self.dim, self.scale = energy, energy.dim, 1.0

    def value(self, x: Tensor) -> Tensor:
        return self._inner.value(self._unfolded(x)).reshape(-1)

    def gradient(self, x: Tensor) -> Tensor:
        return self._inner.gradient(self._unfolded(x)).reshape(x.shape)

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        value, slope = self._inner.both(self._unfolded(x))
        return value.reshape(-1), slope.reshape(x.shape)

    def tempered(self, temperature: Tensor) -> _Rows:
        return _Rows(self._energy, self._stack, self._inner.tempered(temperature))

    def _unfolded(self, x: Tensor) -> Tensor:
        return x.reshape(*self._stack, -1, x.shape[-1])


class _RowNoise:
    """A stream whose draws for C rows are those of the stack, in its order."""

    def __init__(self, noise: Noise, stack: tuple[int, ...]) -> None:
        self._noise, self._stack, self.dtype, self.device = noise, stack, noise.dtype, noise.device

    def normal(self, *shape: int) -> Tensor:
        return self._noise.normal(*self._unfolded(shape)).reshape(shape)

    def uniform(self, *shape: int) -> Tensor:
        return self._noise.uniform(*self._unfolded(shape)).reshape(shape)

    def at(self, step: int) -> _RowNoise:
        return _RowNoise(self._noise.at(step), self._stack)

    def _unfolded(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        count = 1
        for size in self._stack:
            count *= size
        return (*self._stack, shape[0] // count, *shape[1:])
