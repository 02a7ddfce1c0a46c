"""The tasks of the family that train, and their metrics. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import Knob, MetricSpec, TaskSpec

_FAMILY = "orthogonality"
_TASKS = "kexue_orthogonality.tasks"
_RATES = Knob(field="lr", grid=(1e-3, 3e-3, 1e-2))
_INPUTS = frozenset({"inputs"})
_ANGLES = ("som[estimator=[batch,split,random,exact]]",)
_DIGITS = ("test-nll", "test-accuracy", "noisy-accuracy", "orthogonality-error", "time", "flops", "memory")

# One of each idea; the others join where a training is cheap.
CHOSEN_METHODS = (
    "none",
    "weight-decay",
    "orthogonal-init",
    "spectral-norm",
    "soft",
    "srip[solver=two-step]",
    "som",
    "parametrization[map=cayley]",
    "riemannian-sgd",
    "landing",
    "polar-projection",
)
# The penalties and maps that a training of minutes can afford besides.
MORE_METHODS = (
    *CHOSEN_METHODS,
    "double-soft",
    "off-diagonal",
    "off-diagonal[gradient=released]",
    "srip",
    "mc-entry",
    "mc-induced",
    "coherence",
    "som[estimator=split]",
    "mhe",
    "parametrization[map=[matrix_exp,householder]]",
    "newton-schulz",
    "muon",
)
_RECURRENT = ("none", "orthogonal-init", "soft", "parametrization[map=cayley]", "riemannian-sgd", "landing")
_AT_THE_START = ("none", "orthogonal-init", "spectral-norm", "parametrization[map=cayley]", "polar-express")

TASKS = (
    TaskSpec(
        name="digits-mlp",
        family=_FAMILY,
        target=f"{_TASKS}.digits_mlp:DigitsMlp",
        summary="train a fully connected network on digits; nats, accuracy, robustness, orthogonality",
        version=1,
        kind="trained",
        offers=_INPUTS,
        suites={
            "quick": ("digits-mlp[steps=230]",),
            "standard": ("digits-mlp",),
            "full": ("digits-mlp", "digits-mlp[steps=4600]"),
        },
        methods={"quick": CHOSEN_METHODS, "standard": MORE_METHODS},
        timed=frozenset({"standard", "full"}),
        replicates={"quick": 3, "standard": 10, "full": 20},
        stack=5,
        knobs=(_RATES,),
        primary="test-nll",
        headline=_DIGITS,
    ),
    TaskSpec(
        name="digits-mlp-large",
        family=_FAMILY,
        target=f"{_TASKS}.digits_mlp:DigitsMlpLarge",
        summary="the same with six hidden layers of 128",
        version=1,
        kind="trained",
        offers=_INPUTS,
        suites={
            "standard": ("digits-mlp-large[steps=230]",),
            "full": ("digits-mlp-large", "digits-mlp-large[depth=10]"),
        },
        methods={"standard": CHOSEN_METHODS},
        timed=frozenset({"full"}),
        replicates={"standard": 5, "full": 20},
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
        kind="trained",
        offers=_INPUTS,
        suites={"standard": ("digits-cnn",), "full": ("digits-cnn", "digits-cnn[channels=16]")},
        methods={"standard": (*CHOSEN_METHODS, "ocnn", "ocnn[padding=released]")},
        timed=frozenset({"full"}),
        replicates={"standard": 5, "full": 20},
        stack=5,
        knobs=(_RATES,),
        primary="test-nll",
        headline=("test-nll", "test-accuracy", "noisy-accuracy", "orthogonality-error", "operator-norm", "flops"),
    ),
    TaskSpec(
        name="deep-mlp",
        family=_FAMILY,
        target=f"{_TASKS}.deep_mlp:DeepMlp",
        summary="train 50 layers of tanh units on digits; how much of the gradient reaches the first",
        version=1,
        kind="trained",
        offers=_INPUTS,
        suites={"standard": ("deep-mlp",), "full": ("deep-mlp", "deep-mlp[steps=1000]")},
        methods={"standard": _RECURRENT},
        timed=frozenset({"full"}),
        replicates={"standard": 5, "full": 20},
        stack=5,
        knobs=(_RATES,),
        primary="test-nll",
        headline=("test-nll", "test-accuracy", "gradient-ratio", "orthogonality-error", "flops"),
    ),
    TaskSpec(
        name="copy-memory",
        family=_FAMILY,
        target=f"{_TASKS}.copy_memory:CopyMemory",
        summary="a recurrent network says ten symbols again after a delay; the best without memory is known",
        version=1,
        kind="trained",
        suites={
            "standard": ("copy-memory",),
            "full": ("copy-memory[steps=2000]", "copy-memory[delay=100,units=128,steps=2000]"),
        },
        methods={"standard": _RECURRENT},
        timed=frozenset({"full"}),
        replicates={"standard": 5, "full": 10},
        stack=5,
        knobs=(_RATES,),
        primary="copy-nll",
        headline=("copy-nll", "copy-share", "copy-accuracy", "orthogonality-error", "time", "flops"),
    ),
    TaskSpec(
        name="deep-linear",
        family=_FAMILY,
        target=f"{_TASKS}.deep_linear:DeepLinear",
        summary="growth of a signal through 50 linear layers at their start; orthogonal ones keep it",
        version=1,
        suites={"standard": ("deep-linear",), "full": ("deep-linear", "deep-linear[width=[8,128]]")},
        methods={"standard": _AT_THE_START, "full": _AT_THE_START},
        timed=frozenset({"full"}),
        budgets={"standard": 256, "full": 8192},
        dtype="float64",
        primary="mse",
        headline=("estimate", "bias", "variance", "mse"),
    ),
    TaskSpec(
        name="som-estimates",
        family=_FAMILY,
        target=f"{_TASKS}.som_estimates:SomEstimates",
        summary="the self-orthogonality penalty of one batch against that of the true angles",
        version=1,
        offers=_INPUTS,
        suites={
            "standard": ("som-estimates[inputs=[normal,positive]]", "som-estimates[weights=gaussian]"),
            "full": ("som-estimates[inputs=[normal,correlated,positive],weights=[orthogonal,gaussian]]",),
        },
        methods={"standard": _ANGLES, "full": _ANGLES},
        timed=frozenset({"full"}),
        budgets={"standard": 16384, "full": 131072},
        dtype="float64",
        primary="mse",
        headline=("estimate", "bias", "variance", "mse"),
    ),
    TaskSpec(
        name="gaussian-projection",
        family=_FAMILY,
        target=f"{_TASKS}.gaussian_projection:GaussianProjection",
        summary="distance of Gaussian matrices from their polar factor after a few steps without a loss",
        version=1,
        offers=_INPUTS,
        suites={
            "quick": ("gaussian-projection[d=8,k=5,steps=2]",),
            "standard": ("gaussian-projection",),
            "full": ("gaussian-projection", "gaussian-projection[d=64,k=64]"),
        },
        timed=frozenset({"full"}),
        methods={
            "quick": ("none", "orthogonal-init", "spectral-norm", "soft", "srip", "logdet-divergence", "polar-distance")
        },
        knobs=(Knob(field="rate", grid=(0.001, 0.01, 0.03, 0.0625, 0.125, 0.25)),),
        budgets={"quick": 256, "standard": 512, "full": 16384},
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
        scale="linear",
        summary="cross-entropy a held-out image",
        margin=0.005,
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
    MetricSpec(
        name="gradient-ratio",
        heading="g1/gL",
        direction="target",
        summary="norm of the gradient at the first hidden layer over that at the last; 1 where nothing is lost",
    ),
    MetricSpec(
        name="copy-nll",
        heading="nll",
        unit="nats",
        scale="linear",
        summary="cross-entropy a position of fresh sequences to copy",
        margin=0.005,
    ),
    MetricSpec(
        name="copy-share",
        heading="nll/baseline",
        scale="linear",
        summary="the same over the best without memory, 10 log 8 / (delay + 20): 1 is no memory, 0 perfect recall",
        margin=0.01,
    ),
    MetricSpec(
        name="copy-accuracy",
        heading="recalled",
        direction="higher",
        scale="linear",
        summary="share of the ten symbols said right; 1/8 by chance",
        margin=0.01,
    ),
    MetricSpec(
        name="flops", summary="operations in matrix products and factorizations of one step or draw, 2 a multiply-add"
    ),
)
