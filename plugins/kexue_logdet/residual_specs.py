"""What the family says of its methods and tasks for residual operators."""

from __future__ import annotations

from kexue_bench.api import Case, Claimed, MethodSpec, MetricSpec, TaskSpec

from .task_specs import RESIDUAL_COLUMNS

FAMILY = "logdet"
BUDGETS = {"quick": 1024, "standard": 2048, "full": 131072}
_RESIDUAL = frozenset({"residual", "bounded"})
_ROULETTE = "arXiv:1906.02735"

# rho(J) <= ||J|| = c: where the norm obeys the rule the variance exists, and a test of the mean means something. A
# norm that the method estimates itself promises nothing.
_KNOWN = "not ('bounds' in offers and task.bounds == 'none')"
_RULE = (
    "'residual' in offers and ((stopping == 'geometric' and task.c * task.c < 1 - probability)"
    f" or (stopping == 'norm' and {_KNOWN}))"
)
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
        variants=("russian-roulette", "russian-roulette[stopping=norm,probes=1]"),
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

TRAINED = (
    "exact",
    "power-series[degree=10,probes=1]",
    "russian-roulette[probes=1]",
    "neumann-roulette[probes=1]",
    "golub-kahan-slq[steps=2,probes=1]",
)
"""Every estimator with a gradient, at what a training can afford."""

TASKS = (
    TaskSpec(
        name="convolution-block",
        family=FAMILY,
        target="kexue_logdet.tasks.convolution_block:ConvolutionBlock",
        summary="I + J of a circular 3 x 3 convolution, norm known exactly; truth frequency by frequency.",
        version=2,
        offers=_RESIDUAL | {"variance"},
        suites={
            "standard": ("convolution-block[c=[0.5,0.7,0.9,0.98]]",),
            "full": ("convolution-block[c=[0.5,0.7,0.9,0.98]]",),
        },
        timed=frozenset(),
        budgets=BUDGETS,
        dtype="float64",
        headline=RESIDUAL_COLUMNS,
    ),
    TaskSpec(
        name="image-convolution",
        family=FAMILY,
        target="kexue_logdet.tasks.convolution_block:ConvolutionBlock",
        summary="The same on images of 32 x 32 with three channels, 3,072 rows.",
        version=1,
        offers=_RESIDUAL | {"variance"},
        suites={
            "standard": ("image-convolution[side=32,budget=60]",),
            "full": ("image-convolution[c=[0.5,0.7,0.9,0.98],side=32]",),
        },
        timed=frozenset({"standard", "full"}),
        budgets={"quick": 64, "standard": 256, "full": 4096},
        dtype="float64",
        headline=RESIDUAL_COLUMNS,
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
        headline=RESIDUAL_COLUMNS,
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
            "standard": ("residual-gradient[c=[0.5,0.7,0.9,0.98]]",),
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
        kind="trained",
        offers=_RESIDUAL,
        suites={
            "standard": ("density[steps=300]",),
            "full": ("density[data=[checkerboard,eight-gaussians,two-moons]]",),
        },
        methods={"standard": ("exact", "neumann-roulette[probes=1]"), "full": TRAINED},
        timed=frozenset(),
        replicates={"full": 3},
        primary="nll",
        headline=("nll", "entropy-gap", "inverse-error", "lipschitz", "products", "memory"),
    ),
)

METRICS = (
    MetricSpec(
        name="spectral-radius",
        direction="target",
        summary="largest |eigenvalue| of J: a roulette's variance is finite where its square is below 1 - p",
    ),
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

DEAR_PRODUCTS, DEAR_STEPS = 16, 300
"""A training of so many steps with so many products an estimate would outlast a case."""


def skip(case: Case) -> str | None:
    """Why a case of this plugin's own is left out: one estimate or one training costs more than it may."""
    if case.method.source != case.task.source:
        return None
    name, fields, task = case.method.name, case.method.params, case.task.params
    if case.task.name == "image-convolution" and name == "exact":
        rows = int(task["channels"]) * int(task["side"]) ** 2
        allowed = int(task["budget"]) or rows
        return f"an estimate costs {rows} products, and the task allows {allowed}" if rows > allowed else None
    if case.task.name == "density" and name == "power-series" and int(task["steps"]) >= DEAR_STEPS:
        products = int(fields["degree"]) * int(fields["probes"])
        if products > DEAR_PRODUCTS:
            return (
                f"{task['steps']} steps with {products} products an estimate take too long; "
                "name a cheaper one, as power-series[degree=10,probes=1]"
            )
    return None
