"""The times of a stored run as files of pytest-benchmark and of pyperf, which their own `compare` commands read.

Both know seconds of one call and no timing groups: what is lost is that rounds of one group are pairs, so their ratios
are less precise than those of `kexue-bench compare`.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from .._version import __version__
from ..api import Case
from ..errors import UsageError
from ..store.folder import parse_name
from ..store.results import Run

MARK = "kexue_bench_"
"""Begins the names of our own metadata in files of pyperf."""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """The times of a method on a task.

    Args:
        processes: for each process the seconds of one call in each of its rounds.
        inner: calls in one sample, the mean over processes.
        units: units (draws, steps) in one call.
    """

    case: Case
    processes: tuple[tuple[float, ...], ...]
    inner: int
    units: int

    @property
    def name(self) -> str:
        """`rloo[n=4]-bernoulli-toy`, as the names of the tests of `kexue_case` end."""
        return f"{self.case.method.plain}-{self.case.task.label}"

    @property
    def identity(self) -> dict[str, str | int]:
        """What says, in a file of theirs, which of our times these are."""
        case = self.case
        named = {"family": case.family, "task": case.task.label, "method": case.method.plain}
        return {**named, "dtype": case.dtype, "device": case.device, "units": self.units}

    @property
    def group(self) -> str:
        """`gradients/bernoulli-toy`."""
        return f"{self.case.family}/{self.case.task.label}"


def timed(run: Run) -> list[Timed]:
    """Every method on every task that was timed, in planned order; the copy of a baseline is left out.

    Raises:
        UsageError: nothing was timed.
    """
    found: dict[tuple[str, str, str], list[tuple[Case, tuple[float, ...], float, float]]] = {}
    for case in run.plan.cases:
        outcome = run.outcomes.get(case.key)
        if case.stage != "time" or case.copy or outcome is None:
            continue
        for row in outcome.measurements:
            if row.metric == "time" and row.series is not None:
                inner = outcome.cost.get("inner", 1.0)
                units = row.series.batch / inner
                calls = tuple(value * units for value in row.series.values if value is not None)
                found.setdefault((case.family, case.task.label, case.method.label), []).append(
                    (case, calls, inner, units)
                )
    if not found:
        raise UsageError(f"the run {run.path.name!r} has no times", do="run it with --stage time")
    return [
        Timed(
            case=parts[0][0],
            processes=tuple(calls for _, calls, _, _ in parts if calls),
            inner=round(statistics.fmean(inner for _, _, inner, _ in parts)),
            units=round(parts[0][3]),
        )
        for parts in found.values()
    ]


def pytest_benchmark(run: Run) -> str:
    """The file that `pytest-benchmark compare` reads."""
    machine = run.environment
    document = {
        "machine_info": {
            "node": "",
            "processor": str(machine.get("cpu", "")),
            "machine": str(machine.get("machine", "")),
            "system": str(machine.get("os", "")),
            "python_version": str(machine.get("python", "")),
            "cpu": {"brand_raw": str(machine.get("cpu", ""))},
        },
        "commit_info": {"id": str(_git(machine).get("commit", "")), "dirty": bool(_git(machine).get("dirty", False))},
        "benchmarks": [_benchmark(row) for row in timed(run)],
        "datetime": _date(run),
        "version": __version__,
    }
    return json.dumps(document, indent=1) + "\n"


def pyperf(run: Run) -> str:
    """The file that `pyperf compare_to` reads: a process of ours is a run of theirs."""
    names = [row.name for row in timed(run)]
    document = {
        "version": "1.0",
        "metadata": {"description": f"kexue-bench {run.path.name}", "unit": "second"},
        "benchmarks": [
            {
                "metadata": {
                    # A name may be that of two families, and must be unique here.
                    "name": row.name if names.count(row.name) == 1 else f"{row.case.family}/{row.name}",
                    "loops": max(row.inner, 1),
                    **{f"{MARK}{name}": value for name, value in row.identity.items()},
                },
                "runs": [{"values": list(values)} for values in row.processes],
            }
            for row in timed(run)
            if row.processes
        ],
    }
    return json.dumps(document, indent=1) + "\n"


FORMATS: Mapping[str, Callable[[Run], str]] = {"pytest-benchmark": pytest_benchmark, "pyperf": pyperf}
"""Name of a format -> what writes it."""


def _benchmark(row: Timed) -> dict[str, object]:
    values = [value for process in row.processes for value in process]
    return {
        "group": row.group,
        "name": row.name,
        "fullname": f"{row.group}/{row.name}",
        "params": None,
        "param": None,
        "extra_info": {**row.identity, "rounds": [len(process) for process in row.processes]},
        "options": {"timer": "perf_counter", "disable_gc": True, "warmup": True},
        "stats": {**dict(_statistics(values)), "data": values, "iterations": row.inner},
    }


def _statistics(values: Sequence[float]) -> Iterator[tuple[str, object]]:
    """The statistics that pytest-benchmark prints, as it defines them; quartiles are inclusive."""
    mean = statistics.fmean(values)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [mean] * 3
    fence = 1.5 * (q3 - q1)
    inside = [value for value in values if q1 - fence <= value <= q3 + fence]
    far = sum(abs(value - mean) > spread for value in values)
    yield from {"min": min(values), "max": max(values), "mean": mean, "stddev": spread}.items()
    yield from {"rounds": len(values), "median": median, "q1": q1, "q3": q3, "iqr": q3 - q1}.items()
    yield from {"iqr_outliers": len(values) - len(inside), "stddev_outliers": far}.items()
    yield from {"outliers": f"{far};{len(values) - len(inside)}", "ops": 1 / mean, "total": sum(values)}.items()
    yield from {"ld15iqr": min(inside), "hd15iqr": max(inside)}.items()


def _git(machine: Mapping[str, object]) -> Mapping[str, object]:
    found = machine.get("git")
    return found if isinstance(found, Mapping) else {}


def _date(run: Run) -> str:
    """When the run was made, by the name of its folder; empty if it has another name."""
    parsed = parse_name(run.path)
    return datetime.strptime(parsed[1], "%Y%m%dT%H%M%S%z").isoformat() if parsed else ""
