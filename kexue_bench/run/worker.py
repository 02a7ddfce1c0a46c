"""Runs one job in a worker process: JSON in, JSON out, and whatever a method does becomes an outcome.

Libraries are imported on use, so that a worker of cheap cases, and the tests of the engine, do not import torch.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..api import Case, Instance, Job, Outcome, Scalar, Status
from ..plan.kinds import refusal
from ..plan.tuning import Choice, apply
from ..store import codec
from ..store.details import digest_of, pack
from ..store.given import found
from ..store.sources import LOADED
from .capture import Capture, bounded
from .crumb import Crumb
from .failures import classify, describe, trace_of

if TYPE_CHECKING:
    from ..lab.context import Context
    from ..lab.problems import Workload


@dataclass(kw_only=True)
class _Station:
    """Where a job runs: its breadcrumb, its output, and its record of changed settings.

    Args:
        crumb: tells the driver what is running; None in process.
        capture: captured output; None in process.
        shared: other jobs will run in this process, so functions that a case replaced are looked for.
        changed: what a case left changed.
        side: digest -> text of the side files that the outcomes name.
    """

    request: Mapping[str, Any]
    crumb: Crumb | None = None
    capture: Capture | None = None
    shared: bool = False
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
            [...], "attempt": int, "fingerprints": {key: text}, "chosen": {key: what its tuning chose}, "left": [what
            its member left in a group], "linger": seconds}`; `job` for `run`, `instances` for `resolve`.

    Returns:
        A sealed message: `{"outcomes": [Outcome], "details": [text], "sources": text}`, outcomes in the order of the
            job's cases and the side files that they name; `{"outcomes": [], "apart": index, "left": text}` if a member
            of a timing group must be timed alone; or `{"refused": [...], "broken": [...], "sources": text}` with the
            index, label and message of each instance that cannot be built.
    """
    return run_watched(text)[0]


def run_watched(
    text: str, *, crumb: Crumb | None = None, capture: Capture | None = None, shared: bool = False
) -> tuple[str, tuple[str, ...]]:
    """`run_job`, with a breadcrumb and captured output; also names what the job left changed.

    Args:
        text: the job.
        crumb: where the driver reads what is running.
        capture: where output goes.
        shared: other jobs will run in this process.
    """
    begun = time.time_ns()
    request = cast("dict[str, Any]", codec.loads(text))
    station = _Station(request=request, crumb=crumb, capture=capture, shared=shared)
    for path in request.get("sys_path", ()):
        if path not in sys.path:
            sys.path.append(path)
    _know_plugin_files(request.get("plugins", ()))
    if request["kind"] == "resolve":
        station.phase("resolve")
        answer: dict[str, object] = _resolve(station) | {"sources": _loaded(begun)}
    else:
        job = codec.decode(Job, request["job"])
        import torch

        with torch.no_grad():
            if job.cases[0].stage == "time":
                answer = _run_group(job, station)
            else:
                answer = {"outcomes": _run_cases(job, station)}
        if "apart" not in answer:
            code = _loaded(begun)
            made = cast("list[Outcome]", answer["outcomes"])
            answer["outcomes"] = [replace(outcome, sources=digest_of(code)) for outcome in made]
            answer |= {"details": list(station.side.values()), "sources": code}
    station.phase("report")
    return codec.seal(answer), tuple(dict.fromkeys(station.changed))


def _loaded(begun: int) -> str:
    """The list of all code that this process has loaded, in which new modules were imported after `begun`."""
    LOADED.take(begun)
    return LOADED.text()


# -- building ---------------------------------------------------------------------------------------------------------


def build(instance: Instance) -> object:
    """Import the target of an instance and call it with its parameters and fixed fields.

    Raises:
        Exception: whatever the import or the constructor raises.
    """
    return _import_target(instance.target)(**_arguments(instance))


def _arguments(instance: Instance) -> dict[str, Scalar]:
    """Parameters and fixed fields; of a file its absolute path.

    Raises:
        ValueError: a file is gone, or not what it was when the run was planned.
    """
    return {**instance.params, **instance.fixed, **{name: found(file) for name, file in instance.files.items()}}


def _import_target(target: str) -> Any:  # a third-party class
    module_name, _, attribute = target.partition(":")
    value: Any = importlib.import_module(module_name)
    for part in attribute.split("."):
        value = getattr(value, part)
    return value


class _PluginFiles(MetaPathFinder):
    """Finds the plugins that are single files, by their stem.

    They are loaded when a target in them is imported, so that a file which changes the process as it is loaded changes
    only the processes of its own cases.
    """

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002  # the protocol of importlib
        """The file of that stem, if there is one."""
        name = self.files.get(fullname)
        return spec_from_file_location(fullname, name) if name else None


_plugin_files = _PluginFiles()


def _know_plugin_files(names: Sequence[str]) -> None:
    _plugin_files.files.update({Path(name).stem: name for name in names if name.endswith(".py")})
    if _plugin_files not in sys.meta_path:
        # Before the others: the desk has loaded the file under this name.
        sys.meta_path.insert(0, _plugin_files)


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
            built = target(**_arguments(instance))
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
        from ..lab import own, patches, state

        surface = patches.surface() if self.station.shared else None
        state.prepare(self.case)
        # Before the settings are looked at: what a task on the user's code needs is not the doing of a method.
        own.reach_beside(self.case)
        drawn, before, begun = state.generators(), state.snapshot(), time.perf_counter()
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
            if surface is not None and (replaced := surface.changed()):
                changed = (*changed, patches.told(replaced))
            self.leaks.extend(changed)
            # Every case seeds them anew, so they are no reason to end the process.
            self.leaks.extend(["global generators"] if state.generators() != drawn else [])
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
            peak=_peak(),
        )


def _peak() -> int:
    """Largest resident bytes of this process so far; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _attempt(case: Case, station: _Station) -> _Attempt:
    return _Attempt(case=case, station=station, chosen=station.request.get("chosen", {}).get(case.key, {}))


def _run_cases(job: Job, station: _Station) -> list[Outcome]:
    from ..lab import stages
    from ..lab.context import Context

    outcomes = []
    for index, case in enumerate(job.cases):
        attempt = _attempt(case, station)
        station.enter(index)
        with attempt.guarded():
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


class _ApartError(Exception):
    """A member left what cannot be restored in the process that the group shares."""

    def __init__(self, member: int, left: str) -> None:
        super().__init__(f"member {member} left {left}")
        self.member, self.left = member, left


def _run_group(job: Job, station: _Station) -> dict[str, object]:
    """Time all cases of a job in common rounds; a member that raises is dropped; the others continue.

    A member that leaves what cannot be restored ends the process: the answer names it, and nothing was measured. Alone,
    it is timed with a flag.
    """
    from ..lab import stages, state
    from ..lab.context import Context
    from ..lab.turns import Turns

    begun = time.perf_counter()
    state.prepare(job.cases[0])
    attempts = [_attempt(case, station) for case in job.cases]
    turns = Turns(pools=job.cases[0].threads > 1 or job.cases[0].device != "cpu")

    def leave(member: int | None) -> None:
        found = turns.end() if member is None else turns.settle(member)
        if member is not None:
            attempts[member].leaks.extend(found.changed)
        if found.guilty is not None:
            attempts[found.guilty].leaks.append(found.left)
            if len(attempts) > 1:
                raise _ApartError(found.guilty, found.left)

    workloads: dict[int, Workload] = {}
    try:
        for index, attempt in enumerate(attempts):
            station.enter(index)
            with attempt.guarded():
                attempt.reach("build")
                task, method = attempt.build()
                attempt.ctx = Context(attempt.case)
                workloads[index] = stages.workload(task, method, attempt.ctx)
            leave(index)
        while workloads and not _time(attempts, workloads, station, leave):
            pass
        leave(None)
    except _ApartError as error:
        return {"outcomes": [], "apart": error.member, "left": error.left}
    attempts[0].leaks.extend(station.request.get("left", ()))
    # A group died: its member on trial is watched for as long as the group had lived.
    time.sleep(max(0.0, station.request.get("linger", 0.0) - (time.perf_counter() - begun)))
    return {"outcomes": [_finish(attempt) for attempt in attempts]}


def _time(
    attempts: Sequence[_Attempt],
    workloads: dict[int, Workload],
    station: _Station,
    leave: Callable[[int], None],
) -> bool:
    """Time the members once; False if one ended the whole group and was removed from `workloads`."""
    import torch

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
    begun = time.perf_counter()
    try:
        times = time_group(
            {str(index): workload for index, workload in workloads.items()},
            rounds=int(first.options.get("rounds", 60)),
            seconds=float(first.options.get("seconds", float("inf"))),
            seed=int(group, 16),
            sample=float(first.options.get("sample", 2e-3)),
            mark=mark,
            leave=lambda position: leave(members[position]),
            clock=clock_for(first.device),
        )
    except _ApartError:
        raise
    except BaseException as error:  # SystemExit and the like in a timed call end that member only
        if station.crumb is None and isinstance(error, KeyboardInterrupt):
            raise
        attempts[running].phase = "time"
        attempts[running].fail(error)
        attempts[running].add_trace(station.printed())
        del workloads[running]
        leave(running)
        return False
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
