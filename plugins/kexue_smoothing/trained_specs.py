"""The tasks of the family that train. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import MetricSpec, TaskSpec

from .method_specs import FAMILY, names_for

_OFFERS = frozenset({"top-k", "linear", "training"})


def _task(name: str, cls: str, summary: str, metrics: tuple[str, ...]) -> TaskSpec:
    return TaskSpec(
        name=name,
        family=FAMILY,
        target=f"kexue_smoothing.tasks.digits:{cls}",
        summary=summary,
        version=1,
        kind="trained",
        offers=_OFFERS,
        suites={"standard": (name,), "full": (f"{name}[steps=1000]",)},
        methods=dict.fromkeys(("standard", "full"), names_for(_OFFERS)),
        timed=frozenset({"full"}),
        replicates={"quick": 5, "standard": 5, "full": 20},
        stack=5,
        primary=metrics[0],
        headline=(*metrics, "time", "memory"),
    )


TASKS = (
    _task(
        "digits-top-k",
        "DigitsTopK",
        "train a linear classifier of digits so that the class is among the 3 best, at one error of the mask",
        ("top-k-accuracy", "top-1-accuracy"),
    ),
    _task(
        "digits-neighbours",
        "DigitsNeighbours",
        "train 3 features of digits so that the 9 nearest images agree, at one error of the mask",
        ("neighbour-accuracy",),
    ),
)

METRICS = tuple(
    MetricSpec(name=name, heading=heading, direction="higher", scale="linear", margin=0.01, summary=summary)
    for name, heading, summary in (
        ("top-k-accuracy", "top-3", "share of held-out images whose class is among the k best scores"),
        ("top-1-accuracy", "top-1", "share of held-out images whose class has the best score"),
        ("neighbour-accuracy", "accuracy", "share of held-out images that their nearest training images vote right"),
    )
)
