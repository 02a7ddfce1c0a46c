"""The tasks of the family that train: suites, replicates and what each offers. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import Knob, MetricSpec, TaskSpec

from .task_specs import CHOSEN_METHODS

_FAMILY = "gradients"
_TASKS = "kexue_gradients.tasks"
_SMOOTH = frozenset({"expectation", "discrete", "enumerable", "differentiable", "relaxable"})
_RATES = Knob(field="lr", grid=(3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1))
# A training costs as much as a hundred frozen problems: only `full` trains with every method.
_METHODS = {"quick": CHOSEN_METHODS, "standard": (*CHOSEN_METHODS, "disarm-tree", "rebar")}

TRAINED_TASKS = (
    TaskSpec(
        name="digits-vae",
        family=_FAMILY,
        target=f"{_TASKS}.digits_vae:DigitsVae",
        summary="train an 8-bit autoencoder of digits; exact ELBO over the 256 states",
        version=1,
        kind="trained",
        offers=_SMOOTH | {"bernoulli"},
        methods=_METHODS,
        suites={
            "quick": ("digits-vae[steps=1000]",),
            "standard": ("digits-vae[steps=2000]",),
            "full": ("digits-vae[steps=[2000,8000]]",),
        },
        timed=frozenset({"standard", "full"}),
        replicates={"quick": 5, "standard": 10, "full": 20},
        stack=5,
        knobs=(_RATES,),
        primary="elbo",
        headline=("elbo", "elbo-test", "time", "evaluations", "memory"),
    ),
    TaskSpec(
        name="digits-vae-classes",
        family=_FAMILY,
        target=f"{_TASKS}.digits_vae:DigitsVaeClasses",
        summary="train an autoencoder of digits with four choices of four; exact ELBO over the 256 states",
        version=1,
        kind="trained",
        offers=_SMOOTH | {"categorical"},
        methods=_METHODS,
        suites={
            "standard": ("digits-vae-classes[steps=2000]",),
            "full": ("digits-vae-classes[steps=[2000,8000]]",),
        },
        timed=frozenset({"full"}),
        replicates={"standard": 5, "full": 20},
        stack=5,
        knobs=(_RATES,),
        primary="elbo",
        headline=("elbo", "elbo-test", "time", "evaluations", "memory"),
    ),
    TaskSpec(
        name="digits-completion",
        family=_FAMILY,
        target=f"{_TASKS}.digits_completion:DigitsCompletion",
        summary="train eight bits between the upper and the lower half of digits; exact bound over the 256 states",
        version=1,
        kind="trained",
        offers=_SMOOTH | {"bernoulli"},
        methods=_METHODS,
        suites={"standard": ("digits-completion[steps=2000]",), "full": ("digits-completion[steps=[2000,8000]]",)},
        timed=frozenset({"full"}),
        replicates={"standard": 5, "full": 20},
        stack=5,
        knobs=(_RATES,),
        primary="elbo",
        headline=("elbo", "elbo-test", "time", "evaluations", "memory"),
    ),
    TaskSpec(
        name="polynomial-programming",
        family=_FAMILY,
        target=f"{_TASKS}.polynomial_programming:PolynomialProgramming",
        summary="push 128 two-class variables to the better side; the optimum .45^power is known",
        version=1,
        kind="trained",
        offers=_SMOOTH | {"categorical", "power"},
        methods={"standard": ("exact", "reinforce", "rloo", "straight-through", "gumbel-softmax", "reinmax")},
        # The 8,000 steps of the paper cost a method 40 CPU seconds.
        suites={
            "standard": ("polynomial-programming[power=1.5,steps=2000]",),
            "full": ("polynomial-programming[power=[1.5,2.0,3.0]]",),
        },
        timed=frozenset({"full"}),
        replicates={"standard": 5, "full": 10},
        stack=5,
        primary="excess",
        headline=("excess", "time", "evaluations", "memory"),
    ),
    TaskSpec(
        name="double-cv-toy",
        family=_FAMILY,
        target=f"{_TASKS}.double_cv_toy:DoubleCvToy",
        summary="maximise E mean (b - .499)^2 over 200 bits in 2,000 steps; the expectation is exact",
        version=2,
        kind="trained",
        offers=_SMOOTH | {"bernoulli"},
        methods={
            "standard": (
                "exact",
                "reinforce",
                "exact-baseline[n=2]",
                "rloo",
                "disarm",
                "muprop",
                "double-cv[rate=0.0005,warmup=0]",
            )
        },
        suites=dict.fromkeys(("standard", "full"), ("double-cv-toy[repeats=[1,2]]",)),
        timed=frozenset({"full"}),
        replicates={"standard": 5, "full": 10},
        stack=10,
        primary="objective",
        headline=("objective", "coordinate-variance", "time", "evaluations", "memory"),
    ),
    TaskSpec(
        name="relax-toy",
        family=_FAMILY,
        target=f"{_TASKS}.relax_toy:RelaxToy",
        summary="train one bit for 5,000 steps at t = .499 and watch the variance of its gradient",
        version=1,
        kind="record",
        offers=_SMOOTH | {"bernoulli"},
        methods=dict.fromkeys(
            ("standard", "full"),
            ("reinforce", "rebar[rate=0.01,coupled=false]", "relax[eta=0.0,rate=0.01,coupled=false]"),
        ),
        suites=dict.fromkeys(("standard", "full"), ("relax-toy",)),
        timed=frozenset(),
        replicates={"standard": 10, "full": 10},
        stack=10,
        primary="path-variance",
        headline=("path-variance", "excess", "time"),
    ),
    TaskSpec(
        name="arm-toy",
        family=_FAMILY,
        target=f"{_TASKS}.arm_toy:ArmToy",
        summary="200 climbs of one bit against the climb on the true gradient, one estimate a step",
        version=1,
        kind="record",
        offers=_SMOOTH | {"bernoulli"},
        methods=dict.fromkeys(("standard", "full"), ("exact", "reinforce", "arm")),
        suites=dict.fromkeys(("standard", "full"), ("arm-toy[t=[0.499,0.501]]",)),
        timed=frozenset(),
        replicates={"standard": 3, "full": 10},
        stack=10,
        primary="path-gap",
        headline=("path-gap", "wrong-side", "time"),
    ),
)

METRICS = (
    MetricSpec(name="evaluations", heading="evals", summary="evaluations of f for one estimate"),
    MetricSpec(name="backwards", summary="backward passes through f for one estimate"),
    MetricSpec(
        name="elbo",
        unit="nats",
        direction="higher",
        scale="linear",
        summary="exact evidence lower bound of an image, training images",
    ),
    MetricSpec(
        name="elbo-test",
        heading="elbo (test)",
        unit="nats",
        direction="higher",
        scale="linear",
        summary="exact evidence lower bound of an image, held-out images",
    ),
    MetricSpec(
        name="coordinate-variance", heading="coord. var", summary="variance of a step's estimate, mean over parameters"
    ),
    MetricSpec(
        name="path-variance",
        heading="path var",
        summary="variance of an estimate at the parameters that training reaches, geometric mean over the path",
    ),
    MetricSpec(
        name="path-gap",
        scale="linear",
        summary="largest distance in probability to the climb on the true gradient, median over runs",
    ),
    MetricSpec(name="wrong-side", scale="linear", summary="share of runs that end nearer to the worse corner"),
    MetricSpec(name="excess", summary="exact expectation of f after training, above its smallest value"),
    MetricSpec(
        name="objective", direction="higher", scale="linear", summary="exact expectation of f, to be made large"
    ),
)
