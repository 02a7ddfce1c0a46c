"""Values with which nothing can run, or nothing can be read, are refused where they are written."""

from __future__ import annotations

import pytest

from kexue_bench.catalog.registry import Registry
from kexue_bench.errors import UnknownNameError, UsageError
from kexue_bench.session import ReadOptions, RunOptions
from kexue_bench.session.options import device_of


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "slurm"}, "engine must be one of local, ray, got 'slurm'"),
        ({"isolation": "thread"}, "isolation must be one of case, worker, none"),
        ({"jobs": 0}, "jobs must be positive, got 0"),
        ({"timeout": 0.0}, "timeout must be positive"),
        ({"timeout": float("nan")}, "timeout must be positive"),
        ({"memory": -1}, "memory must be positive"),
    ],
    ids=str,
)
def test_options_with_which_nothing_can_run_are_refused(options, words):
    """With the name, what is allowed, and what was got."""
    with pytest.raises(UsageError, match=words):
        RunOptions(**options)


def test_no_limit_is_none():
    """Neither time, memory nor workers need a limit."""
    options = RunOptions(timeout=None, memory=None, jobs=None)
    assert (options.timeout, options.memory, options.jobs) == (None, None, None)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"margin": 0.0}, UsageError, "margin must lie between 0 and 1"),
        ({"alpha": 2.0}, UsageError, "alpha must lie between 0 and 1"),
        ({"correction": "sidak"}, UsageError, "correction must be one of holm"),
        ({"columns": ("msee",)}, UnknownNameError, "did you mean mse"),
        ({"sort": "msee"}, UnknownNameError, "did you mean mse"),
    ],
    ids=str,
)
def test_a_reading_that_makes_no_sense_is_refused_before_a_run(options, error, words):
    """Against the metrics that are registered."""
    with pytest.raises(error, match=words):
        ReadOptions(**options).check(Registry(()))


def test_devices_are_written_as_torch_writes_them():
    """`auto` is one of them; anything else is refused."""
    assert [device_of(text) for text in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda", "cuda:1"]
    assert device_of("auto") in {"cpu", "cuda"}
    for text in ("", "tpu", "cuda:", "cuda:x"):
        with pytest.raises(UsageError, match="cpu, cuda, cuda:N or auto"):
            device_of(text)
