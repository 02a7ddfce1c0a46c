"""What `doctor` reads out of its runs: pure functions of stored runs and their comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scipy import special

from ..analysis.tables import Cell, Row, Table
from ..report.numbers import percent, seconds
from ..store.results import Run

LEVEL = 0.05
"""Of the tests whose false alarms are counted."""
SURE = 0.01
"""A count that chance would give less often than this is a finding."""
TWICE = 0.02
"""Work done twice is measured as 2.00 within this share, beside its interval."""
CROWDED = 0.1
"""From this share of pre-empted samples on, something else runs on this machine."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the diagnosis.

    Args:
        found: the figure, as text.
        expected: what it ought to be, as text; empty where nothing is.
        ok: whether it is; None where nothing is expected.
        advice: what to do where it is not.
        values: the same as plain numbers.
    """

    name: str
    found: str
    values: Mapping[str, float]
    expected: str = ""
    ok: bool | None = None
    advice: str = ""


def overhead(run: Run, elapsed: float, *, where: str) -> Check:
    """Seconds that a case costs beside its own work, from a run of cases that do nothing, one after the other.

    Args:
        run: of cases of no cost.
        elapsed: from the first outcome to the last, in seconds; start-up of the engine excluded.
        where: how the cases were isolated.
    """
    each = elapsed / max(1, len(run.outcomes) - 1)
    return Check(name=f"overhead, {where}", found=f"{seconds(each)} a case", values={"seconds": each})


def clock(table: Table) -> Check:
    """Smallest step of the clock, as the workers saw it."""
    step = max(row.cells["clock-step"].value for row in table.rows if "clock-step" in row.cells)
    return Check(
        name="clock step",
        found=seconds(step),
        values={"seconds": step},
        expected="< 2 µs",
        ok=step < 2e-6,
        advice="the clock steps in more than a thousandth of a sample: times of this machine are coarse",
    )


def answers(table: Table) -> Iterator[Check]:
    """Null and oracle: the answers that are known exactly."""
    for name, truth in (("null", 1.0), ("oracle", 0.0)):
        mse = _row(table, name).cells["mse"].value
        yield Check(
            name=f"{name} method",
            found=f"mse {mse:g}",
            values={"mse": mse},
            expected=f"{truth:g}",
            ok=mse == truth,
            advice="what is known exactly is measured as something else: this is a defect of the harness",
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
        advice="2.00 is outside its interval by more than 2 %: times of this machine cannot be trusted",
    )


def noise_floor(table: Table) -> Check:
    """How far from 1 the interval of a ratio between equals reaches: a smaller difference cannot be seen here."""
    ratios = [_ratio(cell) for cell in _identical(table, "time")]
    if table.control is not None:
        ratios.append((table.control.ratio, table.control.low, table.control.high))
    floor = max(max(abs(low - 1), abs(high - 1)) for _, low, high in ratios)
    worst = max((value for value, _, _ in ratios), key=lambda value: abs(value - 1))
    return Check(
        name="noise floor of times",
        found=f"{percent(floor)} (equals: ×{worst:.3f})",
        values={"floor": floor, "worst": worst},
    )


def null_call(table: Table) -> Check:
    """Seconds of a timed call that does nothing."""
    value = _row(table, "null").cells["time"].value
    return Check(name="empty call", found=seconds(value), values={"seconds": value})


def preempted(run: Run) -> Check:
    """Share of samples during which the process lost its core."""
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
        advice="something else is running here: intervals of times will be wide, and wait for a quiet machine",
    )


def false_positives(draws: Table, times: Table) -> Check:
    """Identical methods that a test at 5 % told apart, and verdicts that a report would have printed."""
    cells = [*_identical(draws, "mse"), *_identical(times, "time")]
    tests = [cell.effect for cell in cells if cell.effect is not None and cell.effect.p is not None]
    wrong = sum(effect.p is not None and effect.p < LEVEL for effect in tests)
    verdicts = sum(effect.verdict in {"better", "worse"} for effect in tests)
    n = len(tests)
    chance = float(special.bdtrc(wrong - 1, n, LEVEL)) if wrong else 1.0
    high = float(special.betaincinv(wrong + 1, n - wrong, 0.975)) if wrong < n else 1.0
    return Check(
        name="false alarms among equals",
        found=f"{wrong} of {n} (≤ {percent(high)}), {verdicts} verdicts",
        values={"wrong": wrong, "tests": n, "verdicts": verdicts, "chance": chance},
        expected="≈ 5 %, 0 verdicts",
        ok=chance >= SURE and verdicts == 0,
        advice="equal methods are told apart more often than the level allows: do not trust verdicts from here",
    )


def asked_precision(precision: float, floor: Check) -> Check:
    """Whether the machine can show what is asked for."""
    limit = floor.values["floor"]
    return Check(
        name="asked precision",
        found=percent(precision),
        values={"precision": precision},
        expected=f"≥ {percent(limit)}",
        ok=precision >= limit,
        advice="a time ratio closer to 1 than the floor cannot be seen here: a quieter machine, or more --processes",
    )


def verdict(checks: Sequence[Check]) -> bool:
    """Whether nothing that was expected is missing."""
    return all(check.ok is not False for check in checks)


def _identical(table: Table, metric: str) -> list[Cell]:
    """The cells of the methods that do what the baseline does."""
    rows = [row for row in table.rows if row.method.name == "spin" and row.method.params["times"] == 1]
    return [row.cells[metric] for row in rows if not row.is_baseline and row.cells[metric].effect is not None]


def _row(table: Table, label: str) -> Row:
    return next(row for row in table.rows if row.label == label)


def _ratio(cell: Cell) -> tuple[float, float, float]:
    assert cell.effect is not None
    return cell.effect.value, cell.effect.low, cell.effect.high
