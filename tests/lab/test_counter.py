"""Counts of work."""

from __future__ import annotations

from kexue_bench.lab.counter import Counter


def test_counts_of_a_name_add_up():
    """Each name for itself, however often and in whatever company it is counted."""
    counter = Counter()
    counter.add(evaluations=3)
    counter.add(evaluations=2, products=1)
    assert counter.units == {"evaluations": 5, "products": 1}
    assert Counter().units == {}
