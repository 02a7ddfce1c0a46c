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
        offers=_SMOOTH | {"categorical"},
        methods=_METHODS,
        suites={
            "standard": ("digits-vae-classes[steps=1000]",),
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
        offers=_SMOOTH | {"bernoulli"},
        methods=_METHODS,
        suites={"standard": ("digits-completion[steps=1000]",), "full": ("digits-completion[steps=[2000,8000]]",)},
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
        offers=_SMOOTH | {"categorical", "power"},
        methods=_METHODS,
        suites={"full": ("polynomial-programming[power=[1.5,2.0,3.0]]",)},
        timed=frozenset({"full"}),
        replicates={"full": 10},
        stack=5,
        primary="excess",
        headline=("excess", "time", "evaluations", "memory"),
    ),
    TaskSpec(
        name="double-cv-toy",
        family=_FAMILY,
        target=f"{_TASKS}.double_cv_toy:DoubleCvToy",
        summary="maximise E mean (b - .499)^2 over 200 bits in 2,000 steps; the expectation is exact",
        version=1,
        offers=_SMOOTH | {"bernoulli"},
        methods={"standard": (*CHOSEN_METHODS, "muprop", "double-cv")},
        suites={"standard": ("double-cv-toy",), "full": ("double-cv-toy", "double-cv-toy[repeats=2]")},
        timed=frozenset({"full"}),
        replicates={"standard": 5, "full": 10},
        stack=5,
        primary="objective",
        headline=("objective", "time", "evaluations", "memory"),
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
    MetricSpec(name="excess", summary="exact expectation of f after training, above its smallest value"),
    MetricSpec(
        name="objective", direction="higher", scale="linear", summary="exact expectation of f, to be made large"
    ),
)
