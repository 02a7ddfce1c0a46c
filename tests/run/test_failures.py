"""What an exception means for its case, even a hostile one."""

from __future__ import annotations

import pytest

from kexue_bench.errors import InvalidResult, NotOffered
from kexue_bench.lab.training import Diverged
from kexue_bench.run.failures import FRAMES, REASON, classify, describe, trace_of


def test_invalid_and_diverged_are_statuses_of_their_own():
    """What the lab raises for a result that cannot be measured, and for a training that blew up."""
    assert classify(InvalidResult("draws must be finite")) == "invalid"
    assert classify(Diverged.__new__(Diverged)) == "diverged"
    assert classify(ValueError("no")) == "failed"


def test_a_missing_module_of_the_methods_own_package_is_its_failure():
    """Only somebody else's missing package makes a method unsupported."""
    error = ModuleNotFoundError("No module named 'mine.part'", name="mine.part")
    assert classify(error, "mine.methods:Half") == "failed"
    assert classify(error, "other:Half") == "unsupported"


def test_a_reason_is_one_short_line():
    """Newlines and length are the method's; the row stays a row."""
    text = describe(RuntimeError("a\nb" * 1000))
    assert "\n" not in text
    assert len(text) == REASON


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), "out-of-memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "out-of-memory"),
        (RuntimeError("out of patience"), "failed"),
        (ValueError("not enough memory of the past"), "failed"),
        (NotOffered("no subject"), "unsupported"),
        (ModuleNotFoundError("no name"), "failed"),
        (type("Diverged", (Exception,), {})("mine"), "failed"),
    ],
    ids=str,
)
def test_an_exception_means_what_its_type_says(error, status):
    """Words count for errors of torch alone, and a class of the same name as one of ours means nothing."""
    assert classify(error) == status


def test_a_reason_names_the_type_and_survives_a_hostile_message():
    """Spaces are joined; an empty message leaves the type alone."""

    class Hostile(Exception):  # noqa: N818  # its name stands in the reason
        def __str__(self):
            raise KeyboardInterrupt

        @property
        def __notes__(self):
            raise KeyboardInterrupt

    assert describe(ValueError("a\n  b")) == "ValueError: a b"
    assert describe(ValueError("a\n  b"), with_type=False) == "a b"
    assert describe(ValueError()) == "ValueError"
    assert describe(Hostile()) == "Hostile: (its message cannot be read)"
    assert trace_of(Hostile()) == "Hostile, whose traceback cannot be printed"


def test_a_trace_holds_the_innermost_frames_and_what_was_printed():
    """Of a deep recursion the frames next to the error stay, and its lines end the trace."""

    def deep(n):
        if n == 0:
            raise KeyError("bottom")
        deep(n - 1)

    with pytest.raises(KeyError) as caught:
        deep(100)
    trace = trace_of(caught.value, "printed before")
    assert "KeyError: 'bottom'\nprinted before" in trace
    assert 'raise KeyError("bottom")' in trace
    assert trace.count("File ") <= FRAMES
    assert "with pytest.raises" not in trace
