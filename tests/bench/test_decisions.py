"""The studies behind the report's decisions at larger size: `pytest tests/bench/test_decisions.py -s`.

What they assert is what docs/statistics.md says; the figures they print are those of its tables.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import stored

from kexue_bench.analysis.comparison import Tabulation, read
from kexue_bench.api import Case, Instance, Job, Outcome, Plan
from kexue_bench.catalog.metrics import CORE_METRICS, keyed
from kexue_bench.lab import intervals
from kexue_bench.run import runner
from kexue_bench.run.engines.local import LocalEngine
from kexue_bench.store.results import RunWriter

HERE = Path(__file__).parent
LAB = HERE.parent / "lab"


def load(name: str) -> ModuleType:
    """A module of the tests, which are no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, LAB / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def say(capsys, text: str) -> None:
    with capsys.disabled():
        sys.stdout.write(text + "\n")


# -- simulated ---------------------------------------------------------------------------------------------------------


def test_tables_of_identical_methods(capsys):
    """Family-wise false better or worse over 5,000 tables, half of the variance between processes: at most 5 %."""
    tables, alarms = 5000, {False: 0, True: 0}
    for seed in range(tables):
        rows = stored.read(stored.table_of(100_000 + seed)).rows()
        for family in alarms:
            alarms[family] += any(row["verdict"] in {"better", "worse"} for row in rows if row["exploratory"] == family)
    for family, name in ((False, "the primary column"), (True, "the other columns")):
        say(capsys, f"\n  false better or worse in {name}: {100 * alarms[family] / tables:.2f} % of {tables} tables")
        assert alarms[family] / tables <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / tables)


@pytest.mark.parametrize("draws", [2048, 16384])
def test_coverage(capsys, draws):
    """Coverage and flags of the 95 % intervals over 1,000 seeds a case, as in the table of docs/statistics.md."""
    study = load("test_intervals")
    say(
        capsys,
        f"\n  {draws} draws: per cent of 1,000 seeds covered by mse, variance, bias, bound of the bias; flagged;",
    )
    say(capsys, "  covered among the unflagged; flagged among the misses (all of the mse)")
    for name, case in {**study.CASES, **study.UNTRUSTWORTHY}.items():
        units, flagged = study.simulate(case, seeds=1000, draws=draws, rng_seed=1)
        size = float(np.linalg.norm(case.mean - case.truth))
        mse, truth = intervals.mse(units), case.variance + size**2
        slack = 1e-12 * truth
        hit = (mse.low - slack <= truth) & (truth <= mse.high + slack)
        found = intervals.bias(units)
        shares = (
            hit.mean(),
            study.covered(intervals.variance(units), case.variance),
            study.covered(found, size),
            float((found.high >= size).mean()),
            flagged.mean(),
            hit[~flagged].mean() if (~flagged).any() else math.nan,
            flagged[~hit].mean() if (~hit).any() else math.nan,
        )
        say(capsys, f"  {name:38s}" + "".join(f"{100 * share:7.1f}" for share in shares))
        if name in study.CASES and draws == 16384:
            assert shares[1] >= 0.93
            assert shares[3] >= 0.93


# -- real --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What `compare` needs of a run."""

    path: Path
    plan: Plan
    outcomes: dict[str, Outcome]


def spin(times: int) -> Instance:
    return Instance(name="spin", params={"times": times}, target="spin_family:Spin", label=f"spin[times={times}]")


def group(seed: int, processes: int, rounds: int) -> Plan:
    """A timing group: the work once (the baseline), twice, and the copy of the baseline."""
    task = Instance(name="spin-task", target="spin_family:SpinTask", label="spin-task")

    def case(times: int, copy: int, process: int) -> Case:
        return Case(
            family="spin",
            task=task,
            task_version=1,
            method=spin(times),
            stage="time",
            replicates=(process,),
            copy=copy,
            seed=seed,
            options={"rounds": rounds, "sample": 2e-3},
        )

    members = ((1, 0), (2, 0), (1, 1))
    return Plan(
        jobs=tuple(
            Job(cases=tuple(case(times, copy, process) for times, copy in members), exclusive=True, group="spin")
            for process in range(processes)
        ),
        baselines={"spin": spin(1)},
    )


def timed(engine: LocalEngine, root: Path, seed: int, processes: int, rounds: int) -> Tabulation:
    plan = group(seed, processes, rounds)
    with RunWriter.create(root, name="spin", plan=plan, environment={}) as writer:
        outcomes = runner.run(plan, engine=engine, open_writer=lambda: writer, sys_path=[str(HERE)])
        path = writer.path
    run = Timed(path=path, plan=plan, outcomes=dict(outcomes))
    return read([run], metrics=keyed(CORE_METRICS), families={}, tasks={})


def test_twenty_real_groups(capsys, tmp_path):
    """The A/A interval covers 1 in at least 17 of 20 runs; work done twice is 2.00 within its interval and 2 %."""
    runs, controls, doubles = 20, [], []
    with LocalEngine(workers=1, isolation="case") as engine:
        for seed in range(runs):
            (table,) = timed(engine, tmp_path, seed, processes=5, rounds=60).tables
            assert table.control is not None
            controls.append(table.control)
            (effect,) = (e for row in table.rows if not row.is_baseline and (e := row.cells["time"].effect) is not None)
            doubles.append(effect)
    covered = sum(c.low <= 1 <= c.high for c in controls)
    twice = sum(e.low <= 2 <= e.high for e in doubles)
    widths = sorted((c.high - c.low) / 2 / c.ratio for c in controls)
    offsets = sorted(abs(math.log(c.ratio)) for c in controls)
    ratios = sorted(e.value for e in doubles)
    say(capsys, f"\n  A/A intervals that cover 1: {covered} of {runs}   (target >= 17)")
    say(
        capsys,
        f"  half-width: median {100 * widths[runs // 2]:.2f} %, from {100 * widths[0]:.2f} to {100 * widths[-1]:.2f} %",
    )
    say(capsys, f"  offset from 1: median {100 * offsets[runs // 2]:.2f} %, largest {100 * offsets[-1]:.2f} %")
    say(
        capsys,
        f"  twice the work: {ratios[0]:.3f} to {ratios[-1]:.3f}, median {ratios[runs // 2]:.4f}; covers 2 in {twice}",
    )
    assert covered >= 17
    assert twice >= 17
    assert abs(ratios[runs // 2] / 2 - 1) <= 0.02
