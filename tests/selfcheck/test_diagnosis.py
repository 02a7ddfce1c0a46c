"""What `doctor` reads out of its runs, from figures that are planted."""

from __future__ import annotations

from pathlib import Path

import pytest

from kexue_bench.analysis.tables import Cell, Control, Row, Table
from kexue_bench.analysis.verdicts import Effect
from kexue_bench.api import Instance, Measurement, Outcome, Plan, Series
from kexue_bench.selfcheck import diagnosis
from kexue_bench.store.results import Run


def cell(metric, value=1.0, effect=None):
    return Cell(
        key=metric, metric=metric, value=value, low=None, high=None, n=1, unit="", flags=frozenset(), stage="time",
        case_key="k", exact=False, effect=effect,
    )  # fmt: skip


def ratio(value, low, high, *, p=0.5, verdict="undecided"):
    return Effect(kind="ratio", value=value, low=low, high=high, p=p, verdict=verdict)


def row(label, cells, **params):
    name = label.partition("[")[0]
    method = Instance(name=name, target="m:A", label=label, params={"times": 1, "copy": 0, **params})
    return Row(method=method, label=label, run="0001", status="ok", reason="", key="k", cells=cells)


def table(*rows, control=None):
    return Table(
        family="selfcheck", task=Instance(name="known", target="m:T"), summary="", device="cpu", dtype="float32",
        threads=(1,), seeds=(0,), primary="mse", columns=("time",), baseline="spin", rows=rows, control=control,
        timed=True, tests=1, exploratory=0, detectable={},
    )  # fmt: skip


def copies(metric, effects):
    return table(*(row(f"spin[copy={i}]", {metric: cell(metric, effect=e)}, copy=i) for i, e in enumerate(effects, 1)))


@pytest.mark.parametrize(
    ("interval", "ok"),
    [((2.0, 1.99, 2.01), True), ((1.97, 1.965, 1.98), True), ((1.9, 1.88, 1.92), False), ((1.0, 0.99, 1.01), False)],
)
def test_work_done_twice_must_be_two(interval, ok):
    """2.00 within the interval widened by 2 %: a clock that loses a tenth is found out."""
    found = diagnosis.twice(table(row("spin[times=2]", {"time": cell("time", effect=ratio(*interval))}, times=2)))
    assert found.ok is ok


def test_the_floor_is_how_far_an_interval_of_equals_reaches():
    """The farthest end of all intervals, the A/A control's too."""
    times = copies("time", [ratio(1.0, 0.99, 1.01), ratio(1.01, 0.98, 1.03)])
    assert diagnosis.noise_floor(times).values["floor"] == pytest.approx(0.03)
    with_control = table(*times.rows, control=Control(ratio=0.96, low=0.94, high=0.98, n=7))
    assert diagnosis.noise_floor(with_control).values["floor"] == pytest.approx(0.06)


@pytest.mark.parametrize(("precision", "ok"), [(0.05, True), (0.02, False)])
def test_a_precision_below_the_floor_is_warned_of(precision, ok):
    """A floor of 3 % lets 5 % be asked for, and not 2 %."""
    floor = diagnosis.noise_floor(copies("time", [ratio(1.0, 0.97, 1.03)]))
    assert diagnosis.asked_precision(precision, floor).ok is ok


@pytest.mark.parametrize(
    ("p", "verdict", "ok"),
    [
        ([0.5] * 20, "undecided", True),
        ([0.01] * 2 + [0.5] * 18, "undecided", True),
        ([0.01] * 6 + [0.5] * 14, "undecided", False),
        ([0.5] * 20, "better", False),
    ],
)
def test_equals_that_are_told_apart_are_counted(p, verdict, ok):
    """Two of twenty at 5 % are chance (p = .26), six are not (p = 3e-4); a single verdict is one too many."""
    draws = copies("mse", [ratio(1, 0.9, 1.1, p=value, verdict=verdict) for value in p])
    found = diagnosis.false_positives(draws, copies("time", []))
    assert (found.values["tests"], found.ok) == (20, ok)


def test_known_answers_are_exact():
    """Null has mse 1 and the oracle 0; anything else is a defect of the harness."""

    def found(null, oracle):
        rows = [row("null", {"mse": cell("mse", null)}), row("oracle", {"mse": cell("mse", oracle)})]
        return [check.ok for check in diagnosis.answers(table(*rows))]

    assert found(1.0, 0.0) == [True, True]
    assert found(1.0 + 1e-9, 1e-12) == [False, False]


def rounds(*values, flags=()):
    """A row of times whose pre-empted samples are absent."""
    series = Series(kind="rounds", values=values, batch=1, group="g")
    return Measurement(metric="time", value=1.0, series=series, flags=frozenset(flags))


def stored(*rows):
    """A run with one outcome a row."""
    outcomes = {str(i): Outcome(key=str(i), status="ok", measurements=(row,)) for i, row in enumerate(rows)}
    return Run(path=Path("0001"), plan=Plan(jobs=()), environment={}, outcomes=outcomes)


def test_preempted_samples_are_counted_whether_absent_or_kept():
    """A crowded member keeps its samples, all of which count; one of ten from there on is too many."""
    quiet = diagnosis.preempted(stored(rounds(*[1.0] * 19, None), Measurement(metric="mse", value=1.0)))
    assert (quiet.values["share"], quiet.values["samples"], quiet.ok) == (1 / 20, 20, True)
    crowded = diagnosis.preempted(stored(rounds(*[1.0] * 16), rounds(1.0, 1.0, 1.0, None, flags=["preempted"])))
    assert (crowded.values["share"], crowded.values["crowded"], crowded.ok) == (4 / 20, 1, False)
    assert diagnosis.preempted(stored()).found == "none"


def test_overhead_is_the_time_between_two_outcomes():
    """Eight outcomes have seven steps between them; the start of the engine comes before the first."""
    row = Measurement(metric="score", value=0.0)
    assert diagnosis.overhead(stored(*[row] * 8), 0.7, where="here").values["seconds"] == pytest.approx(0.1)


def test_a_coarse_clock_is_found_out():
    """The coarsest step that any worker saw counts."""

    def found(*steps):
        return diagnosis.clock(
            table(*(row(f"m{i}", {"clock-step": cell("clock-step", s)}) for i, s in enumerate(steps)))
        )

    assert found(1e-7, 3e-7).ok
    coarse = found(1e-7, 1e-2)
    assert (coarse.values["seconds"], coarse.ok) == (1e-2, False)


def test_only_what_was_expected_can_fail():
    """A line without an expectation is information."""
    good, bad, told = (diagnosis.Check(name="n", found="f", values={}, ok=ok) for ok in (True, False, None))
    assert diagnosis.verdict([good, told])
    assert not diagnosis.verdict([good, bad, told])
