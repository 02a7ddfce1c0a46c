import gc

import pytest
import torch

from kexue_bench.lab.cost import measure
from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise

KB = 1000  # bytes of 250 float32


def zeros():
    return torch.zeros(250)


def peak(call):
    return measure(call, Counter())["memory"]


def test_peak_counts_what_is_alive_at_once():
    """Of three tensors made one after the other and dropped, one is counted; kept together, three."""

    def dropped():
        for _ in range(3):
            zeros()

    assert peak(dropped) == KB
    assert peak(lambda: [zeros() for _ in range(3)]) == 3 * KB


def test_views_and_in_place_writes_are_free():
    """They make no storage, and neither does an operation that writes to a tensor from outside."""
    outside = zeros()
    assert peak(lambda: zeros().view(10, 25).t().add_(1)[2:]) == KB
    assert peak(lambda: outside.mul_(2).view(-1)[3:]) == 0


def test_tensors_from_outside_do_not_count():
    """Neither when read nor when they die inside."""
    held = [zeros()]

    def call():
        total = held[0] + 1
        held.clear()
        return total

    assert peak(call) == KB


def test_backward_and_its_saved_tensors_count():
    """The graph of x exp(x) holds x, exp(x) and the product; the backward adds gradients of their size, not more."""

    def call():
        with torch.enable_grad():
            x = torch.zeros(250, requires_grad=True)
            loss = (x * x.exp()).sum()
        loss.backward()
        return x.grad

    saved_alone = 3 * KB + 4
    assert saved_alone < peak(call) <= 2 * saved_alone
    assert peak(call) == peak(call)


def test_cycles_do_not_move_the_peak():
    """A tensor in a cycle lives until the collector comes, which does not come during the call."""
    running = []

    def call():
        for _ in range(3):
            ring = [zeros()]
            ring.append(ring)
        running.append(gc.isenabled())

    assert peak(call) == 3 * KB
    assert running == [False]


def test_cost_is_the_same_every_time():
    """Counts and bytes of a call with random draws and intermediates are deterministic."""
    counter = Counter()
    counter.add(evaluations=100)

    def call():
        noise = Noise.seeded(1)
        counter.add(evaluations=7)
        return noise.normal(64, 64).softmax(-1) @ noise.uniform(64, 64)

    first = measure(call, counter)
    assert first == measure(call, counter)
    assert first["evaluations"] == 7
    assert first["memory"] == 3 * 64 * 64 * 4


def test_collector_is_left_as_it_was():
    """Also after an error, and where it was off."""
    with pytest.raises(ZeroDivisionError):
        peak(lambda: 1 / 0)
    assert gc.isenabled()
    gc.disable()
    try:
        peak(zeros)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_sparse_tensors_pass():
    """A sparse tensor has no storage to follow; the dense one that it is made of still counts."""
    assert peak(lambda: torch.eye(4).to_sparse() @ torch.ones(4, 1)) == 64
