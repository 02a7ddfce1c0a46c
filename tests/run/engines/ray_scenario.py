"""A Ray cluster of two nodes on this machine, from which a worker and then a node are taken in mid-run.

Run as a script in a process of its own; prints JSON: the rows of both engines, the ledger, and what was taken.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import threading
from pathlib import Path

import psutil
from ray.cluster_utils import Cluster

from kexue_bench.api import Outcome, Plan
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry
from kexue_bench.plan.plan import Request, build_plan
from kexue_bench.run.engines.local import LocalEngine
from kexue_bench.run.engines.ray import RayEngine
from kexue_bench.run.runner import run
from kexue_bench.store import codec
from kexue_bench.store.environment import fingerprints
from kexue_bench.store.results import RunWriter, load_run

CASES = 200


class Saboteur:
    """Kills a worker of Ray after 40 outcomes, and removes the second node after 90."""

    def __init__(self, cluster: Cluster, node: object) -> None:
        self._cluster, self._node = cluster, node
        self.seen, self.done_to = 0, []

    def started(self, plan: Plan) -> None:
        """Nothing to do yet."""

    def finished(self, outcome: Outcome, case: object) -> None:
        """Strike while jobs are in flight."""
        self.seen += 1
        if self.seen == 40:
            threading.Thread(target=self._kill_a_worker, daemon=True).start()
        if self.seen == 90:
            threading.Thread(target=self._remove_the_node, daemon=True).start()

    def _kill_a_worker(self) -> None:
        while not (found := [process for process in psutil.process_iter() if busy(process)]):
            pass
        found[0].kill()
        self.done_to.append("worker")

    def _remove_the_node(self) -> None:
        self._cluster.remove_node(self._node)
        self.done_to.append("node")

    def done(self, path: str) -> None:
        """Nothing to do any more."""


def busy(process: psutil.Process) -> bool:
    """Whether a process is a worker of Ray that runs a job of ours; Ray writes that into its title."""
    with contextlib.suppress(psutil.Error):
        return "run_on_node" in " ".join(process.cmdline())
    return False


def plan() -> Plan:
    """One method on the cheapest task under 200 seeds, plus a timing group."""
    registry = Registry(load_plugins())
    jobs = []
    for seed in range(CASES):
        request = Request(
            families=("gradients",), tasks=("bernoulli-toy",), methods=("reinforce",), stages=("evaluate",),
            budget=2048, precision=0.5, seed=seed,
        )  # fmt: skip
        jobs.extend(build_plan(request, registry).jobs)
    timed = Request(tasks=("bernoulli-toy",), methods=("reinforce", "rloo"), stages=("time",), processes=1)
    return Plan(jobs=(*jobs, *build_plan(timed, registry).jobs))


def rows(outcomes: dict) -> dict[str, str]:
    """Key -> what was measured, as text that differs in any bit."""
    return {key: codec.dumps(outcome.measurements) for key, outcome in outcomes.items()}


def main() -> None:
    planned = plan()
    expected = fingerprints(planned.cases)
    evaluated = {job.cases[0].key for job in planned.jobs if not job.exclusive}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    node = cluster.add_node(num_cpus=1, include_dashboard=False)
    cluster.wait_for_nodes()
    saboteur = Saboteur(cluster, node)
    root = Path(tempfile.mkdtemp())
    try:
        with RayEngine(address=cluster.address, isolation="worker") as engine:
            capacity = engine.capacity
            writer = RunWriter.create(root, name="ray", plan=planned, environment={})
            run(planned, engine=engine, open_writer=lambda: writer, timeout=60, observer=saboteur,
                fingerprints=expected)  # fmt: skip
            writer.close()
    finally:
        cluster.shutdown()
    ours = load_run(writer.path)
    with LocalEngine(workers=2, isolation="worker") as engine:
        other = RunWriter.create(root, name="local", plan=planned, environment={})
        run(planned, engine=engine, open_writer=lambda: other, timeout=60)
        other.close()
    theirs = load_run(other.path)
    mine, local = rows(ours.outcomes), rows(theirs.outcomes)
    ledger = [(o.key, o.attempt, o.status) for o in ours.ledger]
    json.dump(
        {
            "capacity": capacity,
            "taken": saboteur.done_to,
            "planned": len(planned.cases),
            "missing": len([case for case in planned.cases if case.key not in ours.outcomes]),
            "statuses": sorted({o.status for o in ours.outcomes.values()}),
            "lost_attempts": sum(status == "lost" for _, _, status in ledger),
            "double": len(ledger) - len(set(ledger)),
            "beyond_two_attempts": sum(attempt > 2 for _, attempt, _ in ledger),
            "different": sum(mine.get(key) != local[key] for key in evaluated),
            "fingerprints": sorted({o.fingerprint == expected[o.key] for o in ours.outcomes.values()}),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
