"""The demonstrations of the Lovász losses, shortened: labels, scores, and the direction in which each loss moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import kexue_f1 as f1
from kexue_bench.lab import stages
from kexue_f1.tasks.lovasz_demo import VOID, LovaszDemoBinary, LovaszDemoClasses, jaccard, triangles


def test_triangles_hold_what_lies_inside():
    """Triangle areas match the shoelace formula up to the boundary, labels are reproducible, and all classes occur."""
    labels = triangles(4, (7,)).numpy()
    draw = np.random.RandomState(18)
    for image in labels:
        (ax, ay), (bx, by), (cx, cy) = draw.randint(200, size=(3, 2))
        area = abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) / 2
        length = sum(np.hypot(*d) for d in ((bx - ax, by - ay), (cx - bx, cy - by), (ax - cx, ay - cy)))
        assert abs((image == 7).sum() - area) <= length / 2 + 1
    assert torch.equal(triangles(3, (VOID, 1, 2)), triangles(3, (VOID, 1, 2)))
    assert set(triangles(3, (VOID, 1, 2)).flatten().tolist()) == {0, 1, 2, VOID}


def test_jaccard_is_that_of_scikit_learn():
    """Jaccard equals scikit-learn's on the valid items, and is 1 if nothing is true and nothing is predicted."""
    from sklearn.metrics import jaccard_score

    rng = np.random.default_rng(0)
    called, true, valid = (torch.tensor(rng.random((3, 50)) < p) for p in (0.4, 0.3, 0.9))
    ours = jaccard(called, true, valid)
    for r in range(3):
        assert float(ours[r]) == pytest.approx(jaccard_score(true[r][valid[r]], called[r][valid[r]]))
    nothing = torch.zeros(1, 5, dtype=torch.bool)
    assert float(jaccard(nothing, nothing, ~nothing)) == 1


def _iou(context, task, method):
    ctx = context("lovasz-demo")
    stages.evaluate(task, method, ctx)
    return {m.point: m.value for m in ctx.measurements if m.metric == "iou"}


@pytest.mark.slow
def test_the_binary_demonstration(context):
    """In forty steps at four times the rate, cross-entropy falls below its start and the hinge rises above it."""
    task = LovaszDemoBinary(steps=40, lr=0.2)
    entropy = _iou(context, task, f1.BinaryCrossEntropy())
    hinge = _iou(context, task, f1.LovaszHinge())
    assert entropy[0] == hinge[0]
    assert entropy[None] < entropy[0] - 1
    assert hinge[None] > hinge[0]


@pytest.mark.slow
def test_the_demonstration_with_classes(context):
    """Both losses improve within twelve steps, and the class scores average to the total."""
    task = LovaszDemoClasses(steps=12, lr=0.02)
    for method in (f1.CrossEntropy(), f1.LovaszSoftmax()):
        ctx = context("lovasz-demo")
        stages.evaluate(task, method, ctx)
        found = {(m.labels.get("class"), m.point): m.value for m in ctx.measurements if m.metric == "iou"}
        assert found[None, None] > found[None, 0]
        assert np.mean([found[c, None] for c in "012"]) == pytest.approx(found[None, None], abs=1e-4)


def test_a_demonstration_trains_one_replicate(context):
    """The demonstrations do not stack replicates."""
    with pytest.raises(ValueError, match="one replicate at a time, got 2"):
        LovaszDemoBinary().build(f1.LovaszHinge(), context("d", replicates=(0, 1)))
