"""What the family says of its methods and tasks for residual operators."""

from __future__ import annotations

from kexue_bench.api import Case, Claimed, MethodSpec, MetricSpec, TaskSpec

FAMILY = "logdet"
BUDGETS = {"quick": 1024, "standard": 8192, "full": 131072}
_RESIDUAL = frozenset({"residual", "bounded"})
_ROULETTE = "arXiv:1906.02735"

# rho(J) <= ||J|| = c: where the norm obeys the rule the variance exists, and a test of the mean means something.
_RULE = "'residual' in offers and stopping == 'geometric' and task.c * task.c < 1 - probability"
_CLAIMS = (
    Claimed(name="unbiased", when=_RULE),
    Claimed(name="finite-variance", when=f"{_RULE} and 'variance' in offers"),
)

METHODS = (
    MethodSpec(
        name="russian-roulette",
        family=FAMILY,
        target="kexue_logdet.methods.russian_roulette:RussianRoulette",
        summary="Power series cut at random and reweighted: unbiased, finite variance where rho(J)^2 < 1 - p.",
        references=(_ROULETTE,),
        claims=_CLAIMS,
        needs=frozenset({"residual"}),
    ),
    MethodSpec(
        name="neumann-roulette",
        family=FAMILY,
        target="kexue_logdet.methods.neumann_roulette:NeumannRoulette",
        summary="The same value; its gradient by a Neumann series with one differentiated product.",
        references=(_ROULETTE,),
        claims=_CLAIMS,
        needs=frozenset({"residual"}),
    ),
    MethodSpec(
        name="golub-kahan-slq",
        family=FAMILY,
        target="kexue_logdet.methods.golub_kahan_slq:GolubKahanSLQ",
        summary="Lanczos quadrature on (I + J)^T (I + J) by bidiagonalisation; no bound needed.",
        references=("Golub and Kahan 1965, doi:10.1137/0702016", "Ubaru, Chen and Saad 2017, doi:10.1137/16M1104974"),
        cost="(2 * (6 if steps > 6 and 'six' in offers else steps) - (0 if 'gradient' in offers else 1)) * probes",
        needs=frozenset({"residual"}),
    ),
)

_COLUMNS = (
    "estimate",
    "bias",
    "variance",
    "exact-variance",
    "error",
    "work-variance",
    "time",
    "products",
    "memory",
)

TASKS = (
    TaskSpec(
        name="convolution-block",
        family=FAMILY,
        target="kexue_logdet.tasks.convolution_block:ConvolutionBlock",
        summary="I + J of a circular 3 x 3 convolution, norm known exactly; truth frequency by frequency.",
        version=1,
        offers=_RESIDUAL | {"variance"},
        suites={
            "standard": ("convolution-block[c=[0.5,0.9]]",),
            "full": ("convolution-block[c=[0.5,0.7,0.9,0.98],side=[8,32]]",),
        },
        timed=frozenset({"full"}),
        budgets=BUDGETS,
        dtype="float64",
        headline=_COLUMNS,
    ),
    TaskSpec(
        name="reference-matrix",
        family=FAMILY,
        target="kexue_logdet.tasks.reference_matrix:ReferenceMatrix",
        summary="Six-by-six J with closed log-determinants and exact variances.",
        version=1,
        offers=_RESIDUAL | {"variance", "six"},
        suites={
            "quick": ("reference-matrix[name=bidiag6]",),
            "standard": ("reference-matrix[name=[cyc6,mod7_6,mod11_6,bidiag6,negdiag6,mlp6]]",),
            "full": ("reference-matrix[name=[cyc6,mod7_6,mod11_6,bidiag6,negdiag6,mlp6],c=[0.5,0.7,0.9,0.98]]",),
        },
        timed=frozenset(),
        budgets={"quick": 2**14, "standard": 2**16, "full": 2**18},
        dtype="float64",
        headline=_COLUMNS,
    ),
    TaskSpec(
        name="residual-gradient",
        family=FAMILY,
        target="kexue_logdet.tasks.residual_gradient:ResidualGradient",
        summary="Derivative of a residual block's log-determinant in its Lipschitz constant, exact by a solve.",
        version=1,
        offers=_RESIDUAL | {"gradient"},
        suites={
            "quick": ("residual-gradient[d=16]",),
            "standard": ("residual-gradient[c=[0.5,0.9]]",),
            "full": ("residual-gradient[c=[0.5,0.7,0.9,0.98],d=[64,256]]",),
        },
        timed=frozenset({"full"}),
        budgets=BUDGETS,
        dtype="float64",
    ),
    TaskSpec(
        name="density",
        family=FAMILY,
        target="kexue_logdet.tasks.density:Density",
        summary="Two-dimensional density by a residual flow trained through each estimator, against the exact entropy.",
        version=1,
        offers=_RESIDUAL,
        suites={
            "standard": ("density[steps=300]",),
            "full": ("density[data=[checkerboard,eight-gaussians,two-moons]]",),
        },
        timed=frozenset(),
        replicates={"full": 3},
        primary="nll",
        headline=("nll", "entropy-gap", "inverse-error", "lipschitz", "products", "memory"),
    ),
)

METRICS = (
    MetricSpec(name="exact-variance", unit="nats^2", summary="variance of one estimate by its closed form"),
    MetricSpec(name="nll", unit="nats", scale="linear", summary="exact negative log-likelihood of held-out points"),
    MetricSpec(
        name="entropy-gap",
        unit="nats",
        scale="linear",
        summary="negative log-likelihood less the entropy of the data, which no density can beat",
    ),
    MetricSpec(name="inverse-error", summary="largest error of a coordinate after encoding and decoding"),
    MetricSpec(
        name="lipschitz",
        direction="target",
        scale="linear",
        summary="largest product of the true norms of a block's layers; its cap is the target",
    ),
)

LONG = 3000
"""Steps from which a density is trained through every estimator; hours in all."""
SHORT = frozenset({"exact", "neumann-roulette"})


def skip(case: Case) -> str | None:
    """Why a short training is left out: two estimators are compared there, the exact one and the cheapest unbiased."""
    if case.task.name != "density" or int(case.task.params["steps"]) >= LONG or case.method.name in SHORT:
        return None
    return f"a training below {LONG} steps compares {' and '.join(sorted(SHORT))} only; raise steps for all estimators"
