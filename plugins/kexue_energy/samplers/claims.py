"""Checks of what samplers claim: that the target stays, that they are reversible, and that their stated laws hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from scipy import special
from torch import Tensor

from kexue_bench import claim
from kexue_bench.api import Evidence
from kexue_bench.catalog.core_claims import ALPHA
from kexue_bench.lab.noise import Noise

from ..contract import FunctionPotential, Sampler
from . import laws
from .chains import Chains, fitting
from .methods.hamiltonian import Hmc
from .methods.mala import Mala
from .methods.preconditioned import Preconditioned
from .methods.random_walk import RandomWalk
from .methods.tempering import ParallelTempering
from .targets import Target
from .tasks.gaussian import Gaussian

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling

ROWS = 20_000
"""Chains from exact draws that make one step."""
TOLERANCE = 0.1
"""A shift of a mean by less than a tenth of a standard deviation does not matter here."""
VARIANCE = 0.25
"""Nor does an error of a variance of averages by less than a quarter."""
POWER = float(special.ndtri(0.9))
"""Normal quantile of 90 % power."""
STEPS = 8
"""Steps after which the law of positions is compared: a wrong stationary law shows slowly."""
BATCHES, CHAINS = 400, 64
SPREAD = 0.6
"""An error of a variance by less than this share does not matter: it is known from a few hundred batches."""


@claim("keeps-target", "from exact draws, one step leaves the mean of every functional where it was", order=10)
def keeps_target(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """A z test for each functional and its largest, of f(x_1) - f(x_0); rungs of tempering start at their own laws."""
    target, sampler, noise = chains_of(problem).target, fitting(method), ctx.noise("noise")
    before, after = one_step(target, sampler, noise)
    scale = before.std(0).clamp_min(torch.finfo(before.dtype).tiny)
    return shift("keeps-target", (after - before) / scale, "shift of a functional in standard deviations")


@claim("reversible", "from exact draws, a step and its reverse are equally likely", order=20)
def reversible(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """A z test of E[f(x_0) g(x_1) - g(x_0) f(x_1)] = 0 for pairs of functionals and of their hyperbolic tangents."""
    target, sampler, noise = chains_of(problem).target, fitting(method), ctx.noise("noise")
    before, after = one_step(target, sampler, noise)
    centre, scale = before.mean(0), before.std(0)
    a, b = (((f - centre) / scale)[:, :4] for f in (before, after))
    a, b = (torch.cat([f, f.tanh()], dim=1) for f in (a, b))
    i, j = torch.triu_indices(a.shape[1], a.shape[1], 1)
    note = "E[f(x0) g(x1) - g(x0) f(x1)] of standardized f and g"
    return shift("reversible", a[:, i] * b[:, j] - a[:, j] * b[:, i], note)


@claim("stationary-law", "on a Gaussian the run has the law that the sampler states", order=30)
def stationary_law(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """On two dimensions of condition number 3, from N(m, S): products of (z_0, x_t) against S and A, t = 8."""
    chains = gaussian_chains(method, ctx, dim=2, kappa=3.0)
    linear = chains.linear()
    if linear is None:
        return Evidence(claim="stationary-law", metric="violation", value=None, note="the sampler states no law")
    noise, own, potential = ctx.noise("noise").cast(torch.float64), chains.own_law(), chains.target.potential()
    assert own is not None
    centre, root = own
    z = noise.normal(ROWS, len(root)) @ root.mT
    at = getattr(method, "at", None)
    state = fitting(method).init(z + centre, potential, noise) if at is None else at(z + centre, potential)
    for _ in range(STEPS):
        state, _ = fitting(method).step(state, potential, noise)
    both = torch.cat([z, fitting(method).position(state) - chains.target.centre], dim=1)
    start, later = root @ root.mT, linear.Q @ torch.linalg.matrix_power(linear.A, STEPS)
    upper, lower = [start, start @ later.mT], [later @ start, linear.Q @ start @ linear.Q.mT]
    expected = torch.cat([torch.cat(upper, dim=1), torch.cat(lower, dim=1)])
    i, j = torch.triu_indices(len(expected), len(expected))
    scale = expected.diagonal().sqrt()
    gap = ((both.unsqueeze(2) * both.unsqueeze(1) - expected) / (scale.unsqueeze(1) * scale))[:, i, j]
    return shift("stationary-law", gap, "error of a covariance of (z_0, x_8), in standard deviations of both")


@claim("exact-variance", "averages of a chain have the variance that follows from the stated law", order=40)
def exact_variance(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """A t test over batches of chains on a Gaussian of two dimensions, of the variance over its closed form."""
    chains = gaussian_chains(method, ctx, dim=2, kappa=3.0)
    exact = chains.exact_variance()
    if exact is None:
        return Evidence(claim="exact-variance", metric="violation", value=None, note="the sampler states no law")
    noise = ctx.noise("noise").cast(torch.float64)
    found = torch.stack([chains(noise.at(step), 256).var(0).sum() for step in range(32)]) / exact - 1
    note = f"variance of a chain over its closed form {exact:.5g}, minus 1"
    return shift("exact-variance", found.unsqueeze(1), note, tolerance=VARIANCE)


@claim("acceptance", "on N(0, I) the mean acceptance is the closed form", order=50)
def acceptance(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """A z test in 1 and in 10 dimensions."""
    noise, gaps = ctx.noise("noise").cast(torch.float64), []
    for dim in (1, 10):
        potential = gaussian_chains(method, ctx, dim=dim, kappa=1.0).target.potential()
        sampler = fitting(method)
        state = sampler.init(potential.draw(noise, ROWS), potential, noise)
        accept = sampler.step(state, potential, noise)[1].accept
        if accept is None:
            return Evidence(claim="acceptance", metric="violation", value=None, note="the sampler reports none")
        gaps.append(accept.double() - expected_acceptance(method, dim))
    return shift("acceptance", torch.stack(gaps, dim=1), "mean acceptance minus its closed form")


@claim("affine-equivariant", "in other coordinates, with the covariance in them, it makes the same run", order=60)
def affine_equivariant(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """Twenty steps with equal noise on x and on L x, L lower triangular (diagonal for a diagonal preconditioner)."""
    sampler, runs = fitting(method), []
    dim, dtype = 3, torch.float64
    lower = torch.tensor([[2.0, 0.0, 0.0], [-1.0, 0.5, 0.0], [0.3, 0.7, 3.0]], dtype=dtype)
    if isinstance(method, Preconditioned) and method.form == "diagonal":
        lower = torch.diag(lower.diagonal())
    inverse = torch.linalg.inv(lower)
    # A step that is small for the quartic: an unstable one would amplify rounding.
    covariance = 0.1 + torch.diag(torch.tensor([0.1, 0.2, 0.4], dtype=dtype))
    stream = ctx.noise("noise").cast(dtype)
    start = stream.normal(64, dim)
    for change, back in ((torch.eye(dim, dtype=dtype),) * 2, (lower, inverse)):

        def energy(x: Tensor, back: Tensor = back) -> Tensor:
            y = x @ back.mT
            return (y.square() / 2 + y.square().square() / 20).sum(1)

        potential = FunctionPotential(energy, dim, covariance=change @ covariance @ change.mT)
        state = sampler.init(start @ change.mT, potential, stream.at(0))
        for step in range(20):
            state, _ = sampler.step(state, potential, stream.at(step + 1))
        runs.append(sampler.position(state) @ back.mT)
    gap = float((runs[0] - runs[1]).abs().max())
    note = f"largest difference of 64 runs after 20 steps, {gap:.2g}"
    return Evidence(claim="affine-equivariant", metric="violation", value=gap, n=64, tolerance=1e-8, note=note)


@claim("independent-chains", "chains of one call do not depend on each other", order=70)
def independent_chains(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """A chi-square test: the share of 64 chains that moved in a step varies as independent chains make it vary.

    Of a sampler that never rejects, the mean displacement of the first coordinate stands in for the share.
    """
    chains, noise, sampler = chains_of(problem), ctx.noise("noise"), fitting(method)
    potential, values = chains.target.potential(), []
    for batch in range(BATCHES):
        stream = noise.at(batch)
        state = chains.begin(potential, stream, CHAINS)
        start = sampler.position(state)
        state, info = sampler.step(state, potential, stream)
        moved = (sampler.position(state) - start).double()
        values.append(moved[:, 0] if info.accept is None else (moved != 0).any(1).double())
    table = torch.stack(values)
    within = float(table.var(1).mean())
    if within == 0:
        note = "every chain did the same in every batch"
        return Evidence(claim="independent-chains", metric="violation", value=None, note=note)
    freedom = BATCHES - 1
    ratio = float(table.mean(1).var()) * CHAINS / within
    p = 2 * min(float(special.chdtr(freedom, freedom * ratio)), float(special.chdtrc(freedom, freedom * ratio)))
    spread = math.sqrt(2 / freedom)
    return Evidence(
        claim="independent-chains",
        metric="violation",
        value=abs(ratio - 1),
        statistic=ratio,
        p=p,
        detectable=(_critical(1) + POWER) * spread,
        n=BATCHES * CHAINS,
        tolerance=SPREAD,
        note=f"variance of the mean of {CHAINS} chains over that of independent ones, {ratio:.3f}",
    )


# -- what they share --------------------------------------------------------------------------------------------------


def chains_of(problem: Sampling) -> Chains:
    """The chains behind a problem.

    Raises:
        TypeError: the draws are of another kind.
    """
    if not isinstance(problem.draw, Chains):
        raise TypeError("claims of samplers are checked on chains of this family, got draws of another kind")
    return problem.draw


def gaussian_chains(method: object, ctx: Context, *, dim: int, kappa: float) -> Chains:
    """Chains of 50 evaluations on a Gaussian."""
    target = Gaussian(dim=dim, kappa=kappa).target()
    return Chains(target, fitting(method), ctx.fork("claim", dim), evaluations=50, start="stationary")


def one_step(target: Target, sampler: Sampler, noise: Noise) -> tuple[Tensor, Tensor]:
    """Functionals at exact draws and one step later, `[20000, F]` each, float64."""
    potential = target.potential()
    x = potential.draw(noise, ROWS)
    state = sampler.init(_rungs(x, sampler, target), potential, noise)
    state, _ = sampler.step(state, potential, noise)
    after = sampler.position(state)
    return target.normalised(target.unit * x).double(), target.normalised(target.unit * after).double()


def _rungs(x: Tensor, sampler: Sampler, target: Target) -> Tensor:
    """Starts of all rungs of tempering at their own laws, where the target is Gaussian: N(m, T S)."""
    if not isinstance(sampler, ParallelTempering):
        return x
    if target.precision is None:
        raise ValueError("rungs can be started at their laws on a Gaussian only; check the claim there")
    centre = (target.centre / target.unit).to(x)
    others = [target.potential().draw(_fresh(x, k), len(x)) for k in range(1, sampler.rungs)]
    gaps = torch.stack([x, *others], dim=1) - centre
    return centre + sampler.temperatures(x).sqrt().unsqueeze(1) * gaps


def _fresh(x: Tensor, index: int) -> Noise:
    return Noise.seeded(index, dtype=x.dtype, device=x.device)


def expected_acceptance(method: object, dim: int) -> float:
    """The mean acceptance on N(0, I) in closed form.

    Raises:
        TypeError: no closed form is known for this method.
    """
    match method:
        case Mala(h=h) | ParallelTempering(h=h):
            return laws.mala_acceptance(h, dim)
        case Hmc(eps=eps, leaps=leaps, jitter=0.0, persistence=0.0):
            return laws.hmc_acceptance(eps, leaps, dim)
        case RandomWalk(sd=sd):
            return laws.walk_acceptance(sd, dim)
    raise TypeError(f"no acceptance is known in closed form for {method!r}; drop the claim")


def shift(name: str, values: Tensor, note: str, *, tolerance: float = TOLERANCE) -> Evidence:
    """A test that the mean of every column of independent rows `[N, K]` is 0; Bonferroni over the columns.

    By the t distribution; the violation is the |mean| that is farthest from 0 in standard errors.
    """
    count, columns = values.shape
    means, errors = values.mean(0), values.std(0) / math.sqrt(count)
    # A column that never differs from 0 keeps its mean exactly.
    z = torch.where(errors > 0, means.abs() / errors, torch.where(means == 0, 0.0, math.inf))
    worst = int(z.argmax())
    p = min(1.0, 2 * columns * float(special.stdtr(count - 1, -float(z[worst]))))
    critical = -float(special.stdtrit(count - 1, ALPHA / (2 * columns)))
    return Evidence(
        claim=name,
        metric="violation",
        value=float(means[worst].abs()),
        statistic=float(z[worst]),
        p=p,
        detectable=(critical + POWER) * float(errors.max()),
        n=count,
        tolerance=tolerance,
        note=f"{note}: {float(means[worst]):+.3g}",
    )


def _critical(columns: int) -> float:
    return -float(special.ndtri(ALPHA / (2 * columns)))
