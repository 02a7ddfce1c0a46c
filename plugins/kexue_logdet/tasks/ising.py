"""The partition function of a quantum spin chain, from products with exponentials of its Hamiltonian."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy import special
from torch import Tensor

from kexue_bench import task

from ..contract import Bounds, Operator
from .sampling import KnownOperator

PRECISION = 1e-13


@task(
    "ising",
    "partition function of a transverse-field Ising ring, matrix-free, truth from free fermions",
    version=1,
    offers={"spd", "bounded", "trace", "traces"},
    facts={
        "wanted": "'trace'",
        "rows": "2 ** (sites if sites < 60 else 60)",
        "allowed": "rows if budget == 0 else budget",
    },
    suites={"standard": ("ising[sites=8,budget=60]",), "full": ("ising[sites=[10,18],budget=60]",)},
    timed=(),
    budgets={"standard": 256, "full": 64},
    dtype="float64",
    order=80,
)
@dataclass(frozen=True, kw_only=True)
class Ising(KnownOperator):
    """tr exp(-beta (H - E0)), H = -sum_i Z_i Z_(i+1) - h sum_i X_i on a ring of N spins, E0 its ground energy.

    The operator is the exponential, on 2^N states, never formed: a product with it is a Chebyshev series in H, and H
    acts by bit flips. A product with the exponential counts as one; it takes about sqrt(60 beta |E0|) products
    with H. The truth is that of free fermions (Pfeuty 1970, doi:10.1016/0003-4916(70)90270-8). N = 18, h = 1 and beta =
    3 are figures 2 and 5 of XTrace (arXiv:2301.07825).

    Args:
        sites: N, even, >= 4.
        field: h, > 0.
        beta: inverse temperature, > 0.
        budget: products that a repeat may spend; 0 means 2^N.
    """

    sites: int = 10
    field: float = 1.0
    beta: float = 3.0
    budget: int = 0

    def __post_init__(self) -> None:
        if self.sites < 4 or self.sites % 2:
            raise ValueError(f"sites must be even and >= 4, got {self.sites}")
        if not (self.field > 0 and self.beta > 0):
            raise ValueError(f"field and beta must be > 0, got {self.field} and {self.beta}")

    def hamiltonian(self, v: Tensor, bonds: Tensor | None = None) -> Tensor:
        """H V for a block `[2^N, m]`; `bonds` are those of `diagonal`, if available."""
        out = v * (self.diagonal(v) if bonds is None else bonds)
        for site in range(self.sites):
            pairs, target = v.unflatten(0, (2**site, 2, -1)), out.unflatten(0, (2**site, 2, -1))
            target.sub_(pairs.flip(1), alpha=self.field)
        return out

    def diagonal(self, like: Tensor) -> Tensor:
        """-sum_i z_i z_(i+1) of each state, `[2^N, 1]`."""
        states = torch.arange(2**self.sites, device=like.device)
        unequal = states ^ ((states >> 1) | ((states & 1) << (self.sites - 1)))
        flips = torch.stack([(unequal >> site) & 1 for site in range(self.sites)]).sum(0)
        return (2 * flips - self.sites).to(like.dtype).unsqueeze(-1)

    def modes(self, *, periodic: bool) -> Tensor:
        """Energies of the fermion modes; those of zero momentum signed: the periodic sector has a parity."""
        k = 2 * math.pi * (torch.arange(self.sites, dtype=torch.float64) + (0 if periodic else 0.5)) / self.sites
        energies = 2 * torch.sqrt((self.field - torch.cos(k)).square() + torch.sin(k).square())
        if periodic:
            energies[0] = 2 * (self.field - 1)
        return energies

    def ground(self) -> float:
        """E0, the vacuum of the antiperiodic sector."""
        return -float(self.modes(periodic=False).sum()) / 2

    def truth(self) -> float:
        """The sum over both parities of both sectors, each weighted by exp(beta E0)."""
        total = 0.0
        for periodic in (False, True):
            energies = self.modes(periodic=periodic)
            lift = self.beta * (float(energies.abs().sum()) / 2 + self.ground())
            falls = torch.exp(-self.beta * energies.abs())
            even, odd = (1 + falls).prod(), (1 - falls).prod() * energies.sign().prod()
            total += math.exp(lift) * float(even - odd if periodic else even + odd) / 2
        return total

    def operator(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Operator:
        """The exponential."""
        # The spectrum is symmetric: flipping every second spin maps H to -H. The interval is as tight as possible,
        # because cancellation in the series grows exponentially with any excess width.
        radius = -self.ground()
        scale = self.beta * radius
        # exp(-scale (x + 1)) = sum_k c_k T_k(x); the scaled Bessel functions include exp(-scale).
        orders = range(int(scale + 40 + 12 * math.sqrt(scale)))
        series = [(2 if k else 1) * (-1) ** k * float(special.ive(k, scale)) for k in orders]
        series = series[: max(k for k in orders if abs(series[k]) > PRECISION) + 1]
        bonds = self.diagonal(torch.empty(0, dtype=dtype, device=device))

        def product(v: Tensor) -> Tensor:
            previous, current = v, self.hamiltonian(v, bonds) / radius
            total = series[0] * v + series[1] * current
            for c in series[2:]:
                previous, current = current, (2 / radius) * self.hamiltonian(current, bonds) - previous
                total.add_(current, alpha=c)
            return total

        bounds = Bounds(low=0.0, high=1.0, provenance="proven", origin="the ground state has energy E0")
        return Operator(
            kind="spd", n=2**self.sites, product=product, dtype=dtype, device=device, bounds=bounds, target="trace"
        )
