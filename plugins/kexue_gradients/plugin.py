"""What this plugin registers. Nothing here imports torch: targets are strings, imported by workers only."""

from __future__ import annotations

from kexue_bench.api import FamilySpec, Knob, MethodSpec, MetricSpec, TaskSpec
from kexue_bench.hookspecs import hookimpl

from .method_specs import METHODS

_FAMILY = "gradients"
_TASKS = "kexue_gradients.tasks"
# Every task says besides whether its variables are `bernoulli` or `categorical`; `power`: its parameter is f's degree.
_OFFERS = frozenset({"discrete", "enumerable", "differentiable", "relaxable"})


@hookimpl
def kexue_families() -> list[FamilySpec]:
    """The family."""
    return [
        FamilySpec(
            name=_FAMILY,
            title="gradient estimators",
            summary="estimators of the gradient of E f(x), x discrete, with respect to the logits of x",
            contract="kexue_gradients.contract:GradientMethod",
            precision_metric="mse",
            baseline="reinforce",
            headline=("bias", "variance", "work-variance", "time", "evaluations", "memory"),
            work="evaluations",
        )
    ]


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Score-function methods first, then those that need the gradient of f."""
    return list(METHODS)


@hookimpl
def kexue_tasks() -> list[TaskSpec]:
    """Toys with closed forms, real data at frozen parameters, and training."""
    return [
        TaskSpec(
            name="bernoulli-toy",
            family=_FAMILY,
            target=f"{_TASKS}.bernoulli_toy:BernoulliToy",
            summary="f = mean |b - t|^power over bits with one logit, exact gradient known",
            version=1,
            offers=_OFFERS | {"bernoulli", "power"},
            suites={
                "quick": ("bernoulli-toy", "bernoulli-toy[power=3.0]", "bernoulli-toy[bits=200,t=0.499]"),
                "standard": (
                    "bernoulli-toy[theta=[-1.2,0.0,0.5,2.0]]",
                    "bernoulli-toy[power=[1.5,3.0]]",
                    "bernoulli-toy[t=0.499,theta=0.0]",
                    "bernoulli-toy[bits=200,t=0.499]",
                ),
                "full": (
                    "bernoulli-toy[theta=[-1.2,0.0,0.5,2.0],t=[0.45,0.49,0.499],power=[1.5,2.0,3.0]]",
                    "bernoulli-toy[bits=200,t=0.499,power=[2.0,3.0]]",
                ),
            },
            timed=frozenset({"standard", "full"}),
            budgets={"quick": 2**18, "standard": 2**21, "full": 2**24},
            primary="work-variance",
        ),
        TaskSpec(
            name="categorical-toy",
            family=_FAMILY,
            target=f"{_TASKS}.categorical_toy:CategoricalToy",
            summary="f = (w . x - t)^power for one choice of three, exact gradient known",
            version=1,
            offers=_OFFERS | {"categorical", "power"},
            suites={
                "quick": ("categorical-toy[power=[2,3]]",),
                "standard": ("categorical-toy[power=[2,3]]", "categorical-toy[point=peaked]"),
                "full": ("categorical-toy[power=[2,3],point=[flat,peaked]]",),
            },
            timed=frozenset({"standard", "full"}),
            budgets={"quick": 2**18, "standard": 2**21, "full": 2**24},
            primary="work-variance",
        ),
        TaskSpec(
            name="digits-vae-frozen",
            family=_FAMILY,
            target=f"{_TASKS}.digits_vae_frozen:DigitsVaeFrozen",
            summary="gradient of an 8-bit autoencoder of digits at stored parameters, 32 images, exact by enumeration",
            version=1,
            offers=_OFFERS | {"bernoulli"},
            suites=dict.fromkeys(("quick", "standard", "full"), ("digits-vae-frozen",)),
            budgets={"quick": 2**13, "standard": 2**16, "full": 2**20},
            primary="work-variance",
            headline=("relative-bias", "variance", "work-variance", "cosine", "time", "evaluations", "memory"),
        ),
        TaskSpec(
            name="digits-vae",
            family=_FAMILY,
            target=f"{_TASKS}.digits_vae:DigitsVae",
            summary="train an 8-bit autoencoder of digits; exact ELBO over the 256 states",
            version=1,
            offers=_OFFERS | {"bernoulli"},
            suites={
                "quick": ("digits-vae[steps=1000]",),
                "standard": ("digits-vae[steps=2000]",),
                "full": ("digits-vae[steps=[2000,8000]]",),
            },
            timed=frozenset({"standard", "full"}),
            replicates={"quick": 5, "standard": 10, "full": 20},
            stack=5,
            knobs=(Knob(field="lr", grid=(3e-4, 1e-3, 3e-3, 1e-2, 3e-2)),),
            primary="elbo",
            headline=("elbo", "elbo-test", "time", "evaluations", "memory"),
        ),
    ]


@hookimpl
def kexue_metrics() -> list[MetricSpec]:
    """Metrics of this family beside the core's."""
    return [
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
    ]
