"""The engine of a cluster: Ray schedules jobs onto nodes, and on each node a local engine runs and guards them.

Ray only assigns a job to a free worker of a node with the processors, memory and device that it asks for; its retries
are off. The worker keeps one `LocalEngine` with one slot, so that limits, isolation and the attribution of a crash to
a case are those of one machine. What Ray itself loses (a worker, a node) is delivered as `lost`, which fails no case.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from ...api import Job
from ...errors import UsageError
from ...store.codec import decode
from ...store.environment import NUMERICAL, fingerprints, package_version
from . import Delivery
from .local import START_LIMIT, Isolation, LocalEngine

if TYPE_CHECKING:
    from types import ModuleType

POLL = 0.1
"""Seconds to wait for something to arrive before looking at deadlines."""
WHEELS = ("kexue-bench", *NUMERICAL)
"""Distributions whose versions must agree on the driver and on every node."""


@dataclass
class _Flight:
    """A job on the cluster."""

    future: Future[Delivery]
    deadline: float


@dataclass
class _Ray:
    """The Ray library, once a cluster is connected."""

    library: ModuleType
    run: Any
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
        self._alone: str | None = None

    @property
    def capacity(self) -> int:
        """How many jobs run at once: as many as the processors of the cluster allow."""
        ray = self._connected().library
        return max(1, int(ray.cluster_resources().get("CPU", 1)) // self._threads)

    def start(self) -> None:
        """Connect, and refuse nodes whose libraries differ from the driver's.

        Raises:
            UsageError: Ray is not installed, no cluster answers, or a node has different wheels.
        """
        self._connected()

    def submit(self, text: str, *, limit: float | None, members: int = 1, exclusive: bool = False) -> Future[Delivery]:
        """Queue a job; see `Engine.submit`."""
        connection = self._connected()
        request = json.loads(text)
        options = self._options(request, exclusive=exclusive)
        settings = {"isolation": self._isolation, "threads": self._threads, "memory_limit": self._memory_limit}
        reference = connection.run.options(**options).remote(text, limit, members, exclusive, settings, wheels())
        future: Future[Delivery] = Future()
        # One job more than can run is in flight, so that a job waits for at most one other.
        patience = 2 * (limit or float("inf")) * members + START_LIMIT
        with self._lock:
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
        self._ray = _Ray(library=library, run=run)
        self._refuse_other_wheels()
        self._watcher = threading.Thread(target=self._watch, name="kexue-bench-ray", daemon=True)
        self._watcher.start()
        return self._ray

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

    def _watch(self) -> None:
        while not self._closed and self._ray is not None:
            connection = self._ray
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


def _late() -> Delivery:
    return Delivery(status="lost", reason="the cluster did not answer within twice the limit of the job")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _deliver(future: Future[Delivery], delivery: Delivery) -> None:
    if not future.done():
        with suppress(Exception):
            future.set_result(delivery)
