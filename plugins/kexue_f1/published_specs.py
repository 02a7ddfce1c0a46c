"""Printed figures, read at their source, with the range that counts as the same. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import PublishedSpec

_LIPTON = "Lipton, Elkan and Narayanaswamy, arXiv:1402.1892 (ECML-PKDD 2014), abstract"
_LOVASZ = "Berman, Rannen Triki and Blaschko, arXiv:1705.08790 (CVPR 2018), printed outputs of pytorch/{}.ipynb"


def _demonstration(
    name: str,
    *,
    task: str,
    method: str,
    against: str,
    metric: str,
    ours: tuple[float | None, float | None],
    value: float,
) -> PublishedSpec:
    """A difference of two printed scores: features are drawn without a seed, so only differences can be compared."""
    notebook = "demo_binary" if task.endswith("binary") else "demo_multiclass"
    return PublishedSpec(
        name=name,
        family="f1",
        task=task,
        method=method,
        against=against,
        metric=metric,
        value=round(value, 4),
        low=ours[0],
        high=ours[1],
        source=_LOVASZ.format(notebook),
    )


PUBLISHED = (
    PublishedSpec(
        name="lipton-threshold",
        family="f1",
        task="minibatch-f1[batch=16]",
        method="bce",
        metric="threshold-gap",
        value=0.0,
        high=1e-6,
        source=_LIPTON,
        statement="the best threshold of calibrated probabilities is half of the best F1",
    ),
    PublishedSpec(
        name="lipton-uninformative",
        family="f1",
        task="minibatch-f1[d=0.0,prior=0.1]",
        method="bce",
        metric="best-f1",
        value=0.2 / 1.1,
        low=0.2 / 1.1 - 1e-6,
        high=0.2 / 1.1 + 1e-6,
        source=_LIPTON,
        statement="an uninformative classifier is best when it calls everything positive: F1 = 2 prior / (1 + prior)",
    ),
    _demonstration(
        "lovasz-demo-hinge",
        task="lovasz-demo-binary",
        method="lovasz-hinge",
        against="bce",
        metric="iou",
        ours=(1.0, None),
        value=13.2495 - 9.3396,
    ),
    _demonstration(
        "lovasz-demo-sigmoid",
        task="lovasz-demo-binary",
        method="lovasz-softmax",
        against="bce",
        metric="iou",
        ours=(1.0, None),
        value=13.3271 - 9.3396,
    ),
    _demonstration(
        "lovasz-demo-classes",
        task="lovasz-demo-classes",
        method="lovasz-softmax",
        against="cross-entropy",
        metric="iou",
        ours=(0.5, 4.0),
        value=54.77 - 52.85,
    ),
    _demonstration(
        "lovasz-demo-class-0",
        task="lovasz-demo-classes",
        method="lovasz-softmax",
        against="cross-entropy",
        metric="iou[class=0]",
        ours=(None, 0.0),
        value=87.71 - 88.77,
    ),
    _demonstration(
        "lovasz-demo-class-1",
        task="lovasz-demo-classes",
        method="lovasz-softmax",
        against="cross-entropy",
        metric="iou[class=1]",
        ours=(0.0, None),
        value=45.67 - 42.99,
    ),
    _demonstration(
        "lovasz-demo-class-2",
        task="lovasz-demo-classes",
        method="lovasz-softmax",
        against="cross-entropy",
        metric="iou[class=2]",
        ours=(0.0, None),
        value=30.92 - 26.78,
    ),
)
