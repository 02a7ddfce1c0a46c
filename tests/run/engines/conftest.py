"""Engines, and jobs that are waited for."""

from __future__ import annotations

import pytest
from jobs import PRELOAD

from kexue_bench.run.engines.local import LocalEngine


@pytest.fixture(scope="module")
def engine():
    """Fresh processes, two at once, 600 MB each."""
    with LocalEngine(workers=2, memory_limit=600_000_000, preload=PRELOAD) as engine:
        yield engine


@pytest.fixture
def warm():
    """One process for all jobs."""
    with LocalEngine(workers=1, isolation="worker", preload=PRELOAD) as engine:
        yield engine


@pytest.fixture
def ask(chaos, engine):
    """Run cases as one job and wait for the delivery."""

    def ask(*cases, limit=20.0, of=engine, **extra):
        future = of.submit(
            chaos.text(*cases, **extra), limit=limit, members=len(cases), exclusive=cases[0].stage == "time"
        )
        return future.result(60)

    return ask
