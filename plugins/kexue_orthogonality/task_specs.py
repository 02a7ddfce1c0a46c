"""The tasks of the family that train, and their metrics. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import Knob, MetricSpec, TaskSpec

_FAMILY = "orthogonality"
_TASKS = "kexue_orthogonality.tasks"
_RATES = Knob(field="lr", grid=(3e-4, 1e-3, 3e-3, 1e-2))
_WEIGHTS = frozenset({"activations"})
_DIGITS = ("test-nll", "test-accuracy", "noisy-accuracy", "orthogonality-error", "time", "flops", "memory")

TASKS = (
    TaskSpec(
        name="digits-mlp",
        family=_FAMILY,
        target=f"{_TASKS}.digits_mlp:DigitsMlp",
        summary="train a fully connected network on digits; nats, accuracy, robustness, orthogonality",
        version=1,
        offers=_WEIGHTS,
        suites={
            "quick": ("digits-mlp[steps=230]",),
            "standard": ("digits-mlp", "digits-mlp[width=128,depth=6]"),
            "full": ("digits-mlp", "digits-mlp[width=128,depth=6]", "digits-mlp[width=128,depth=10]"),
        },
        replicates={"quick": 3, "standard": 10, "full": 20},
        stack=5,
        knobs=(_RATES,),
        primary="test-nll",
        headline=_DIGITS,
    ),
    TaskSpec(
        name="digits-cnn",
        family=_FAMILY,
        target=f"{_TASKS}.digits_cnn:DigitsCnn",
        summary="train two convolutions and a linear layer on digits; also the true norm of the convolutions",
        version=1,
        offers=_WEIGHTS,
        suites={"standard": ("digits-cnn",), "full": ("digits-cnn", "digits-cnn[channels=16]")},
        timed=frozenset({"full"}),
        replicates={"standard": 5, "full": 20},
        stack=5,
        knobs=(_RATES,),
        primary="test-nll",
        headline=("test-nll", "test-accuracy", "noisy-accuracy", "orthogonality-error", "operator-norm", "flops"),
    ),
    TaskSpec(
        name="gaussian-projection",
        family=_FAMILY,
        target=f"{_TASKS}.gaussian_projection:GaussianProjection",
        summary="distance of Gaussian matrices from their polar factor after 6 steps without a loss",
        version=1,
        offers=_WEIGHTS,
        suites={
            "quick": ("gaussian-projection",),
            "standard": ("gaussian-projection",),
            "full": ("gaussian-projection", "gaussian-projection[d=64,k=64]"),
        },
        timed=frozenset({"full"}),
        knobs=(Knob(field="rate", grid=(0.001, 0.01, 0.03, 0.0625, 0.125, 0.25)),),
        budgets={"quick": 256, "standard": 2048, "full": 16384},
        dtype="float64",
        primary="mse",
        headline=("mse", "flops", "memory"),
    ),
)

METRICS = (
    MetricSpec(
        name="orthogonality-error",
        heading="|W'W-I|",
        summary="largest Frobenius norm of W'W - I over the targets, W tall",
    ),
    MetricSpec(
        name="singular-spread",
        heading="smax/smin",
        summary="largest ratio of the largest to the smallest singular value over the targets",
    ),
    MetricSpec(
        name="operator-norm",
        direction="target",
        summary="largest singular value of a convolution on its images, circular borders",
    ),
    MetricSpec(
        name="test-nll",
        heading="nll",
        unit="nats",
        summary="cross-entropy a held-out image",
    ),
    MetricSpec(
        name="test-accuracy",
        heading="accuracy",
        direction="higher",
        scale="linear",
        summary="share of held-out images classified right; standard error .007 of one replicate",
        margin=0.005,
    ),
    MetricSpec(
        name="noisy-accuracy",
        direction="higher",
        scale="linear",
        summary="the same under normal noise of standard deviation .5 on grey levels -1 .. 1",
        margin=0.005,
    ),
    MetricSpec(name="flops", summary="operations in matrix products and factorizations of one step, 2 a multiply-add"),
)
