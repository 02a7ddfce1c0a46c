"""Settings of the process and global generators: fixed for a case, compared, and put back."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import threading
import warnings
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch

from kexue_bench.api import Case, Instance
from kexue_bench.lab import state

CASE = Case(
    family="toy",
    task=Instance(name="t", target="a:T", params={"d": 2}),
    task_version=1,
    method=Instance(name="m", target="a:M"),
    stage="evaluate",
)


@pytest.fixture(autouse=True)
def _as_it_was():
    """These tests change the process on purpose."""
    before, numpy_before = state.snapshot(), np.random.get_state()  # noqa: NPY002  # it is what is watched
    torch_before, random_before = torch.get_rng_state(), random.getstate()
    yield
    state.restore(before)
    torch.set_rng_state(torch_before)
    np.random.set_state(numpy_before)  # noqa: NPY002  # the same
    random.setstate(random_before)


def stray():
    """One draw from each of the global generators."""
    return random.random(), np.random.random(), float(torch.rand(()))  # noqa: NPY002  # it is what is watched


CHANGES = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "grad mode": lambda: torch.set_grad_enabled(not torch.is_grad_enabled()),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "matmul precision": lambda: torch.set_float32_matmul_precision("medium"),
    "autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "anomaly mode": lambda: torch.autograd.set_detect_anomaly(True),
    "working directory": lambda: os.chdir("/"),
    "environment": lambda: os.environ.update(A_VARIABLE_OF_THIS_TEST="1", PATH="/nowhere"),
    "sys.path": lambda: sys.path.append("/nowhere"),
    "uncaught exceptions": lambda: setattr(sys, "excepthook", print),
    "signal handlers": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "file mask": lambda: os.umask(0o777),
    "flushed denormals": lambda: torch.set_flush_denormal(True),
    "numpy errors": lambda: np.seterr(all="raise"),
    "warnings as errors": lambda: warnings.simplefilter("error", FutureWarning),
    "garbage collection": gc.disable,
    "tracing": lambda: sys.setprofile(lambda *_: None),
    "recursion limit": lambda: sys.setrecursionlimit(12_345),
    "thread switches": lambda: sys.setswitchinterval(0.5),
    "cores": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
}


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_setting_is_named_and_put_back(name):
    """That one and no other; afterwards nothing differs."""
    before = state.snapshot()
    CHANGES[name]()
    assert state.restore(before) == (name,)
    assert state.snapshot() == before
    assert state.restore(before) == ()


def test_a_thread_that_still_runs_is_named():
    """It cannot be put back."""
    before, end = state.snapshot(), threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        assert state.restore(before) == ("running threads",)
    finally:
        end.set()
        thread.join()


def test_a_working_directory_that_is_gone_is_put_back(tmp_path):
    """Asking where one is raises there."""
    before = state.snapshot()
    lost = tmp_path / "lost"
    lost.mkdir()
    os.chdir(lost)
    lost.rmdir()
    assert state.restore(before) == ("working directory",)
    assert state.snapshot() == before


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        ({"method": Instance(name="n", target="a:N")}, True),
        ({"stage": "time", "options": {"rounds": 20}}, True),
        ({"seed": 1}, False),
        ({"replicates": (1,)}, False),
        ({"task": Instance(name="t", target="a:T", params={"d": 3})}, False),
    ],
    ids=["method", "stage", "seed", "replicate", "parameter"],
)
def test_global_generators_start_from_the_task_and_the_replicate(other, equal):
    """Stray draws are those of the task, whatever the method and whatever ran before."""
    state.prepare(CASE)
    drawn = stray()
    state.prepare(replace(CASE, **other))
    assert all((a == b) is equal for a, b in zip(stray(), drawn, strict=True))


def test_a_case_gets_its_threads():
    """As many as it asks for."""
    state.prepare(replace(CASE, threads=2))
    assert torch.get_num_threads() == 2
    state.prepare(CASE)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("which", [0, 1, 2], ids=["random", "numpy", "torch"])
def test_a_draw_from_any_global_generator_is_seen(which):
    """A single draw is enough, in the middle of a block of numbers too."""
    draws = (random.random, np.random.random, lambda: torch.rand(()))
    draws[which]()
    before = state.generators()
    assert state.generators() == before
    draws[which]()
    assert state.generators() != before


def test_generators_are_seeded_for_a_moment():
    """The same seed gives the same draws, and afterwards every generator goes on where it was, after an error too."""
    before, drawn = state.generators(), []
    for _ in range(2):
        with suppress(KeyError), state.global_seed(5):
            drawn.append(stray())
            raise KeyError
        assert state.generators() == before
    assert drawn[0] == drawn[1]
    with state.global_seed(6):
        assert stray() != drawn[0]
