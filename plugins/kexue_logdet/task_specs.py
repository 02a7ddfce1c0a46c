"""What the family says of its tasks for SPD operators, and of the residual block."""

from __future__ import annotations

from kexue_bench.api import TaskSpec

FAMILY = "logdet"
BUDGETS = {"quick": 1024, "standard": 8192, "full": 131072}

TASKS = (
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
)
"""Every task offers its kind (`spd`, `residual`) and, where it knows a bound of the spectrum, `bounded`."""
