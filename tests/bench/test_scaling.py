"""How the time of an estimate grows with B, L and K, beside what its docstring states: `pytest tests/bench`.

The slope is taken between a size at which an estimate costs milliseconds, or calls alone would be timed, and 32 times
that size, or 32 times the memory where that grows faster. An element costs up to five times as much once tensors leave
the caches, which is half a power over this range; a second power fails on any machine.
"""

from __future__ import annotations

import math
import sys
from time import process_time

import gradient_objects
import pytest
import torch
from gradient_objects import NAMES, stated, workload

GROWTH = 32
ENOUGH = 0.003  # seconds of one call, many times what a call costs at size 1
LIMIT = 2**13


def seconds(call) -> float:
    """The shortest of three calls, in processor time."""
    times = []
    for _ in range(3):
        start = process_time()
        call()
        times.append(process_time() - start)
    return min(times)


def slope(name, kind, axis) -> float | None:
    """The exponent of time along an axis; None where the method is for other laws."""
    sizes = {"B": 2, "L": 4, "K": 4}
    while True:
        call = workload(name, kind, **sizes)
        if call is None:
            return None
        took = seconds(call)
        if took > ENOUGH or sizes[axis] >= LIMIT:
            break
        sizes[axis] *= 2
    # An estimate whose memory is of a higher power would not fit.
    growth = round(GROWTH ** (1 / max(1, stated(name)["memory"][axis])))
    larger = workload(name, kind, **{**sizes, axis: growth * sizes[axis]})
    assert larger is not None
    return math.log(seconds(larger) / took, growth)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"exact"}))
def test_time_grows_as_a_docstring_states(name, capsys):
    """Time grows with the stated power of every size, and three quarters of a power more are not reached."""
    with torch.no_grad():
        found = {
            (kind, axis): slope(name, kind, axis)
            for kind in gradient_objects.KINDS
            for axis in "BLK"
            if axis != "K" or kind == "categorical"
        }
    found = {key: value for key, value in found.items() if value is not None}
    with capsys.disabled():
        for (kind, axis), value in found.items():
            target = stated(name)["time"][axis]
            sys.stdout.write(f"\n  {name}, {kind}, {axis}: exponent {value:.2f}   (stated {target})")
        sys.stdout.write("\n")
    for (kind, axis), value in found.items():
        assert value < stated(name)["time"][axis] + 0.75, (kind, axis)
