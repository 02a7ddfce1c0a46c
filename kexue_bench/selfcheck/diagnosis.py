"""What `doctor` concludes from its runs: pure functions of stored runs and their comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scipy import special

from ..analysis.tables import Cell, Row, Table
from ..report.numbers import percent, seconds
from ..store.results import Run

LEVEL = 0.05
"""Level of the tests whose false alarms are counted."""
SURE = 0.01
"""A count of false alarms that is less probable than this under the null hypothesis is a finding."""
TWICE = 0.02
"""Relative tolerance for work done twice, beyond its interval."""
CROWDED = 0.1
"""With this fraction of pre-empted samples or more, something else is running on this machine."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the diagnosis.

    Args:
        found: the measured value, as text.
        expected: the expected value, as text; empty if there is none.
        ok: whether the expectation is met; None if there is none.
        advice: what to do if it is not met.
        values: the measured values as plain numbers.
    """

    name: str
    found: str
    values: Mapping[str, float]
    expected: str = ""
    ok: bool | None = None
    advice: str = ""


def overhead(run: Run, elapsed: float, *, where: str) -> Check:
    """Seconds that a case costs in addition to its own work, from a run of cases that do nothing, in sequence.

    Args:
        run: a run of cases without work.
        elapsed: seconds from the first outcome to the last; start-up of the engine excluded.
        where: how the cases were isolated.
    """
    each = elapsed / max(1, len(run.outcomes) - 1)
    return Check(name=f"overhead, {where}", found=f"{seconds(each)} per case", values={"seconds": each})


def clock(table: Table) -> Check:
    """Smallest step of the clock, as the workers saw it."""
    step = max(row.cells["clock-step"].value for row in table.rows if "clock-step" in row.cells)
    return Check(
        name="clock step",
        found=seconds(step),
        values={"seconds": step},
        expected="< 2 µs",
        ok=step < 2e-6,
        advice="the clock step exceeds a thousandth of a sample: times on this machine are coarse",
    )


def answers(table: Table) -> Iterator[Check]:
    """Null and oracle: methods whose error is known exactly."""
    for name, truth in (("null", 1.0), ("oracle", 0.0)):
        mse = _row(table, name).cells["mse"].value
        yield Check(
            name=f"{name} method",
            found=f"mse {mse:g}",
            values={"mse": mse},
            expected=f"{truth:g}",
            ok=mse == truth,
            advice="the measured error differs from the exact one: this is a defect of the harness",
        )


def twice(table: Table) -> Check:
    """The same work once and twice."""
    value, low, high = _ratio(_row(table, "spin[times=2]").cells["time"])
    return Check(
        name="work done twice",
        found=f"×{value:.3f} [{low:.3f}, {high:.3f}]",
        values={"ratio": value, "low": low, "high": high},
        expected="2.00",
        ok=low / (1 + TWICE) <= 2 <= high * (1 + TWICE),
        advice="2.00 is outside the interval by more than 2 %: times on this machine cannot be trusted",
    )


def noise_floor(table: Table) -> Check:
    """How far from 1 the interval of a ratio of identical methods reaches: smaller differences cannot be resolved."""
    ratios = [_ratio(cell) for cell in _identical(table, "time")]
    if table.control is not None:
        ratios.append((table.control.ratio, table.control.low, table.control.high))
    floor = max(max(abs(low - 1), abs(high - 1)) for _, low, high in ratios)
    worst = max((value for value, _, _ in ratios), key=lambda value: abs(value - 1))
    return Check(
        name="noise floor of times",
        found=f"{percent(floor)} (identical methods: ×{worst:.3f})",
        values={"floor": floor, "worst": worst},
    )


def null_call(table: Table) -> Check:
    """Seconds of a timed call that does nothing."""
    value = _row(table, "null").cells["time"].value
    return Check(name="empty call", found=seconds(value), values={"seconds": value})


def preempted(run: Run) -> Check:
    """Fraction of samples during which the process lost its core."""
    lost = total = crowded = 0
    for outcome in run.outcomes.values():
        for row in outcome.measurements:
            if row.series is not None and row.series.kind == "rounds":
                absent = sum(value is None for value in row.series.values)
                # A crowded member keeps all of its samples: more than half of them were pre-empted.
                lost += len(row.series.values) if "preempted" in row.flags else absent
                crowded += "preempted" in row.flags
                total += len(row.series.values)
    share = lost / max(1, total)
    return Check(
        name="pre-empted samples",
        found=percent(share) if share else "none",
        values={"share": share, "samples": total, "crowded": crowded},
        expected=f"< {percent(CROWDED)}",
        ok=share < CROWDED,
        advice="something else is running here, and intervals of times will be wide: wait for a quiet machine",
    )


def false_positives(draws: Table, times: Table) -> Check:
    """Identical methods that a test at 5 % distinguishes, and verdicts that a report would have printed."""
    cells = [*_identical(draws, "mse"), *_identical(times, "time")]
    tests = [cell.effect for cell in cells if cell.effect is not None and cell.effect.p is not None]
    wrong = sum(effect.p is not None and effect.p < LEVEL for effect in tests)
    verdicts = sum(effect.verdict in {"better", "worse"} for effect in tests)
    n = len(tests)
    chance = float(special.bdtrc(wrong - 1, n, LEVEL)) if wrong else 1.0
    high = float(special.betaincinv(wrong + 1, n - wrong, 0.975)) if wrong < n else 1.0
    return Check(
        name="false alarms (A/A)",
        found=f"{wrong} of {n} (≤ {percent(high)}), {verdicts} verdicts",
        values={"wrong": wrong, "tests": n, "verdicts": verdicts, "chance": chance},
        expected="≈ 5 %, 0 verdicts",
        ok=chance >= SURE and verdicts == 0,
        advice="identical methods are distinguished more often than the level allows: do not trust verdicts from here",
    )


def asked_precision(precision: float, floor: Check) -> Check:
    """Whether the machine can resolve the requested precision."""
    limit = floor.values["floor"]
    return Check(
        name="requested precision",
        found=percent(precision),
        values={"precision": precision},
        expected=f"≥ {percent(limit)}",
        ok=precision >= limit,
        advice="a time ratio closer to 1 than the floor cannot be resolved: use a quieter machine or more --processes",
    )


def verdict(checks: Sequence[Check]) -> bool:
    """Whether no check failed."""
    return all(check.ok is not False for check in checks)


def _identical(table: Table, metric: str) -> list[Cell]:
    """The cells of the methods that are identical to the baseline."""
    rows = [row for row in table.rows if row.method.name == "spin" and row.method.params["times"] == 1]
    return [row.cells[metric] for row in rows if not row.is_baseline and row.cells[metric].effect is not None]


def _row(table: Table, label: str) -> Row:
    return next(row for row in table.rows if row.label == label)


def _ratio(cell: Cell) -> tuple[float, float, float]:
    assert cell.effect is not None
    return cell.effect.value, cell.effect.low, cell.effect.high
