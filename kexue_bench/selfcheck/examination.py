"""The runs with which `doctor` checks a machine and the harness on it: the same engine and statistics as any run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ..analysis.comparison import read
from ..analysis.tables import Table
from ..api import Case, Outcome, Plan
from ..catalog import selectors
from ..catalog.plugins import load_plugins
from ..catalog.registry import Registry
from ..plan.plan import Request, build_plan
from ..run.engines import Engine
from ..run.engines.local import LocalEngine
from ..run.runner import run as run_plan
from ..store.results import Run, RunWriter, load_run
from . import diagnosis

PLUGIN, FAMILY = "kexue_bench.selfcheck.plugin", "selfcheck"
FRESH, WARM = 8, 40
"""Cases without work: in a process each, and in one process."""
COPIES, TIMED = 20, 4
"""Number of identical methods that are measured, and that are timed."""


def checks(*, precision: float, processes: int, seed: int) -> Iterator[diagnosis.Check]:
    """Run and read one check after another; nothing is stored.

    Args:
        precision: requested relative half-width.
        processes: processes of the timing group.
        seed: seed of the draws.
    """
    record = next(record for record in load_plugins([PLUGIN]) if record.load == PLUGIN)
    registry = Registry([record])

    def plan(stage: str, task: str, *methods: str) -> Plan:
        request = Request(
            families=(FAMILY,),
            methods=selectors.read(methods),
            tasks=selectors.read([task]),
            stages=(stage,),  # pyright: ignore[reportArgumentType]  # one of the stages
            seed=seed,
            processes=processes,
        )
        return build_plan(request, registry)

    def table(run: Run) -> Table:
        (found,) = read([run], metrics=registry.metrics, families=registry.families, tasks=registry.tasks).tables
        return found

    copies = ",".join(map(str, range(1, COPIES + 1)))
    timed = ",".join(map(str, range(1, TIMED + 1)))
    indices = ",".join(map(str, range(WARM)))
    with tempfile.TemporaryDirectory(prefix="kexue-bench-doctor-") as name:
        root = Path(name)
        with LocalEngine(workers=1, isolation="case") as engine:
            some = ",".join(map(str, range(FRESH)))
            run, elapsed = _run(plan("evaluate", f"nothing[index=[{some}]]", "null"), engine, root)
            yield diagnosis.overhead(run, elapsed, where="a process each")
            run, _ = _run(plan("time", "known", "spin", f"spin[copy=[{timed}]]", "spin[times=2]", "null"), engine, root)
            times, lost = table(run), diagnosis.preempted(run)
        with LocalEngine(workers=1, isolation="worker") as engine:
            run, elapsed = _run(plan("evaluate", f"nothing[index=[{indices}]]", "null"), engine, root)
            yield diagnosis.overhead(run, elapsed, where="one process")
            run, _ = _run(plan("evaluate", "known", "spin", f"spin[copy=[{copies}]]", "null", "oracle"), engine, root)
            draws = table(run)
    yield diagnosis.null_call(times)
    yield diagnosis.clock(draws)
    yield lost
    yield from diagnosis.answers(draws)
    yield diagnosis.twice(times)
    yield diagnosis.false_positives(draws, times)
    floor = diagnosis.noise_floor(times)
    yield floor
    yield diagnosis.asked_precision(precision, floor)


class _Stopwatch:
    """Observes a run: seconds from its first outcome to its last."""

    def __init__(self) -> None:
        self._at: list[float] = []

    @property
    def elapsed(self) -> float:
        """Seconds."""
        return self._at[-1] - self._at[0] if self._at else 0.0

    def started(self, plan: Plan) -> None:
        """Do nothing."""

    def finished(self, outcome: Outcome, case: Case) -> None:
        """Note the time."""
        self._at.append(time.perf_counter())

    def done(self, path: str) -> None:
        """Do nothing."""


def _run(plan: Plan, engine: Engine, root: Path) -> tuple[Run, float]:
    """Run a plan and read it back, with the seconds from its first outcome to its last."""
    writers: list[RunWriter] = []

    def open_writer() -> RunWriter:
        writers.append(RunWriter.create(root, name="doctor", plan=plan, environment={}))
        return writers[0]

    watch = _Stopwatch()
    try:
        run_plan(plan, engine=engine, open_writer=open_writer, plugins=(PLUGIN,), observer=watch)
    finally:
        for writer in writers:
            writer.close()
    return load_run(writers[0].path), watch.elapsed
