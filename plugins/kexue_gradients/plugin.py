"""What this plugin registers. Nothing here imports torch: targets are strings, imported by workers only."""

from __future__ import annotations

from kexue_bench.api import FamilySpec, Knob, MethodSpec, MetricSpec, TaskSpec
from kexue_bench.hookspecs import hookimpl

from .method_specs import METHODS
from .task_specs import FROZEN_TASKS

_FAMILY = "gradients"
_TASKS = "kexue_gradients.tasks"
_TRAINED = frozenset({"expectation", "discrete", "enumerable", "differentiable", "relaxable"})


@hookimpl
def kexue_families() -> list[FamilySpec]:
    """The family."""
    return [
        FamilySpec(
            name=_FAMILY,
            title="gradient estimators",
            summary="estimators of the gradient of E f(x) with respect to the parameters of the law of x",
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
        *FROZEN_TASKS,
        TaskSpec(
            name="digits-vae",
            family=_FAMILY,
            target=f"{_TASKS}.digits_vae:DigitsVae",
            summary="train an 8-bit autoencoder of digits; exact ELBO over the 256 states",
            version=1,
            offers=_TRAINED | {"bernoulli"},
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
