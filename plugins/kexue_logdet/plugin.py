"""What the family registers. Imports neither torch nor a method."""

from __future__ import annotations

from kexue_bench.api import Claimed, FamilySpec, MethodSpec, MetricSpec, TaskSpec
from kexue_bench.hookspecs import hookimpl

FAMILY = "logdet"
BUDGETS = {"quick": 1024, "standard": 8192, "full": 131072}


@hookimpl
def kexue_families() -> list[FamilySpec]:
    """The family; its baseline is the plainest estimator that runs on both kinds of operator."""
    return [
        FamilySpec(
            name=FAMILY,
            title="Log-determinants",
            summary="Stochastic estimates of log det A and log |det(I + J)| from products with vectors.",
            contract="kexue_logdet.contract:LogdetMethod",
            precision_metric="mse",
            baseline="power-series",
            headline=("estimate", "bias", "variance", "error", "work-variance", "time", "products", "memory"),
            work="products",
        )
    ]


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """One call of either estimator at its defaults is 60 products."""
    return [
        MethodSpec(
            name="exact",
            family=FAMILY,
            target="kexue_logdet.methods.exact:Exact",
            summary="Dense LU after n products with the identity.",
            claims=(Claimed(name="deterministic"),),
        ),
        MethodSpec(
            name="power-series",
            family=FAMILY,
            target="kexue_logdet.methods.power_series:PowerSeries",
            summary="Power series of log(1 + x) cut after `degree` terms, traces by Hutchinson probes.",
            references=("Behrmann et al. 2019, arXiv:1811.00995", "Boutsidis et al. 2017, arXiv:1503.00374"),
            cost="degree * probes",
            needs=frozenset({"bounded"}),
        ),
        MethodSpec(
            name="slq",
            family=FAMILY,
            target="kexue_logdet.methods.slq:SLQ",
            summary="Stochastic Lanczos quadrature with full reorthogonalisation.",
            references=("Ubaru, Chen and Saad 2017, doi:10.1137/16M1104974",),
            cost="steps * probes",
            needs=frozenset({"spd"}),
        ),
    ]


@hookimpl
def kexue_tasks() -> list[TaskSpec]:
    """Every task offers its kind (`spd`, `residual`) and, where it knows a bound of the spectrum, `bounded`."""
    return [
        TaskSpec(
            name="grid-laplacian",
            family=FAMILY,
            target="kexue_logdet.tasks.grid_laplacian:GridLaplacian",
            summary="2-D Dirichlet grid, matrix-free: Laplacian plus tau times the identity; closed-form truth.",
            version=1,
            offers=frozenset({"spd", "bounded"}),
            suites={
                "quick": ("grid-laplacian",),
                "standard": ("grid-laplacian[tau=[1.0,0.01]]",),
                "full": ("grid-laplacian[side=[32,128],tau=[1.0,0.01]]",),
            },
            timed=frozenset({"standard", "full"}),
            budgets=BUDGETS,
            dtype="float64",
        ),
        TaskSpec(
            name="rbf-kernel",
            family=FAMILY,
            target="kexue_logdet.tasks.rbf_kernel:RBFKernel",
            summary="RBF kernel matrix of a real data set plus noise on its diagonal; truth by Cholesky.",
            version=1,
            offers=frozenset({"spd", "bounded"}),
            suites={
                "quick": ("rbf-kernel",),
                "standard": ("rbf-kernel[sigma2=[0.1,0.01]]",),
                "full": ("rbf-kernel[dataset=[iris,wine,breast_cancer,digits],sigma2=[1.0,0.1,0.01]]",),
            },
            timed=frozenset({"quick", "standard", "full"}),
            budgets=BUDGETS,
            dtype="float64",
        ),
        TaskSpec(
            name="residual-block",
            family=FAMILY,
            target="kexue_logdet.tasks.residual_block:ResidualBlock",
            summary="I + J of a residual block c S^T tanh(F x), J far from symmetric, products by autodiff.",
            version=1,
            offers=frozenset({"residual", "bounded"}),
            suites={
                "quick": ("residual-block[c=[0.5,0.9]]",),
                "standard": ("residual-block[c=[0.5,0.7,0.9]]",),
                "full": ("residual-block[c=[0.5,0.7,0.9,0.98],d=[64,256]]",),
            },
            timed=frozenset({"standard", "full"}),
            budgets=BUDGETS,
            dtype="float64",
        ),
    ]


@hookimpl
def kexue_metrics() -> list[MetricSpec]:
    """Metrics beyond the core's."""
    return [
        MetricSpec(name="error", unit="nats", summary="mean of |estimate - truth| / n, nats per dimension"),
        MetricSpec(name="products", summary="products of the operator with one vector, per estimate", scale="log"),
    ]
