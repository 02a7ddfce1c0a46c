"""What an estimate costs as the problem grows: every docstring states it, and the memory is measured here.

Time is measured in `tests/bench/test_scaling.py`; peak bytes of tensors are the same on every machine.
"""

from __future__ import annotations

import itertools
import math

import gradient_objects
import pytest
import torch
from gradient_objects import NAMES, growth, stated, workload

from kexue_bench.lab.cost import measure
from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise
from kexue_gradients import DisarmStickBreaking, DisarmTree, Distribution, FunctionObjective


@pytest.mark.parametrize("name", sorted({*NAMES} - {"exact"}))
def test_a_docstring_states_the_memory_that_is_measured(name):
    """Doubling B, L or K multiplies the peak by two to the stated power; a matrix of K by K nodes gives 4, not 2."""
    powers = stated(name)["memory"]
    measured = 0
    for kind, axis in itertools.product(gradient_objects.KINDS, "BLK"):
        small, large = growth(kind, axis)
        calls = [workload(name, kind, **sizes) for sizes in (small, large)]
        if None in calls:
            continue
        with torch.no_grad():
            before, after = (measure(call, Counter())["memory"] for call in calls)
        assert math.log2(after / before) < powers[axis] + 0.1, (kind, axis)
        measured += 1
    assert measured >= 2


def steps_of(leaf, low, high):
    """The way to a leaf of a tree that halves low .. high - 1: each node's leaves to the left and to the right."""
    while high - low > 1:
        middle = (low + high) // 2
        yield range(low, middle), range(middle, high)
        low, high = (low, middle) if leaf < middle else (middle, high)


def stick_of(leaf, classes):
    """The way to a class along a stick in the given order."""
    for node in range(min(leaf + 1, classes - 1)):
        yield range(node + 1, classes), range(node, node + 1)


@pytest.mark.parametrize(
    ("method", "way"),
    [
        (DisarmTree(), lambda leaf, classes: list(steps_of(leaf, 0, classes))),
        (DisarmStickBreaking(order="none"), lambda leaf, classes: list(stick_of(leaf, classes))),
    ],
    ids=["tree", "stick"],
)
@pytest.mark.parametrize("classes", [1, 2, 3, 5, 6, 7, 8, 9])
def test_the_estimate_of_a_pair_is_that_of_the_definition(method, way, classes):
    """For any number of classes each estimate follows from the two leaves that f saw, node by node.

    The way to a leaf gives the nodes that it passes and their bits; node logits are differences of log-sum-exps over
    lists of leaves, differentiated by autograd.
    """
    logits = Noise.seeded(classes, dtype=torch.float64).normal(1, classes) * 2
    slopes = torch.arange(1.0, classes + 1, dtype=torch.float64).square()
    seen: list[torch.Tensor] = []
    law = Distribution(kind="categorical", logits=logits)
    f = FunctionObjective(lambda x: seen.append(x) or (x @ slopes).sum(-1), event_dims=law.event_dims)
    sample = method.estimate(law, f, Noise.seeded(1, dtype=torch.float64), 40)
    pairs = seen[0].argmax(-1).squeeze(-1).unflatten(0, (2, 40)).T.tolist()
    assert classes < 3 or len({tuple(pair) for pair in pairs}) > 2
    for (first, second), got in zip(pairs, sample.gradient, strict=True):
        ways = [{(left, right): leaf in right for left, right in way(leaf, classes)} for leaf in (first, second)]
        with torch.enable_grad():
            theta = logits[0].clone().requires_grad_()
            surrogate = 0 * theta.sum()
            for left, right in {**ways[0], **ways[1]}:
                a = theta[list(right)].logsumexp(0) - theta[list(left)].logsumexp(0)
                p, bits = torch.sigmoid(a.detach()), [taken.get((left, right)) for taken in ways]
                if None not in bits:
                    weight = (int(bits[0]) - int(bits[1])) * torch.sigmoid(a.detach().abs())
                else:
                    weight = int(bits[0]) - p if bits[0] is not None else p - int(bits[1])
                surrogate = surrogate + weight * a
            (expected,) = torch.autograd.grad(surrogate * (slopes[first] - slopes[second]) / 2, theta)
        torch.testing.assert_close(got[0], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("method", [DisarmTree(), DisarmStickBreaking(), DisarmStickBreaking(weighted=True)])
def test_masked_classes_among_many_are_never_drawn_and_get_no_gradient(method):
    """Of 4,096 classes three are possible: the rest get a gradient of exactly 0, with -inf as with -1e9."""
    possible = torch.tensor([5, 1000, 4095])
    logits = torch.full((1, 4096), -torch.inf)
    logits[0, possible] = torch.tensor([0.3, -1.0, 0.8])
    f = FunctionObjective(lambda x: (x * torch.arange(4096.0)).sum((-1, -2)) / 4096)
    gradients = [
        method.estimate(Distribution(kind="categorical", logits=masked), f, Noise.seeded(0), 200).gradient
        for masked in (logits, logits.clamp(min=-1e9))
    ]
    assert gradients[0].equal(gradients[1])
    assert gradients[0][..., possible].abs().amax((0, 1)).min() > 0
    gradients[0][..., possible] = 0
    assert not gradients[0].any()
