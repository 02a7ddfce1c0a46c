"""Other libraries behind the contract of this family; each is imported when its method is first called."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from kexue_bench import Unless, method

from ..blocks import need_logdet, need_spd
from ..contract import LogdetSample, Operator, afford
from ..words import LOGDET_ONLY, NO_GRADIENT, NO_INVERSE, NO_LOGDET, OVER_BUDGET

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

INSTALL = "pip install 'kexue-bench[competitors]'"
ALGORITHMS = ("hutchinson_trace", "hutchpp_trace", "xtrace")
COLA_PROBES = 100
"""CoLA's Hutch uses this many probes, or n, whatever its argument `bs`."""


@contextmanager
def _seeded(noise: Noise) -> Iterator[int]:
    """A seed from the stream; inside, torch's global generators start from it, for libraries that use only these."""
    seed = int(noise.integers(2**31 - 1, 1))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield seed


def _stacked(values: list[float], op: Operator) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, device=op.device)


@method(
    "linear-operator",
    "inv_quad_logdet of linear_operator (GPyTorch), with counted products",
    references=("Gardner et al. 2018, arXiv:1809.11165",),
    claims=("small-determinant",),
    cost="(steps + 1) * probes",
    needs="spd",
    unless=(*LOGDET_ONLY, OVER_BUDGET),
    requires="linear_operator",
    install=INSTALL,
    order=160,
)
@dataclass(frozen=True, kw_only=True)
class LinearOperatorLogdet:
    """`inv_quad_logdet` of linear_operator, GPyTorch's library: SLQ on the tridiagonal matrices of conjugate gradients.

    Probes are normalized Gaussian vectors, so that the variance is that of sphere probes. No preconditioner. Products
    are counted when the library calls `_matmul`; it spends one per probe on the residual of its zero start.

    Args:
        steps: largest number of conjugate-gradient steps, and quadrature points; >= 1.
        probes: `num_trace_samples`, >= 1. A repeat costs (steps + 1) probes products.
        tolerance: `cg_tolerance`, 1 in the library.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> op = Operator.of(torch.diag(torch.linspace(1.0, 4.0, 50, dtype=torch.float64)), "spd")
        >>> sample = LinearOperatorLogdet().estimate(op, budget=200, noise=noise, repeats=4)
    """

    steps: int = 19
    probes: int = 3
    tolerance: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.probes < 1 or not self.tolerance > 0:
            got = f"{self.steps}, {self.probes} and {self.tolerance}"
            raise ValueError(f"steps and probes must be >= 1 and tolerance > 0, got {got}")

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`; repeats run one after the other."""
        from linear_operator import settings  # pyright: ignore[reportMissingImports]  # an optional extra

        need_logdet(op, "linear-operator")
        afford((self.steps + 1) * self.probes, budget)
        wrapped = _linear_operator()(torch.zeros(op.n, dtype=op.dtype, device=op.device), op=op)
        values = []
        with ExitStack() as stack, _seeded(noise):
            for setting in (
                settings.max_cholesky_size(1),
                settings.max_preconditioner_size(0),
                settings.num_trace_samples(self.probes),
                settings.max_cg_iterations(self.steps),
                settings.max_lanczos_quadrature_iterations(self.steps),
                settings.cg_tolerance(self.tolerance),
            ):
                stack.enter_context(setting)
            values = [float(wrapped.inv_quad_logdet(inv_quad_rhs=None, logdet=True)[1]) for _ in range(repeats)]
        return LogdetSample(value=_stacked(values, op))


@functools.cache
def _linear_operator() -> Any:
    from linear_operator import LinearOperator  # pyright: ignore[reportMissingImports]  # an optional extra

    class Counted(LinearOperator):
        """Sends every product to the operator that counts it."""

        def __init__(self, like: torch.Tensor, op: Operator) -> None:
            # The library rebuilds an operator from its tensors and keywords.
            super().__init__(like, op=op)
            self.op = op

        def _matmul(self, rhs: torch.Tensor) -> torch.Tensor:
            return self.op.mv(rhs if rhs.ndim > 1 else rhs.unsqueeze(-1)).reshape(rhs.shape)

        def _size(self) -> torch.Size:
            return torch.Size([self.op.n, self.op.n])

        def _transpose_nonbatch(self) -> Counted:
            return self

    return Counted


@method(
    "cola",
    "cola.linalg.logdet, always with 100 Gaussian probes, with counted products",
    references=("Potapczynski et al. 2023, arXiv:2309.03060",),
    claims=("small-determinant",),
    cost="100 * steps",
    needs="spd",
    unless=(*LOGDET_ONLY, OVER_BUDGET),
    requires="cola",
    install=INSTALL,
    order=170,
)
@dataclass(frozen=True, kw_only=True)
class CoLALogdet:
    """`cola.linalg.logdet` with Lanczos and Hutchinson probes.

    Version 0.0.7 returns |tr log A| and keeps its sign as the phase of the determinant: wrong if the determinant is
    below 1, which the claim `small-determinant` shows. Its probes are Gaussian, min(100, n) of them whatever number is
    requested; the key is drawn from the stream, because that of the library is fixed.

    Args:
        steps: Lanczos steps, >= 1. A repeat costs 100 steps products.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> op = Operator.of(torch.diag(torch.linspace(1.0, 4.0, 50, dtype=torch.float64)), "spd")
        >>> sample = CoLALogdet().estimate(op, budget=2000, noise=noise, repeats=4)
    """

    steps: int = 20

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`; repeats run one after the other."""
        import cola  # pyright: ignore[reportMissingImports]  # an optional extra

        need_logdet(op, "cola")
        afford(COLA_PROBES * self.steps, budget)
        a = cola.PSD(cola.ops.LinearOperator(op.dtype, (op.n, op.n), matmat=op.mv))
        values = []
        with _seeded(noise) as seed:
            for repeat in range(repeats):
                # A tolerance of 1 is met by the first block of probes.
                probes = cola.linalg.Hutch(tol=1.0, max_iters=1, key=seed + repeat)
                values.append(float(cola.linalg.logdet(a, cola.linalg.Lanczos(max_iters=self.steps), probes)))
        return LogdetSample(value=_stacked(values, op))


@method(
    "imate",
    "imate.logdet on the sparse matrix itself, without counted products",
    references=("github.com/ameli/imate",),
    claims=("small-determinant",),
    needs={"spd", "entries"},
    unless=(
        *LOGDET_ONLY,
        # Its products cannot be counted, but the budget applies to those that it declares.
        Unless(
            when="steps * probes > task.allowed and claim != 'small-determinant'",
            because="an estimate costs {steps * probes} products; the task allows {task.allowed}",
        ),
    ),
    requires="imate",
    install=INSTALL,
    order=180,
)
@dataclass(frozen=True, kw_only=True)
class Imate:
    """SLQ in C++.

    Only `entries` are counted, the nonzeros of its input, not products. The declared work is steps * probes products,
    as the library defines them.

    Args:
        steps: `lanczos_degree`, >= 1.
        probes: both the least and the largest number of samples, >= 2.
        orthogonalisation: `none`, the library's default, or `full`.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import GridLaplacian
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> sample = Imate().estimate(GridLaplacian().operator(), 60, noise, repeats=4)
    """

    steps: int = 20
    probes: int = 3
    orthogonalisation: str = "none"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.probes < 2:
            raise ValueError(f"steps must be >= 1 and probes >= 2, got {self.steps} and {self.probes}")
        if self.orthogonalisation not in ("none", "full"):
            raise ValueError(f"orthogonalisation must be one of none, full, got {self.orthogonalisation!r}")

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`; repeats run one after the other, on one thread."""
        import imate  # pyright: ignore[reportMissingImports]  # an optional extra

        need_logdet(op, "imate")
        afford(self.steps * self.probes, budget)
        matrix = op.entries().tocsr()
        values, errors = [], []
        for seed in noise.integers(2**31 - 1, repeats).tolist():
            value, info = imate.logdet(
                matrix,
                method="slq",
                min_num_samples=self.probes,
                max_num_samples=self.probes,
                lanczos_degree=self.steps,
                orthogonalize=-1 if self.orthogonalisation == "full" else 0,
                num_threads=1,
                seed=seed,
                return_info=True,
            )
            values.append(float(value))
            samples = torch.as_tensor(info["convergence"]["samples"], dtype=torch.float64)
            errors.append(float(samples.std()) / self.probes**0.5)
        return LogdetSample(value=_stacked(values, op), stderr=_stacked(errors, op))


@method(
    "curvlinops",
    "Hutchinson, Hutch++ and XTrace of curvlinops, with counted products",
    references=("Dangel et al. 2025, arXiv:2501.19183",),
    claims=("unbiased",),
    cost="vectors",
    needs="trace",
    unless=(NO_GRADIENT, NO_INVERSE, NO_LOGDET, OVER_BUDGET),
    requires="curvlinops",
    install=INSTALL,
    order=190,
)
@dataclass(frozen=True, kw_only=True)
class Curvlinops:
    """`curvlinops.hutchinson_trace`, `hutchpp_trace` and `xtrace`: a product is counted when the library multiplies.

    Args:
        vectors: `num_matvecs` per repeat, < n; divisible by 3 for `hutchpp_trace` and by 2 for `xtrace`.
        algorithm: `hutchinson_trace`, `hutchpp_trace` or `xtrace`.
        distribution: `rademacher` or `normal`.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = torch.diag(torch.linspace(1.0, 4.0, 80, dtype=torch.float64))
        >>> op = Operator.of(matrix, "spd", target="trace")
        >>> sample = Curvlinops().estimate(op, budget=60, noise=noise, repeats=4)
    """

    vectors: int = 60
    algorithm: str = "xtrace"
    distribution: str = "rademacher"

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {self.algorithm!r}")
        if self.distribution not in ("rademacher", "normal"):
            raise ValueError(f"distribution must be one of rademacher, normal, got {self.distribution!r}")
        divisor = {"hutchpp_trace": 3, "xtrace": 2}.get(self.algorithm, 1)
        if self.vectors < divisor or self.vectors % divisor:
            raise ValueError(f"vectors of {self.algorithm} must be a multiple of {divisor}, got {self.vectors}")

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`; repeats run one after the other."""
        import curvlinops  # pyright: ignore[reportMissingImports]  # an optional extra

        need_spd(op, "curvlinops")
        if op.target != "trace":
            raise ValueError(f"curvlinops estimates traces, got the target {op.target!r}; use slq or hutch++")
        afford(self.vectors, budget)
        algorithm, wrapped = getattr(curvlinops, self.algorithm), _Counted(op)
        with _seeded(noise):
            values = [float(algorithm(wrapped, self.vectors, self.distribution)) for _ in range(repeats)]
        return LogdetSample(value=_stacked(values, op))


class _Counted:
    """The interface that curvlinops requires of a matrix."""

    def __init__(self, op: Operator) -> None:
        self.shape, self.device, self.dtype = (op.n, op.n), op.device, op.dtype
        self._op = op

    def __matmul__(self, block: torch.Tensor) -> torch.Tensor:
        return self._op.mv(block)
