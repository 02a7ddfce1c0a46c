"""Runs one job in a worker process: JSON in, JSON out, and whatever a method does becomes an outcome.

Libraries are imported on use, so that a worker of cheap cases, and the tests of the engine, do not import torch.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..api import Case, Instance, Job, Outcome, Status
from ..plan.kinds import refusal
from ..plan.tuning import Choice, apply
from ..store import codec
from ..store.details import digest_of, pack
from .capture import Capture, bounded
from .crumb import Crumb
from .failures import classify, describe, trace_of

if TYPE_CHECKING:
    from ..lab.context import Context
    from ..lab.problems import Workload

_broken_plugins: dict[str, str] = {}


@dataclass(kw_only=True)
class _Station:
    """Where a job runs: its breadcrumb, its output, and its record of changed settings.

    Args:
        crumb: tells the driver what is running; None in process.
        capture: captured output; None in process.
        changed: settings that a case left changed.
        side: digest -> text of the side files that the outcomes name.
    """

    request: Mapping[str, Any]
    crumb: Crumb | None = None
    capture: Capture | None = None
    changed: list[str] = field(default_factory=list)
    side: dict[str, str] = field(default_factory=dict)

    def enter(self, member: int) -> None:
        if self.crumb is not None:
            self.crumb.enter(member)

    def phase(self, name: str) -> None:
        if self.crumb is not None:
            self.crumb.phase(name)

    def printed(self) -> str:
        return self.capture.take() if self.capture is not None else ""


def run_job(text: str) -> str:
    """Run a job in this process.

    Args:
        text: JSON of `{"kind": "run"|"resolve", "job": Job, "instances": [Instance], "plugins": [...], "sys_path":
            [...], "attempt": int, "fingerprints": {key: text}, "chosen": {key: what its tuning chose}}`; `job` for
            `run`, `instances` for `resolve`.

    Returns:
        A sealed message: `{"outcomes": [Outcome], "details": [text]}`, outcomes in the order of the job's cases and the
            side files that they name, or `{"refused": [...], "broken": [...]}` with the index, label and message of
            each instance that cannot be built.
    """
    return run_watched(text)[0]


def run_watched(
    text: str, *, crumb: Crumb | None = None, capture: Capture | None = None
) -> tuple[str, tuple[str, ...]]:
    """`run_job`, with a breadcrumb and captured output; also names the settings that the job left changed."""
    request = json.loads(text)
    station = _Station(request=request, crumb=crumb, capture=capture)
    for path in request.get("sys_path", ()):
        if path not in sys.path:
            sys.path.append(path)
    _load_plugin_files(request.get("plugins", ()))
    if request["kind"] == "resolve":
        station.phase("resolve")
        answer: dict[str, object] = _resolve(station)
    else:
        job = codec.decode(Job, request["job"])
        outcomes = _run_group(job, station) if job.cases[0].stage == "time" else _run_cases(job, station)
        answer = {"outcomes": outcomes, "details": list(station.side.values())}
    station.phase("report")
    return codec.seal(answer), tuple(dict.fromkeys(station.changed))


# -- building ---------------------------------------------------------------------------------------------------------


def build(instance: Instance) -> object:
    """Import the target of an instance and call it with its parameters and fixed fields.

    Raises:
        Exception: whatever the import or the constructor raises.
    """
    return _import_target(instance.target)(**instance.params, **instance.fixed)


def _import_target(target: str) -> Any:  # a third-party class
    module_name, _, attribute = target.partition(":")
    try:
        value: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name == module_name and module_name in _broken_plugins:
            raise ImportError(_broken_plugins[module_name]) from None
        raise
    for part in attribute.split("."):
        value = getattr(value, part)
    return value


def _load_plugin_files(names: Sequence[str]) -> None:
    """Import the plugins that are single files, which no import by name finds; a broken one fails with its target."""
    for name in names:
        stem = Path(name).stem
        if not name.endswith(".py") or stem in sys.modules or stem in _broken_plugins:
            continue
        from ..catalog.plugins import import_module_or_file

        try:
            import_module_or_file(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # only the cases with targets in this file fail
            _broken_plugins[stem] = f"{name} cannot be imported: {describe(error)}"


def _resolve(station: _Station) -> dict[str, object]:
    """Build every instance once: which ones the user must correct, and which cannot run at all."""
    refused: list[dict[str, object]] = _missing_devices(station.request.get("devices", ()))
    broken: list[dict[str, object]] = []
    for index, data in enumerate(station.request["instances"]):
        station.enter(index)
        instance = codec.decode(Instance, data)
        place: dict[str, object] = {"index": index, "label": instance.label or instance.name}
        try:
            target = _import_target(instance.target)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # an import may raise anything
            broken.append(place | _story(error, station, instance.target))
            continue
        try:
            built = target(**instance.params, **instance.fixed)
            if instance.kind and (message := refusal(instance.kind, built)):
                refused.append(place | {"type": "TypeError", "message": message})
        except (ValueError, TypeError) as error:
            refused.append(place | {"type": type(error).__name__, "message": describe(error, with_type=False)})
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # a constructor may raise anything
            broken.append(place | _story(error, station, instance.target))
    return {"refused": refused, "broken": broken}


def _missing_devices(names: Sequence[str]) -> list[dict[str, object]]:
    """Requested devices that this machine lacks, as refusals."""
    if all(name == "cpu" for name in names):
        return []
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    build = f"torch {torch.__version__} sees {count} CUDA device(s)"
    return [
        {"label": f"--device {name}", "message": f"there is no such device: {build}; use --device cpu"}
        for name in names
        if name != "cpu" and int(name.partition(":")[2] or 0) >= count
    ]


def _story(error: BaseException, station: _Station, target: str) -> dict[str, object]:
    return {"status": classify(error, target), "reason": describe(error), "trace": trace_of(error, station.printed())}


# -- running ----------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Attempt:
    """A running case; becomes an outcome at its end."""

    case: Case
    station: _Station
    ctx: Context | None = None
    phase: str = "build"
    status: Status = "ok"
    reason: str = ""
    trace: str = ""
    stop: str = ""
    seconds: float = 0.0
    extra: tuple[Any, ...] = ()
    chosen: Choice = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)

    def build(self) -> tuple[object, object]:
        """Task and method, with the tuned parameters."""
        task = build(apply(self.case.task, self.chosen, task=True))
        return task, build(apply(self.case.method, self.chosen, task=False))

    def tune(self, ctx: Context) -> None:
        """Run the trials; their choice is stored in the outcome."""
        from ..lab.trials import tune

        self.chosen = tune(self.case, lambda point: replace(self, chosen=point).build(), ctx)

    def reach(self, phase: str) -> None:
        self.phase = phase
        self.station.phase(phase)

    def fail(self, error: BaseException) -> None:
        self.status, self.reason = classify(error, self.case.method.target, self.case.task.target), describe(error)
        self.trace = trace_of(error)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn any exception raised inside into the status; restore the settings that were changed."""
        from ..lab import state

        state.prepare(self.case)
        before, begun = state.snapshot(), time.perf_counter()
        try:
            yield
        except KeyboardInterrupt as error:
            # In a worker the terminal's interrupt never arrives, so the method raised this one.
            if self.station.crumb is None:
                raise
            self.fail(error)
        except BaseException as error:  # noqa: BLE001  # a method may raise anything; only its case fails
            self.fail(error)
        finally:
            self.seconds += time.perf_counter() - begun
            changed = state.restore(before)
            self.leaks.extend(changed)
            self.add_trace(self.station.printed())
            self.station.changed.extend(changed)

    def add_trace(self, *parts: str) -> None:
        self.trace = bounded("\n".join(filter(None, (self.trace, *parts))))

    def outcome(self) -> Outcome:
        request = self.station.request
        measurements, cost, details = self.extra, {}, {}
        if self.ctx is not None:
            measurements = (*self.ctx.measurements, *self.extra)
            cost = {name: float(value) for name, value in self.ctx.costs.items()}
            texts = pack(self.ctx.details)
            details = {name: digest_of(text) for name, text in texts.items()}
            self.station.side |= {details[name]: text for name, text in texts.items()}
        return Outcome(
            key=self.case.key,
            status=self.status,
            attempt=request.get("attempt", 1),
            phase="" if self.status == "ok" else self.phase,
            reason=self.reason,
            trace=self.trace,
            measurements=measurements,
            cost=cost,
            details=details,
            seconds=round(self.seconds, 6),
            stop=self.stop,
            fingerprint=request.get("fingerprints", {}).get(self.case.key, ""),
            chosen=dict(self.chosen),
            state_leak=tuple(dict.fromkeys(self.leaks)),
        )


def _attempt(case: Case, station: _Station) -> _Attempt:
    return _Attempt(case=case, station=station, chosen=station.request.get("chosen", {}).get(case.key, {}))


def _run_cases(job: Job, station: _Station) -> list[Outcome]:
    import torch

    from ..lab import stages
    from ..lab.context import Context

    outcomes = []
    for index, case in enumerate(job.cases):
        attempt = _attempt(case, station)
        station.enter(index)
        with attempt.guarded(), torch.no_grad():
            attempt.reach("build")
            task, method = attempt.build()
            attempt.ctx = Context(case)
            attempt.reach(case.stage)
            if case.stage == "tune":
                attempt.tune(attempt.ctx)
            elif case.stage == "verify":
                stages.verify(task, method, attempt.ctx)
            else:
                attempt.stop = stages.evaluate(task, method, attempt.ctx)
        outcomes.append(_finish(attempt))
    return outcomes


def _run_group(job: Job, station: _Station) -> list[Outcome]:
    """Time all cases of a job in common rounds; a member that raises is dropped; the others continue."""
    import torch

    from ..lab import stages
    from ..lab.context import Context

    attempts = [_attempt(case, station) for case in job.cases]
    workloads: dict[int, Workload] = {}
    for index, attempt in enumerate(attempts):
        station.enter(index)
        with attempt.guarded(), torch.no_grad():
            attempt.reach("build")
            task, method = attempt.build()
            attempt.ctx = Context(attempt.case)
            workloads[index] = stages.workload(task, method, attempt.ctx)
    while workloads and not _time(attempts, workloads, station):
        pass
    return [_finish(attempt) for attempt in attempts]


def _time(attempts: Sequence[_Attempt], workloads: dict[int, Workload], station: _Station) -> bool:
    """Time the members once; False if one ended the whole group and was removed from `workloads`."""
    import torch

    from ..lab import state
    from ..lab.clocks import clock_for
    from ..lab.timing import measurements, time_group

    members = list(workloads)
    running = members[0]
    first = attempts[running].case

    def mark(position: int) -> None:
        nonlocal running
        running = members[position]
        station.enter(running)

    station.phase("time")
    keys = "".join(sorted(attempts[index].case.key for index in members))
    group = hashlib.sha256(f"{keys}/{station.request.get('attempt', 1)}".encode()).hexdigest()[:16]
    before, begun = state.snapshot(), time.perf_counter()
    try:
        with torch.no_grad():
            times = time_group(
                {str(index): workload for index, workload in workloads.items()},
                rounds=int(first.options.get("rounds", 60)),
                seconds=float(first.options.get("seconds", float("inf"))),
                seed=int(group, 16),
                sample=float(first.options.get("sample", 2e-3)),
                mark=mark,
                clock=clock_for(first.device),
            )
    except BaseException as error:  # SystemExit and the like in a timed call end that member only
        if station.crumb is None and isinstance(error, KeyboardInterrupt):
            raise
        attempts[running].phase = "time"
        attempts[running].fail(error)
        attempts[running].add_trace(station.printed())
        del workloads[running]
        return False
    finally:
        station.changed.extend(state.restore(before))
    share = (time.perf_counter() - begun) / len(members)
    schedule = torch.tensor([[int(name) for name in due] for due in times.order])
    for index in members:
        attempt, member = attempts[index], times.members[str(index)]
        attempt.phase = "time"
        attempt.seconds += share
        if member.error is not None:
            attempt.fail(member.error)
        else:
            attempt.extra = measurements(member, group=group, replicate=attempt.case.replicates[0])
        if attempt.ctx is not None:
            attempt.ctx.costs |= {"inner": member.inner, "preempted": member.preempted, "sample": times.sample}
            # One side file for all members: equal contents have one name.
            attempt.ctx.detail("schedule", schedule)
    return True


def _finish(attempt: _Attempt) -> Outcome:
    """The outcome; one that cannot be serialized is `invalid`."""
    try:
        outcome = attempt.outcome()
        codec.dumps(outcome)
    except Exception as error:  # noqa: BLE001  # recorded values are third-party objects
        bare = replace(attempt, ctx=None, extra=(), status="invalid", phase="report", reason=describe(error))
        return bare.outcome()
    return outcome
