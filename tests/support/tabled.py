"""Cells, rows and tables made by hand, from numbers that a test chooses."""

from __future__ import annotations

from collections.abc import Iterable

from kexue_bench.analysis.tables import Cell, Row, Table
from kexue_bench.analysis.verdicts import Effect
from kexue_bench.api import Instance
from kexue_bench.report.curves import Estimator

TASK = Instance(name="task", params={"n": 1}, target="m:T", label="task[n=1]")


def cell(
    metric: str,
    value: float,
    low: float | None = None,
    high: float | None = None,
    flags: Iterable[str] = (),
    *,
    exact: bool = False,
    unit: str = "",
    effect: Effect | None = None,
) -> Cell:
    """A number with its interval."""
    return Cell(
        key=metric, metric=metric, value=value, low=low, high=high, n=9, unit=unit, flags=frozenset(flags),
        stage="evaluate", case_key="k", exact=exact, effect=effect,
    )  # fmt: skip


def row(label: str, *cells: Cell, **fields: object) -> Row:
    """A method with these cells."""
    method = Instance(name=label, target="m:M", label=label)
    known = {"run": "r", "status": "ok", "reason": "", "key": "k", **fields}
    return Row(method=method, label=label, cells={c.key: c for c in cells}, **known)


def table(*rows: Row, **fields: object) -> Table:
    """One task with these rows, without a baseline."""
    known = {
        "primary": "mse",
        "baseline": "",
        "control": None,
        "timed": False,
        "tests": 0,
        "exploratory": 0,
        "detectable": {},
        **fields,
    }
    return Table(
        family="toy", task=TASK, summary="", device="cpu", dtype="float32", threads=(1,), seeds=(0,), columns=(),
        rows=rows, **known,
    )  # fmt: skip


def estimator(
    label: str,
    bias: float = 0.0,
    variance: float = 1.0,
    work: float = 1.0,
    seconds: float | None = None,
    bias_high: float | None = None,
) -> Estimator:
    """A method whose error and cost are known exactly."""
    return Estimator(
        label=label, bias=bias, bias_low=bias, bias_high=bias if bias_high is None else bias_high, variance=variance,
        variance_low=variance, variance_high=variance, work=work, seconds=seconds,
    )  # fmt: skip
