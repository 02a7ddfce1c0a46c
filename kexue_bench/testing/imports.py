"""The JSON files of pytest-benchmark and pyperf as a run of ours, whose times stand beside those of other runs.

What `kexue-bench export` and the fixture `kexue_case` wrote becomes the method and the task that it was; any other
benchmark is a method of the family `imported`, and its group is the task. Each benchmark was timed by itself, so that
no ratio is formed: the rounds of two benchmarks are not pairs.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..api import Case, Instance, Job, Measurement, Outcome, Plan, Series
from ..catalog import selectors
from ..catalog.registry import Registry
from ..errors import KexueError, UsageError
from ..files import reason_of
from ..plan.plan import Request, build_plan
from .exchange import MARK

FAMILY = "imported"
"""Family of benchmarks that are none of ours."""


@dataclass(frozen=True, kw_only=True)
class Times:
    """The times of one benchmark of a file.

    Args:
        family: our family; empty for a benchmark that is none of ours.
        task: label of our task, or the group of theirs.
        method: label of our method, or the name of theirs.
        processes: for each process the seconds of one call in each of its rounds.
        units: units (draws, steps) in one call.
        inner: calls in one round.
    """

    family: str
    task: str
    method: str
    processes: tuple[tuple[float, ...], ...]
    units: int = 1
    inner: int = 1
    dtype: str = ""
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The content of a file: its benchmarks, and what it says about the machine."""

    program: str
    times: tuple[Times, ...]
    machine: Mapping[str, object]


def read(path: Path) -> Sheet:
    """The benchmarks of a file of pytest-benchmark or pyperf.

    Raises:
        UsageError: the file cannot be read, is neither's, or has no benchmark in seconds.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        rows = document["benchmarks"]
        sheet = _pyperf(document, rows) if any("runs" in row for row in rows) else _pytest_benchmark(document, rows)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read", got=reason_of(error)) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{str(path)!r} is not a JSON file of pytest-benchmark or pyperf",
            got=f"{type(error).__name__}: {error}",
            do="write one with `pytest --benchmark-json=FILE` or `python -m pyperf ... -o FILE`",
        ) from error
    if not sheet.times:
        raise UsageError(f"{str(path)!r} has no benchmark with times in seconds")
    return sheet


def _pytest_benchmark(document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Sheet:
    machine = document.get("machine_info") or {}
    cpu = (machine.get("cpu") or {}).get("brand_raw", machine.get("processor", ""))
    return Sheet(
        program="pytest-benchmark",
        times=tuple(_of_pytest_benchmark(row) for row in rows),
        machine={
            "cpu": cpu,
            "machine": machine.get("machine", ""),
            "os": machine.get("system", ""),
            "python": machine.get("python_version", ""),
        },
    )


def _of_pytest_benchmark(row: Mapping[str, Any]) -> Times:
    extra, stats = row.get("extra_info") or {}, row["stats"]
    # `--benchmark-save` keeps no single times unless asked to.
    values = _seconds(stats.get("data") or [stats["median"]])
    lengths = extra.get("rounds") or [len(values)]
    ends = [sum(lengths[:i]) for i in range(len(lengths) + 1)]
    return Times(
        **_identity(extra, group=row.get("group") or "", name=str(row["name"])),
        processes=tuple(values[start:end] for start, end in itertools.pairwise(ends)),
        inner=int(stats.get("iterations", 1)),
    )


def _pyperf(document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Sheet:
    common = document.get("metadata") or {}
    facts = {**common, **((rows[0]["runs"][0].get("metadata") or {}) if rows[0]["runs"] else {})}
    return Sheet(
        program="pyperf",
        times=tuple(_of_pyperf(common, row) for row in rows),
        machine={
            "cpu": facts.get("cpu_model_name", ""),
            "os": facts.get("platform", ""),
            "python": facts.get("python_version", ""),
        },
    )


def _of_pyperf(common: Mapping[str, Any], row: Mapping[str, Any]) -> Times:
    facts = {**common, **(row.get("metadata") or {})}
    if facts.get("unit", "second") != "second":
        raise ValueError(f"the benchmark {facts.get('name')!r} is measured in {facts['unit']!r}, not in seconds")
    ours = {name.removeprefix(MARK): value for name, value in facts.items() if name.startswith(MARK)}
    # Runs that only calibrate have no values.
    runs = [_seconds(run["values"]) for run in row["runs"] if run.get("values")]
    return Times(
        **_identity(ours, group="", name=str(facts["name"])),
        processes=tuple(runs),
        inner=int(facts.get("loops", 1)),
    )


def _identity(ours: Mapping[str, Any], *, group: str, name: str) -> dict[str, Any]:
    if not {"family", "task", "method"} <= set(ours):
        return {"family": "", "task": group or "benchmarks", "method": name}
    return {
        "family": str(ours["family"]),
        "task": str(ours["task"]),
        "method": str(ours["method"]),
        "units": int(ours.get("units", 1)),
        "dtype": str(ours.get("dtype", "")),
        "device": str(ours.get("device", "cpu")),
    }


def _seconds(values: Iterable[Any]) -> tuple[float, ...]:
    found = tuple(map(float, values))
    if not all(math.isfinite(value) and value > 0 for value in found):
        raise ValueError("seconds must be positive and finite")
    return found


# -- as a run of ours -------------------------------------------------------------------------------------------------


def as_run(sheet: Sheet, registry: Registry) -> tuple[Plan, tuple[Outcome, ...]]:
    """The plan and the outcomes of a file: one timed case for each process of each benchmark."""
    cases: list[Case] = []
    outcomes: list[Outcome] = []
    for place, times in enumerate(sheet.times):
        family, task, method, dtype = _named(times, registry)
        for process, calls in enumerate(times.processes):
            case = Case(
                family=family,
                task=task,
                task_version=registry.tasks[family, task.name].version if (family, task.name) in registry.tasks else 1,
                method=method,
                stage="time",
                replicates=(process,),
                dtype=dtype,
                device=times.device,
                options={"imported": sheet.program},
            )
            cases.append(case)
            outcomes.append(_outcome(case, times, calls, group=f"{place}/{process}"))
    return Plan(jobs=tuple(Job(cases=(case,), exclusive=True) for case in cases)), tuple(outcomes)


def _outcome(case: Case, times: Times, calls: Sequence[float], *, group: str) -> Outcome:
    values = tuple(call / times.units for call in calls)
    mean = math.exp(math.fsum(map(math.log, values)) / len(values))
    series = Series(kind="rounds", values=values, batch=times.inner * times.units, group=group)
    row = Measurement(metric="time", value=mean, n=len(values), unit="s", replicate=case.replicates[0], series=series)
    return Outcome(key=case.key, status="ok", measurements=(row,), cost={"inner": float(times.inner)})


def _named(times: Times, registry: Registry) -> tuple[str, Instance, Instance, str]:
    """Family, task, method and dtype: as they would be planned here, or under their names alone."""
    found = _planned(times, registry)
    if found is not None:
        return found.family, found.task, found.method, times.dtype or found.dtype
    task, method = (Instance(name=text, target="", label=text) for text in (times.task, times.method))
    return times.family or FAMILY, task, method, times.dtype or "float32"


def _planned(times: Times, registry: Registry) -> Case | None:
    """The case of our own that a benchmark was; None if it is none of ours, or not installed here."""
    if times.family not in registry.families:
        return None
    try:
        request = Request(
            families=(times.family,),
            methods=selectors.read([times.method]),
            tasks=selectors.read([times.task]),
            stages=("time",),
            processes=1,
        )
        plan = build_plan(request, registry)
    except KexueError:
        return None
    return next((case for case in plan.cases if case.method.plain == times.method), None)


def told(sheet: Sheet) -> str:
    """One line on what was read."""
    rounds = sum(len(process) for times in sheet.times for process in times.processes)
    ours = sum(bool(times.family) for times in sheet.times)
    count = f"{len(sheet.times)} benchmark{'s' if len(sheet.times) > 1 else ''}, {rounds} rounds"
    return f"read from {sheet.program}: {count}; with a method and a task of ours: {ours}"
