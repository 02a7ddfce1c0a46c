"""The tasks of the family: suites, sizes and columns. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping

from kexue_bench.api import Knob, MetricSpec, TaskSpec

_TASKS = "kexue_f1.tasks"
_RATES = Knob(field="lr", grid=(0.003, 0.01, 0.03, 0.1, 0.3))
_BINARY = frozenset({"one-label"})
_TUNED = "f1[reading=tuned]"
_SCORES = ("f1", "average-precision", "calibration-error", "time", "memory")
_EXACT_SCORES = ("f1", "collapse", "average-precision", "calibration-error", "zero-gradient", "f1-regret", "time")
# What `quick` trains; `standard` adds those below, and `full` smooth-ap, which compares all positives with all items.
_FIRST = (
    "bce",
    "weighted-bce",
    "focal",
    "dinkelbach",
    "soft-f1",
    "soft-f1[eps=1.0]",
    "double-soft-f1",
    "bce-dice",
    "sigmoid-f1",
    "anyloss-f1",
    "lovasz-hinge",
    "global-soft-f1",
)
_WIDER = (
    *_FIRST,
    "cost-sensitive",
    "tversky",
    "focal-tversky",
    "anyloss-f1[steepness=10.0]",
    "ema-soft-f1",
    "lovasz-softmax",
    "eban-bound",
    "asl",
    "zlpr",
    "aucm",
)
_GRID = (*_FIRST, "tversky", "eban-bound", "ema-soft-f1", "anyloss-f1[steepness=10.0]")
_TIMED = ("bce", "weighted-bce", "soft-f1", "bce-dice", "sigmoid-f1", "lovasz-hinge", "global-soft-f1")


def _trained(
    name: str,
    target: str,
    summary: str,
    *,
    suites: Mapping[str, tuple[str, ...]],
    replicates: Mapping[str, int],
    stack: int,
    methods: Mapping[str, tuple[str, ...]] | None = None,
    offers: frozenset[str] = _BINARY,
    timed: frozenset[str] = frozenset({"full"}),
    primary: str = _TUNED,
    headline: tuple[str, ...] = _SCORES,
) -> TaskSpec:
    return TaskSpec(
        name=name,
        family="f1",
        target=f"{_TASKS}.{target}",
        summary=summary,
        version=1,
        kind="trained",
        offers=offers,
        knobs=(_RATES,),
        suites=suites,
        methods=methods or {},
        timed=timed,
        replicates=replicates,
        stack=stack,
        primary=primary,
        headline=headline,
    )


TASKS = (
    TaskSpec(
        name="minibatch-f1",
        family="f1",
        target=f"{_TASKS}.minibatch:MinibatchF1",
        summary="gradient of a loss on batches against all data, and the F1 of batches, exact optimum known",
        version=1,
        offers=_BINARY,
        suites={
            "quick": ("minibatch-f1[batch=16]",),
            "standard": (
                "minibatch-f1[batch=[4,16,64,256]]",
                "minibatch-f1[batch=[16,64],prior=0.1]",
                "minibatch-f1[d=0.0,prior=0.1]",
            ),
            "full": (
                "minibatch-f1[batch=[1,4,16,64,256,512],prior=[0.5,0.1,0.01],point=[halfway,bayes]]",
                "minibatch-f1[d=0.0,prior=[0.5,0.1,0.01]]",
            ),
        },
        timed=frozenset({"full"}),
        budgets={"quick": 2**14, "standard": 2**16, "full": 2**20},
        primary="relative-bias",
        headline=(
            "relative-bias",
            "cosine",
            "zero-gradient",
            "loss-f1",
            "batch-f1",
            "batch-f1-best",
            "variance",
            "best-f1",
            "time",
        ),
    ),
    _trained(
        "gaussian-f1",
        "gaussian:GaussianF1",
        "a linear score of two normal classes; F1 and regret exact on the population",
        suites={
            "quick": (
                "gaussian-f1[prior=[0.1,0.01],steps=200]",
                "gaussian-f1[prior=0.01,batch=0,steps=60,lr=0.15]",
            ),
            "standard": (
                "gaussian-f1[d=[1.0,2.0,3.0],prior=[0.5,0.1,0.01],steps=1000]",
                "gaussian-f1[prior=0.01,batch=[4,16,256],steps=1000]",
                "gaussian-f1[prior=0.1,batch=16,steps=1000]",
                "gaussian-f1[prior=[0.1,0.01],batch=0,steps=300,lr=0.1]",
            ),
            "full": (
                "gaussian-f1[d=[0.5,1.0,1.5,2.0,3.0,4.0],prior=[0.5,0.1,0.01],steps=2000]",
                "gaussian-f1[prior=[0.1,0.01],batch=[1,4,16,256,1024,0],steps=2000]",
                "gaussian-f1[dimensions=1,prior=[0.1,0.01],batch=[16,64,0],steps=2000]",
            ),
        },
        methods={"quick": _FIRST, "standard": _GRID},
        replicates={"quick": 10, "standard": 20, "full": 50},
        stack=20,
        headline=_EXACT_SCORES,
    ),
    _trained(
        "misspecified-f1",
        "gaussian:MisspecifiedF1",
        "positives on two sides: the likeliest linear score is not the best for F1, whatever its threshold",
        suites={
            "standard": ("misspecified-f1[steps=1000]",),
            "full": ("misspecified-f1[prior=[0.1,0.01],batch=[16,64,0],steps=2000]",),
        },
        methods={"standard": _WIDER},
        replicates={"standard": 20, "full": 50},
        stack=20,
        headline=_EXACT_SCORES,
    ),
    _trained(
        "breast-cancer-f1",
        "bundled:BreastCancerF1",
        "malignant against benign, nearly separable: a check that a loss works, not a ranking",
        suites={
            "quick": ("breast-cancer-f1[steps=200]",),
            "standard": ("breast-cancer-f1[steps=500]",),
            "full": ("breast-cancer-f1[steps=1000,batch=[8,32,0]]",),
        },
        methods={"quick": _TIMED, "standard": _WIDER},
        replicates={"quick": 5, "standard": 50, "full": 100},
        stack=25,
        timed=frozenset({"quick", "standard", "full"}),
    ),
    _trained(
        "digits-f1",
        "bundled:DigitsF1",
        "one digit against the other nine, a linear score of pixels",
        suites={"standard": ("digits-f1",), "full": ("digits-f1[digit=[0,1,2,3,4,5,6,7,8,9]]",)},
        methods={"standard": _WIDER},
        replicates={"standard": 50, "full": 100},
        stack=25,
    ),
    _trained(
        "wine-f1",
        "bundled:WineF1",
        "one cultivar against the other two, 178 items",
        suites={"standard": ("wine-f1",), "full": ("wine-f1[cultivar=[0,1,2]]",)},
        methods={"standard": _WIDER},
        replicates={"standard": 50, "full": 100},
        stack=25,
    ),
    _trained(
        "multilabel-f1",
        "multilabel:MultilabelF1",
        "eight logistic labels from common to rare; best macro F1 known, sets read by the GFM rule",
        suites={"standard": ("multilabel-f1",), "full": ("multilabel-f1[batch=[8,32,0],steps=2000]",)},
        methods={"standard": tuple(name for name in _WIDER if name != "lovasz-softmax")},
        replicates={"standard": 10, "full": 50},
        stack=5,
        offers=frozenset(),
        headline=("f1", "f1-regret", "f1-samples", "average-precision", "calibration-error", "time"),
    ),
)

DOWNLOADED = tuple(
    _trained(
        f"{name}-f1",
        f"mulan:{name.capitalize()}F1",
        f"{what}; from files that the user has downloaded",
        suites={"full": (f"{name}-f1",)},
        replicates={"quick": 5, "standard": 10, "full": 50},
        stack=5,
        offers=frozenset(),
        headline=("f1", "f1-samples", "f1-micro", "average-precision", "calibration-error", "time"),
    )
    for name, what in (
        ("emotions", "six emotions of 593 pieces of music"),
        ("yeast", "fourteen functions of 2,417 genes"),
        ("scene", "six contents of 2,407 photographs"),
    )
)

DEMONSTRATIONS = (
    _trained(
        "lovasz-demo-binary",
        "lovasz_demo:LovaszDemoBinary",
        "ten images of triangles by one bias, the demonstration of the Lovász hinge",
        suites={"full": ("lovasz-demo-binary",)},
        methods={"full": ("bce", "lovasz-hinge", "lovasz-softmax")},
        replicates={"quick": 2, "standard": 3, "full": 10},
        stack=1,
        primary="iou",
        headline=("iou", "time", "memory"),
    ),
    _trained(
        "lovasz-demo-classes",
        "lovasz_demo:LovaszDemoClasses",
        "five images of three classes by one convolution, the demonstration of the Lovász-softmax",
        suites={"full": ("lovasz-demo-classes",)},
        methods={"full": ("bce", "cross-entropy", "lovasz-softmax")},
        replicates={"quick": 2, "standard": 3, "full": 10},
        stack=1,
        offers=_BINARY | {"classes"},
        primary="iou",
        headline=("iou", "time", "memory"),
    ),
)

METRICS = (
    MetricSpec(
        name="f1",
        heading="F1",
        direction="higher",
        scale="linear",
        margin=0.002,
        summary="F1 of the decisions of a reading; the mean over labels where there are several",
    ),
    MetricSpec(name="f1-micro", direction="higher", scale="linear", summary="F1 of the pooled counts of all labels"),
    MetricSpec(
        name="f1-samples", direction="higher", scale="linear", summary="F1 of the labels of an item, mean over items"
    ),
    MetricSpec(
        name="f1-regret",
        heading="regret",
        scale="linear",
        margin=0.002,
        summary="largest F1 that can be had (with a linear score where none is right), less the F1 of a reading",
    ),
    MetricSpec(
        name="average-precision",
        heading="AP",
        direction="higher",
        scale="linear",
        summary="area under precision over recall: the order of the scores, whatever the threshold",
    ),
    MetricSpec(
        name="calibration-error",
        heading="calib. error",
        scale="linear",
        summary="mean distance of the loss's probability from the frequency of positives at equal score",
    ),
    MetricSpec(
        name="iou",
        heading="IoU",
        unit="%",
        direction="higher",
        scale="linear",
        summary="intersection over union of what is called and what is true, mean over images or classes",
    ),
    MetricSpec(
        name="collapse",
        scale="linear",
        summary="1 where hardly anything is called positive although the loss itself, on all data, asks for more",
    ),
    MetricSpec(
        name="zero-gradient",
        heading="no gradient",
        scale="linear",
        summary="share of batches (in training: of steps) without any gradient",
    ),
    MetricSpec(
        name="loss-f1",
        direction="target",
        scale="linear",
        summary="one minus the loss of the certain decisions of a batch, at the threshold of batch-f1",
    ),
    MetricSpec(
        name="batch-f1",
        direction="target",
        scale="linear",
        summary="mean F1 of a batch, measured, at the threshold where this mean is largest",
    ),
    MetricSpec(
        name="batch-f1-best", heading="exact", direction="target", scale="linear", summary="exact value of batch-f1"
    ),
    MetricSpec(
        name="best-f1",
        heading="best F1",
        direction="target",
        scale="linear",
        summary="largest F1 on the law, by search",
    ),
    MetricSpec(
        name="threshold-gap",
        direction="target",
        scale="linear",
        summary="distance of the posterior at the threshold of the largest F1 from half of that F1",
    ),
)
