"""Other libraries behind the contract of this family; each is imported when its method is first called.

Their evaluations are those that our potential counts.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kexue_bench import method

from ...contract import Potential, StepInfo
from ..checks import at_least, positive
from ..words import LEAPS_PAID, STEP

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

INSTALL = "pip install 'kexue-bench[competitors]'"


@method(
    "torchebm-langevin",
    "LangevinDynamics of torchebm",
    references=("github.com/soran-ghaderi/torchebm",),
    claims=("independent-chains",),
    knobs=(STEP,),
    requires="torchebm",
    install=INSTALL,
    order=300,
)
@dataclass(frozen=True, kw_only=True)
class TorchebmLangevin:
    """`x' = x - h grad U(x) + sqrt(2 h) xi` by the library, all chains in one call. Needs the package.

    Args:
        h: the step size, > 0, in units of the squared smallest standard deviation of the target.

    Raises:
        ValueError: `h` out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = TorchebmLangevin(h=0.1), Noise.seeded(0)
        >>> state, info = sampler.step(torch.zeros(5, 2), potential, noise)
        >>> sampler.position(state).shape
        torch.Size([5, 2])
    """

    h: float = 0.5

    def __post_init__(self) -> None:
        positive("h", self.h)

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Tensor:
        """See `Sampler.init`."""
        return x

    def step(self, state: Tensor, potential: Potential, noise: Noise) -> tuple[Tensor, StepInfo]:
        """See `Sampler.step`."""
        from torchebm.samplers import LangevinDynamics  # pyright: ignore[reportMissingImports]  # an optional extra

        made = LangevinDynamics(_model()(potential), step_size=self.h, dtype=state.dtype, device=state.device)
        return made.sample(x=state.clone(), n_steps=1, generator=noise.generator), StepInfo()

    def position(self, state: Tensor) -> Tensor:
        """See `Sampler.position`."""
        return state


@method(
    "torchebm-hmc",
    "HamiltonianMonteCarlo of torchebm",
    references=("github.com/soran-ghaderi/torchebm",),
    claims=("independent-chains",),
    unless=LEAPS_PAID,
    requires="torchebm",
    install=INSTALL,
    order=310,
)
@dataclass(frozen=True, kw_only=True)
class TorchebmHmc:
    """`leaps` leapfrog steps and `min(1, exp(H - H'))` by the library, all chains in one call. Needs the package.

    Args:
        eps: step size, > 0, in units of the smallest standard deviation of the target.
        leaps: leapfrog steps, >= 1.

    Raises:
        ValueError: a field out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = TorchebmHmc(eps=0.5), Noise.seeded(0)
        >>> state, info = sampler.step(torch.zeros(5, 2), potential, noise)
        >>> sampler.position(state).shape
        torch.Size([5, 2])
    """

    eps: float = 0.6
    leaps: int = 3

    def __post_init__(self) -> None:
        positive("eps", self.eps)
        at_least("leaps", self.leaps, 1)

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Tensor:
        """See `Sampler.init`."""
        return x

    def step(self, state: Tensor, potential: Potential, noise: Noise) -> tuple[Tensor, StepInfo]:
        """See `Sampler.step`."""
        from torchebm.samplers import HamiltonianMonteCarlo  # pyright: ignore[reportMissingImports]  # an optional extra

        made = HamiltonianMonteCarlo(
            _model()(potential),
            step_size=self.eps,
            n_leapfrog_steps=self.leaps,
            dtype=state.dtype,
            device=state.device,
        )
        return made.sample(x=state.clone(), n_steps=1, generator=noise.generator), StepInfo()

    def position(self, state: Tensor) -> Tensor:
        """See `Sampler.position`."""
        return state


@functools.cache
def _model() -> Any:
    from torchebm.core import BaseModel  # pyright: ignore[reportMissingImports]  # an optional extra

    class Counted(BaseModel):
        """A potential as the library sees it."""

        def __init__(self, potential: Potential) -> None:
            super().__init__()
            self._potential = potential

        def forward(self, x: Tensor, **_: object) -> Tensor:
            return self._potential.value(x)

        def gradient(self, x: Tensor, *_: object, **__: object) -> Tensor:
            return self._potential.gradient(x)

    return Counted


@method(
    "emcee",
    "affine-invariant ensemble of emcee, without gradients: every chain is an ensemble of its own",
    references=("arXiv:1202.3665",),
    claims=("independent-chains",),
    requires="emcee",
    install=INSTALL,
    order=320,
)
@dataclass(frozen=True, kw_only=True)
class Emcee:
    """One stretch move of `walkers` walkers a step, one ensemble a chain, in a loop; the position is the first walker.

    A walker moves along the line to another, `y = x_j + z (x - x_j)`, z with density ~ `1 / sqrt(z)` on [1/2, 2], and
    is accepted with `min(1, z^(d - 1) exp(U(x) - U(y)))`. Needs the package. Walkers start around x with the standard
    deviation `spread`.

    Args:
        walkers: even, >= 2 d; 0 means 2 d, and 4 in one dimension. A step costs as many evaluations.
        spread: of the start, > 0, in units of the smallest standard deviation of the target.

    Raises:
        ValueError: a field out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = Emcee(), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> sampler.position(state).shape
        torch.Size([5, 2])
    """

    walkers: int = 0
    spread: float = 1.0

    def __post_init__(self) -> None:
        positive("spread", self.spread)
        if self.walkers < 0 or self.walkers % 2:
            raise ValueError(f"walkers must be even and >= 0, got {self.walkers}; 0 takes twice the dimension")

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Tensor:
        """See `Sampler.init`; the state is `[C, walkers, d]`."""
        count = self.walkers or max(4, 2 * x.shape[1])
        others = self.spread * noise.normal(len(x), count - 1, x.shape[1])
        return torch.cat([x.unsqueeze(1), x.unsqueeze(1) + others], dim=1)

    def step(self, state: Tensor, potential: Potential, noise: Noise) -> tuple[Tensor, StepInfo]:
        """See `Sampler.step`."""
        import emcee  # pyright: ignore[reportMissingImports]  # an optional extra

        def log_density(points: Any) -> Any:
            return -potential.value(torch.as_tensor(points).to(state)).double().cpu().numpy()

        seeds, rows, rates = noise.integers(2**31 - 1, len(state)).tolist(), [], []
        for ensemble, seed in zip(state.double().cpu().numpy(), seeds, strict=True):
            walk = emcee.EnsembleSampler(*ensemble.shape, log_density, vectorize=True)
            start = emcee.State(ensemble, random_state=np.random.RandomState(seed).get_state())  # its interface
            found = walk.run_mcmc(start, 1, skip_initial_state_check=True)
            rows.append(torch.as_tensor(found.coords))
            rates.append(float(walk.acceptance_fraction.mean()))
        return torch.stack(rows).to(state), StepInfo(accept=torch.tensor(rates).to(state))

    def position(self, state: Tensor) -> Tensor:
        """See `Sampler.position`."""
        return state[:, 0]
