"""The contract of both families: potentials that count themselves, samplers that walk on them, energies and criteria.

One convention everywhere: a step of size h is x' = x - h grad U(x) + sqrt(2 h) xi with xi ~ N(0, I), for the density
exp(-U). Where the literature writes (eps / 2) grad U and sqrt(eps) xi, eps = 2 h.

Step sizes refer to coordinates in which the smallest standard deviation of the target is 1: tasks rescale theirs, so
that one default suits every target, and a user divides x by that deviation.

Chains are rows: a state holds C of them, `[C, d]`, and they never interact. A state is explicit and never written to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from kexue_bench.lab.counter import Counter
    from kexue_bench.lab.noise import Noise


class Potential(Protocol):
    """U = -log density + constant, for batches of points; it counts every call.

    `value`, `gradient` and `both` count one `evaluations` a row, `gradient` and `both` one `backwards` a row besides.
    """

    dim: int

    def value(self, x: Tensor) -> Tensor:
        """U(x): `[*C, d]` -> `[*C]`."""
        ...

    def gradient(self, x: Tensor) -> Tensor:
        """The gradient of U: `[*C, d]` -> `[*C, d]`."""
        ...

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """U and its gradient, for the price of one evaluation a row."""
        ...

    def tempered(self, temperature: Tensor) -> Potential:
        """U / T, with T broadcast over `[*C]`; it shares the counter."""
        ...


@dataclass(frozen=True, kw_only=True)
class StepInfo:
    """What one step reports, `[C]` each.

    Args:
        accept: the probability with which the proposal was accepted, of the last one if there were several; None for a
            sampler that never rejects.
        diverged: whether a chain has left all bounds; None if the sampler does not say.
    """

    accept: Tensor | None = None
    diverged: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Linear:
    """The exact law of a sampler on a Gaussian: z' = A z + B xi with xi ~ N(0, I), and the position x = Q z.

    z is about its mean. Float64.

    Args:
        A: `[m, m]`.
        B: `[m, k]`.
        Q: `[d, m]`.
    """

    A: Tensor
    B: Tensor
    Q: Tensor


@runtime_checkable
class Sampler(Protocol):
    """A sampler: a frozen dataclass whose fields are its hyper-parameters.

    It may have `linear(precision) -> Linear`, its exact law on the Gaussian with that precision matrix `[d, d]`; if z
    is more than the position, also `at(z, potential)`: the state that z `[C, m]` stands for, not centred.
    """

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Any:
        """The state of C chains at x `[C, d]`."""
        ...

    def step(self, state: Any, potential: Potential, noise: Noise) -> tuple[Any, StepInfo]:
        """One step of every chain; `noise` is the stream of this step."""
        ...

    def position(self, state: Any) -> Tensor:
        """Where the chains are, `[C, d]`."""
        ...


class FunctionPotential:
    """A potential from a function of a batch.

    Args:
        energy: U: `[R, d]` -> `[R]`.
        dim: d, >= 1.
        gradient: its gradient `[R, d]` -> `[R, d]`, if it is known in closed form; otherwise it is differentiated.
        counter: counts the calls; None counts nothing.
        covariance: of the target, or an estimate of it `[d, d]`, for samplers that use one.

    Raises:
        ValueError: `dim` below 1; at a call, a point or an energy of another shape.

    Examples:
        >>> import torch
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> potential.gradient(torch.tensor([[1.0, 2.0]]))
        tensor([[1., 2.]])
    """

    def __init__(
        self,
        energy: Callable[[Tensor], Tensor],
        dim: int,
        *,
        gradient: Callable[[Tensor], Tensor] | None = None,
        counter: Counter | None = None,
        covariance: Tensor | None = None,
    ) -> None:
        if dim < 1:
            raise ValueError(f"dim must be >= 1, got {dim}")
        self.dim, self.counter, self.covariance = dim, counter, covariance
        self._energy, self._gradient = energy, gradient

    def value(self, x: Tensor) -> Tensor:
        """See `Potential.value`."""
        rows = self._rows(x)
        self._count(len(rows))
        return self._checked(self._energy(rows), rows).reshape(x.shape[:-1])

    def gradient(self, x: Tensor) -> Tensor:
        """See `Potential.gradient`."""
        rows = self._rows(x)
        self._count(len(rows), backward=True)
        slope = self._differentiated(rows)[1] if self._gradient is None else self._gradient(rows)
        return slope.reshape(x.shape)

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See `Potential.both`."""
        rows = self._rows(x)
        self._count(len(rows), backward=True)
        if self._gradient is None:
            value, slope = self._differentiated(rows)
        else:
            value, slope = self._checked(self._energy(rows), rows), self._gradient(rows)
        return value.reshape(x.shape[:-1]), slope.reshape(x.shape)

    def tempered(self, temperature: Tensor) -> Potential:
        """See `Potential.tempered`."""
        return _Tempered(self, temperature)

    def _differentiated(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            leaf = rows.detach().requires_grad_()
            value = self._checked(self._energy(leaf), leaf)
            (slope,) = torch.autograd.grad(value.sum(), leaf)
        return value.detach(), slope

    def _rows(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.dim:
            raise ValueError(f"points must be [*C, {self.dim}], got {list(x.shape)}")
        return x.reshape(-1, self.dim)

    @staticmethod
    def _checked(value: Tensor, rows: Tensor) -> Tensor:
        if value.shape != rows.shape[:1]:
            raise ValueError(
                f"an energy must return one number a row, [{len(rows)}], got {list(value.shape)}; sum or squeeze the "
                "last dimension"
            )
        return value

    def _count(self, rows: float, *, backward: bool = False) -> None:
        if self.counter is not None:
            self.counter.add(evaluations=rows, **({"backwards": rows} if backward else {}))


class _Tempered:
    """U / T on the counter of U."""

    def __init__(self, inner: Potential, temperature: Tensor) -> None:
        self.dim, self._inner, self._temperature = inner.dim, inner, temperature

    def value(self, x: Tensor) -> Tensor:
        return self._inner.value(x) / self._temperature

    def gradient(self, x: Tensor) -> Tensor:
        return self._inner.gradient(x) / self._temperature.unsqueeze(-1)

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        value, slope = self._inner.both(x)
        return value / self._temperature, slope / self._temperature.unsqueeze(-1)

    def tempered(self, temperature: Tensor) -> Potential:
        return _Tempered(self._inner, self._temperature * temperature)


class Energy(nn.Module):
    """An unnormalised density exp(-E) with parameters: `forward` maps `[*stack, B, d]` to `[*stack, B]`.

    Parameters may carry the stack in front.

    Args:
        dim: d, >= 1.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        if dim < 1:
            raise ValueError(f"dim must be >= 1, got {dim}")
        self.dim = dim

    def potential(self, counter: Counter | None = None) -> Potential:
        """What a sampler walks on: theta fixed, `[*stack, C, d]` -> `[*stack, C]`, every row counted."""
        return _EnergyPotential(self, counter)


class _EnergyPotential:
    """The energy at its present parameters; a call builds no graph of them."""

    def __init__(self, energy: Energy, counter: Counter | None) -> None:
        self.dim, self.counter, self._energy = energy.dim, counter, energy

    def value(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self._checked(self._energy(x), x)

    def gradient(self, x: Tensor) -> Tensor:
        return self.both(x)[1]

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            value = self._checked(self._energy(leaf), leaf, backward=True)
            (slope,) = torch.autograd.grad(value.sum(), leaf)
        return value.detach(), slope

    def tempered(self, temperature: Tensor) -> Potential:
        return _Tempered(self, temperature)

    def _checked(self, value: Tensor, x: Tensor, *, backward: bool = False) -> Tensor:
        if value.shape != x.shape[:-1]:
            raise ValueError(
                f"an energy must return one number a row, {list(x.shape[:-1])}, got {list(value.shape)}; sum or "
                "squeeze the last dimension"
            )
        if self.counter is not None:
            rows = value.numel()
            self.counter.add(evaluations=rows, **({"backwards": rows} if backward else {}))
        return value


@runtime_checkable
class Criterion(Protocol):
    """What an energy is trained by: a frozen dataclass whose fields are its hyper-parameters.

    It may have `gaussian(variance) -> (theta, n_variance)`: on data N(0, variance) with E = theta x^2 / 2, its declared
    fixed point and n times the asymptotic variance of its estimate from n data.
    """

    def init(self, data: Tensor, noise: Noise) -> Any:
        """The state before the first loss: a replay buffer, log Z, or None."""
        ...

    def loss(self, energy: Energy, data: Tensor, state: Any, noise: Noise) -> tuple[Tensor, Any]:
        """The loss of a batch `[*stack, B, d]`, `[*stack]`, and the next state."""
        ...
