"""The engine of a cluster: Ray schedules jobs onto nodes, and on each node a local engine runs and guards them.

Ray only assigns a job to a free worker of a node with the processors, memory and device that it asks for; its retries
are off. The worker keeps one `LocalEngine` with one slot, so that limits, isolation and the attribution of a crash to
a case are those of one machine. What Ray itself loses (a worker, a node) is delivered as `lost`, which fails no case.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

import psutil

from ...api import Job
from ...errors import EngineError, UsageError
from ...store.codec import decode
from ...store.environment import NUMERICAL, fingerprints, package_version
from ..failures import describe
from . import Delivery, processes
from .local import Isolation, LocalEngine
from .server import START_LIMIT

if TYPE_CHECKING:
    from types import ModuleType

POLL = 0.1
"""Seconds to wait for something to arrive before looking at deadlines."""
PULSE = 1.0
"""Seconds between two questions whether the head of the cluster is there."""
PATIENCE = 3
"""Questions in a row without an answer after which the run ends."""
WHEELS = ("kexue-bench", *NUMERICAL)
"""Distributions whose versions must agree on the driver and on every node."""


@dataclass
class _Flight:
    """A job on the cluster."""

    future: Future[Delivery]
    deadline: float


@dataclass
class _Ray:
    """The Ray library, once a cluster is connected.

    Args:
        head: address of the process that holds the cluster together; None if it is not told.
    """

    library: ModuleType
    run: Any
    head: tuple[str, int] | None = None
    flights: dict[Any, _Flight] = field(default_factory=dict)


class RayEngine:
    """Runs jobs on a Ray cluster.

    Args:
        address: address of a running cluster (`auto`, `HOST:PORT`, `ray://...`); empty starts one on loopback.
        isolation: how the worker on the node isolates cases.
        threads: processors that a case requests.
        memory_limit: resident bytes that a case may have, also requested from Ray; None leaves it to the node.
    """

    def __init__(
        self,
        *,
        address: str = "",
        isolation: Isolation = "case",
        threads: int = 1,
        memory_limit: int | None = None,
    ) -> None:
        self._address, self._isolation = address, isolation
        self._threads, self._memory_limit = threads, memory_limit
        self._lock = threading.Lock()
        self._ray: _Ray | None = None
        self._watcher: threading.Thread | None = None
        self._closed = False
        self._failure: EngineError | None = None
        self._alone: str | None = None

    @property
    def capacity(self) -> int:
        """How many jobs run at once: as many as the processors of the cluster allow.

        Raises:
            EngineError: the head of the cluster is gone.
        """
        ray = self._answering().library
        return max(1, int(ray.cluster_resources().get("CPU", 1)) // self._threads)

    def start(self) -> None:
        """Connect, and refuse nodes whose libraries differ from the driver's.

        Raises:
            UsageError: Ray is not installed, no cluster answers, or a node has different wheels.
        """
        self._connected()

    def submit(self, text: str, *, limit: float | None, members: int = 1, exclusive: bool = False) -> Future[Delivery]:
        """Queue a job; see `Engine.submit`.

        Raises:
            EngineError: the cluster cannot be watched, or its head is gone.
        """
        connection = self._answering()
        request = json.loads(text)
        options = self._options(request, exclusive=exclusive)
        settings = {"isolation": self._isolation, "threads": self._threads, "memory_limit": self._memory_limit}
        reference = connection.run.options(**options).remote(text, limit, members, exclusive, settings, wheels())
        future: Future[Delivery] = Future()
        # One job more than can run is in flight, so that a job waits for at most one other.
        patience = 2 * (limit or float("inf")) * members + START_LIMIT
        with self._lock:
            if self._failure is not None:
                raise self._failure
            connection.flights[reference] = _Flight(future, time.monotonic() + patience)
        return future

    def stop(self) -> None:
        """End everything now; what was running is delivered as `cancelled`."""
        if self._ray is None:
            return
        with self._lock:
            flights, self._ray.flights = dict(self._ray.flights), {}
        for reference, flight in flights.items():
            with suppress(Exception):
                self._ray.library.cancel(reference, force=True)
            _deliver(flight.future, Delivery(status="cancelled", reason="the run was stopped"))

    def close(self) -> None:
        """Release every process; a cluster that was started here ends, any other is left running."""
        self.stop()
        self._closed = True
        if self._watcher is not None:
            self._watcher.join(5)
        if self._ray is not None:
            if self._failure is not None:
                with suppress(Exception):
                    _end_own_processes(self._ray.library)
            self._ray.library.shutdown()
            self._ray = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the cluster --------------------------------------------------------------------------------------------------

    def _connected(self) -> _Ray:
        if self._ray is not None:
            return self._ray
        library = _import_ray()
        try:
            if self._address:
                library.init(address=self._address, log_to_driver=False, logging_level="ERROR")
            else:
                library.init(
                    include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False, logging_level="ERROR"
                )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UsageError(f"no Ray cluster answers at {self._address!r}: {error}") from error
        run = library.remote(max_retries=0, num_cpus=self._threads)(run_on_node)
        self._ray = _Ray(library=library, run=run, head=_head_of(library))
        self._refuse_other_wheels()
        self._watcher = threading.Thread(target=self._supervise, name="kexue-bench-ray", daemon=True)
        self._watcher.start()
        return self._ray

    def _answering(self) -> _Ray:
        """The connection; checked first, because Ray waits for a head that is gone and then ends this process."""
        connection = self._connected()
        if self._failure is None and not _answers(connection.head):
            self._fail(_gone())
        if self._failure is not None:
            raise self._failure
        return connection

    def _nodes(self) -> list[Mapping[str, Any]]:
        return [node for node in self._connected().library.nodes() if node["Alive"]]

    def _pinned(self, node: str) -> dict[str, Any]:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}

    def _refuse_other_wheels(self) -> None:
        library, ours = self._connected().library, wheels()
        probe = library.remote(max_retries=0, num_cpus=0)(wheels)
        asked = {node["NodeID"]: probe.options(**self._pinned(node["NodeID"])).remote() for node in self._nodes()}
        for node, reference in asked.items():
            theirs = library.get(reference, timeout=START_LIMIT)
            if theirs != ours:
                library.shutdown()
                self._ray = None
                raise UsageError(
                    f"node {node[:8]} of the cluster has different libraries from this machine",
                    got=difference(ours, theirs),
                    do="install the same wheels on every node",
                )

    def _options(self, request: Mapping[str, Any], *, exclusive: bool) -> dict[str, Any]:
        """What a job requests from Ray: processors, memory and a device; an exclusive job requests a whole node."""
        device = next((case.get("device", "cpu") for case in request.get("job", {}).get("cases", ())), "cpu")
        options: dict[str, Any] = {"num_cpus": self._threads}
        if device.startswith("cuda"):
            options["num_gpus"] = 1
        if self._memory_limit:
            options["memory"] = self._memory_limit
        if exclusive:
            node = self._node_alone(needs_gpu=device.startswith("cuda"))
            options |= {"num_cpus": node["Resources"].get("CPU", 1), **self._pinned(node["NodeID"])}
        return options

    def _node_alone(self, *, needs_gpu: bool) -> Mapping[str, Any]:
        """The node on which everything is timed, the same as long as it is alive."""
        nodes = [n for n in self._nodes() if n["Resources"].get("CPU") and (n["Resources"].get("GPU") or not needs_gpu)]
        if not nodes:
            raise UsageError("no node of the cluster has the device that the timing needs")
        chosen = next((n for n in nodes if n["NodeID"] == self._alone), None) or max(
            nodes, key=lambda n: (n["Resources"]["CPU"], n["NodeID"])
        )
        self._alone = chosen["NodeID"]
        return chosen

    # -- what comes back ----------------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        """Watch until the engine is closed; whatever is raised here ends all jobs, never the thread alone."""
        try:
            self._watch()
        except BaseException as error:  # noqa: BLE001  # whoever waits must get the reason, whatever it is
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End every job with an error, because none can be watched any more."""
        if self._closed or self._ray is None:
            return
        if not isinstance(error, EngineError):
            error = EngineError("the cluster cannot be watched", got=describe(error), do="see whether it still runs")
        with self._lock:
            self._failure = error
            flights, self._ray.flights = dict(self._ray.flights), {}
        for flight in flights.values():
            with suppress(InvalidStateError):
                flight.future.set_exception(error)

    def _watch(self) -> None:
        asked, unanswered = time.monotonic(), 0
        while not self._closed and self._ray is not None and self._failure is None:
            connection = self._ray
            if time.monotonic() - asked > PULSE:
                unanswered = 0 if _answers(connection.head) else unanswered + 1
                asked = time.monotonic()
            if unanswered >= PATIENCE:
                raise _gone()
            with self._lock:
                waiting = list(connection.flights)
            if not waiting:
                time.sleep(POLL / 4)
                continue
            ready, _ = connection.library.wait(waiting, num_returns=1, timeout=POLL)
            now = time.monotonic()
            for reference in waiting:
                with self._lock:
                    flight = connection.flights.get(reference)
                late = flight is not None and now > flight.deadline
                if flight is None or not (reference in ready or late):
                    continue
                delivery = self._fetch(connection, reference) if reference in ready else _late()
                with self._lock:
                    connection.flights.pop(reference, None)
                if late and reference not in ready:
                    with suppress(Exception):
                        connection.library.cancel(reference, force=True)
                _deliver(flight.future, delivery)

    def _fetch(self, connection: _Ray, reference: object) -> Delivery:
        errors = connection.library.exceptions
        try:
            answer = connection.library.get(reference, timeout=START_LIMIT)
        except errors.TaskCancelledError:
            return Delivery(status="cancelled", reason="the job was cancelled")
        except errors.RayTaskError as error:
            return Delivery(status="lost", reason=f"the node could not run the job: {_line(error)}")
        except errors.RayError as error:
            return Delivery(status="lost", reason=f"Ray lost the job ({type(error).__name__}): {_line(error)}")
        return Delivery(**answer)


# -- on a node --------------------------------------------------------------------------------------------------------

_local: dict[str, LocalEngine] = {}


def run_on_node(
    text: str,
    limit: float | None,
    members: int,
    exclusive: bool,
    settings: Mapping[str, Any],
    expected: Mapping[str, str],
) -> dict[str, Any]:
    """Run a job in a guarded process of this node; called by Ray in one of its workers.

    Returns:
        The delivery as plain data.
    """
    if difference(expected, wheels()):
        reason = f"this node has different libraries from the driver: {difference(expected, wheels())}"
        return asdict(Delivery(status="lost", reason=reason))
    request = json.loads(text)
    if "job" in request:
        # Every result carries the fingerprint of the machine that made it.
        request["fingerprints"] = dict(fingerprints(decode(Job, request["job"]).cases))
    name = json.dumps(settings, sort_keys=True)
    if name not in _local:
        _local[name] = LocalEngine(workers=1, **settings)
    delivery = _local[name].submit(json.dumps(request), limit=limit, members=members, exclusive=exclusive).result()
    return asdict(delivery)


def wheels() -> dict[str, str]:
    """Versions of the numerical libraries and of the interpreter."""
    return {"python": ".".join(platform.python_version_tuple()[:2]), **{name: package_version(name) for name in WHEELS}}


def difference(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """The differences between two sets of wheels, in words; empty if there are none."""
    names = sorted({*ours, *theirs})
    parts = [f"{name} {theirs.get(name, 'missing')} instead of {ours.get(name, 'missing')}" for name in names]
    return ", ".join(part for name, part in zip(names, parts, strict=True) if ours.get(name) != theirs.get(name))


def _import_ray() -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise UsageError(
            "--engine ray needs Ray, which is not installed", do="pip install 'kexue-bench[ray]'"
        ) from error
    return ray


def _head_of(library: ModuleType) -> tuple[str, int] | None:
    with suppress(Exception):
        host, _, port = library.get_runtime_context().gcs_address.rpartition(":")
        return host.strip("[]"), int(port)
    return None


def _answers(head: tuple[str, int] | None) -> bool:
    """Whether the head of the cluster takes connections, or is not known."""
    if head is None:
        return True
    try:
        socket.create_connection(head, timeout=PULSE).close()
    except OSError:
        return False
    return True


def _gone() -> EngineError:
    return EngineError("the head of the Ray cluster does not answer", do="start it again and use --resume")


def _end_own_processes(library: ModuleType) -> None:
    """End the processes of a cluster that was started here: without its head, each would wait for it."""
    node = library._private.worker._global_node  # noqa: SLF001  # Ray has no public way
    if node is None:
        return
    below: list[psutil.Process] = []
    for infos in node.all_processes.values():
        for info in infos:
            with suppress(psutil.Error):
                below += psutil.Process(info.process.pid).children(recursive=True)
    node.kill_all_processes(check_alive=False, allow_graceful=False)
    processes.kill_all(below)


def _late() -> Delivery:
    return Delivery(status="lost", reason="the cluster did not answer within twice the limit of the job")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _deliver(future: Future[Delivery], delivery: Delivery) -> None:
    if not future.done():
        with suppress(Exception):
            future.set_result(delivery)
