"""The call that `compare` times for a method on a task, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..api import Case
from ..lab import stages, state
from ..lab.context import Context
from ..lab.problems import Workload
from ..run.worker import build


@contextmanager
def ready(case: Case) -> Iterator[Workload]:
    """The workload of a case of the stage `time`, built as a worker builds it.

    Inside, torch has the threads of the case and records no graph; on leaving, every setting is restored.
    """
    before = state.snapshot()
    try:
        state.prepare(case)
        with torch.no_grad():
            yield stages.workload(build(case.task), build(case.method), Context(case))
    finally:
        state.restore(before)
