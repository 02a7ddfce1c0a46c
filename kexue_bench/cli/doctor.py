"""Check this machine and the harness on it, by the same engine, timing groups and statistics as any run.

Identical methods must not be told apart, work done twice must cost 2.00 times as much, a method that does nothing and
one that knows the answer must be measured as what they are. Nothing is stored. Exit code 1 when a check fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ..analysis.comparison import read
from ..analysis.tables import Table
from ..api import SCHEMA, Case, Outcome, Plan
from ..catalog.plugins import load_plugins
from ..catalog.registry import Registry
from ..plan.plan import PRECISION, Request, build_plan
from ..run.engines import Engine
from ..store.results import Run, RunWriter, load_run
from . import options

if TYPE_CHECKING:
    from ..selfcheck import diagnosis

PLUGIN, FAMILY = "kexue_bench.selfcheck.plugin", "selfcheck"
FRESH, WARM = 8, 40
"""Cases of no cost, in a process of their own and in one process."""
COPIES, TIMED = 20, 4
"""Identical methods that are measured, and that are timed."""
NEGATIVE = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `doctor`."""
    parser.add_argument(
        "--precision",
        type=options.share,
        default=PRECISION["quick"],
        metavar="P",
        help=f"relative half-width that you want to measure ({PRECISION['quick']:.0%})".replace("%", "%%"),
    )
    parser.add_argument("--processes", type=int, default=7, metavar="N", help="processes of the timing group (7)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (0)")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="table or json (table)")
    parser.add_argument("-v", "--verbose", action="store_true", help="tracebacks")


def execute(args: argparse.Namespace) -> int:
    """Run the checks, print them and return the exit code."""
    from ..selfcheck import diagnosis

    checks = list(_checks(args))
    ok = diagnosis.verdict(checks)
    if args.format == "json":
        rows = [
            {"name": c.name, "found": c.found, "expected": c.expected, "ok": c.ok, "values": dict(c.values)}
            for c in checks
        ]
        json.dump({"schema": SCHEMA, "ok": ok, "rows": rows}, sys.stdout, indent=1)
        print()
    else:
        Console().print(_grid(checks))
        print()
        for check in checks:
            if check.ok is False:
                Console().print(Text(f"! {check.name}: {check.advice}"))
        if ok:
            print("all is as it should be")
    return 0 if ok else NEGATIVE


def _checks(args: argparse.Namespace) -> Iterator[diagnosis.Check]:
    from ..run.engines.local import LocalEngine
    from ..selfcheck import diagnosis

    record = next(record for record in load_plugins([PLUGIN]) if record.load == PLUGIN)
    registry = Registry([record])

    def plan(stage: str, task: str, *methods: str) -> Plan:
        request = Request(
            families=(FAMILY,),
            methods=methods,
            tasks=(task,),
            stages=(stage,),  # pyright: ignore[reportArgumentType]  # one of the stages
            seed=args.seed,
            processes=args.processes,
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
    yield diagnosis.asked_precision(args.precision, floor)


class _Stopwatch:
    """Observes a run: seconds from its first outcome to its last."""

    def __init__(self) -> None:
        self._at: list[float] = []

    @property
    def elapsed(self) -> float:
        """Seconds."""
        return self._at[-1] - self._at[0] if self._at else 0.0

    def started(self, plan: Plan) -> None:
        """Nothing yet."""

    def finished(self, outcome: Outcome, case: Case) -> None:
        """One more."""
        self._at.append(time.perf_counter())

    def done(self, path: str) -> None:
        """Nothing more."""


def _run(plan: Plan, engine: Engine, root: Path) -> tuple[Run, float]:
    """Run a plan and read it back, with the seconds from its first outcome to its last."""
    from ..run.runner import run

    writers: list[RunWriter] = []

    def open_writer() -> RunWriter:
        writers.append(RunWriter.create(root, name="doctor", plan=plan, environment={}))
        return writers[0]

    watch = _Stopwatch()
    try:
        run(plan, engine=engine, open_writer=open_writer, plugins=(PLUGIN,), observer=watch)
    finally:
        for writer in writers:
            writer.close()
    return load_run(writers[0].path), watch.elapsed


def _grid(checks: Sequence[diagnosis.Check]) -> Grid:
    grid = Grid(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold", style="dim")
    for check in checks:
        mark, style = {True: ("✓", "green"), False: ("!", "bold red"), None: ("", "")}[check.ok]
        grid.add_row(Text(mark, style=style), check.name, check.found, check.expected)
    return grid
