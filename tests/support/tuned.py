"""A family whose best settings are known, an engine in this process, and what a tuned run left."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path

from kexue_bench.api import FamilySpec, Knob, MethodSpec, MetricSpec, TaskSpec
from kexue_bench.catalog.plugins import PluginRecord
from kexue_bench.catalog.registry import Registry
from kexue_bench.plan.plan import Request
from kexue_bench.run.engines import Delivery
from kexue_bench.run.runner import run
from kexue_bench.run.worker import run_job
from kexue_bench.store.results import RunWriter, load_run

HOME = Path(__file__).parent
"""Where workers find the methods and tasks."""
GRID = (0.25, 1.0, 4.0, 16.0)


def registry():
    """A toy family whose best settings are known."""

    def method(name, target, *knobs):
        return MethodSpec(name=name, family="toy", target=f"tune_targets:{target}", summary="", knobs=knobs)

    width = Knob(field="width", grid=GRID)
    specs = {
        FamilySpec: (
            FamilySpec(
                name="toy", title="toy", summary="", contract="", precision_metric="mse", baseline="shifted",
                headline=("loss", "mse"), work="evaluations",
            ),
        ),
        MethodSpec: (
            method("shifted", "Shifted", width),
            method("plain", "Plain"),
            method("breaks", "Breaks", width),
            method("dies", "Dies", width),
            method("scale", "Scale", Knob(field="scale", grid=(0.25, 0.5, 1.0))),
        ),
        TaskSpec: (
            TaskSpec(
                name="scored", family="toy", target="tune_targets:Scored", summary="", version=1, kind="record",
                primary="loss",
                knobs=(Knob(field="lr", grid=(0.01, 0.1)),), replicates={"quick": 3},
            ),
            TaskSpec(
                name="sample", family="toy", target="tune_targets:Sample", summary="", version=1,
                budgets={"quick": 2**14}, dtype="float64",
            ),
        ),
        MetricSpec: (MetricSpec(name="loss", scale="linear"),),
    }  # fmt: skip
    return Registry([PluginRecord(name="p", origin="p", specs=specs)])


class Inline:
    """An engine in this process; `dies` names the methods whose tuning a process does not survive."""

    capacity = 1

    def __init__(self, *, dies: frozenset[str] = frozenset()) -> None:
        self.dies = dies
        self.seen: list[tuple[str, str]] = []

    def start(self) -> None:
        """Nothing to start."""

    def submit(self, text, *, limit, members=1, exclusive=False) -> Future[Delivery]:
        future: Future[Delivery] = Future()
        request = json.loads(text)
        delivery = None
        if request["kind"] == "run":
            case = request["job"]["cases"][0]
            self.seen.append((case["stage"], case["method"]["label"]))
            if case["stage"] == "tune" and case["method"]["name"] in self.dies:
                delivery = Delivery(status="crashed", reason="SIGSEGV")
        future.set_result(delivery or Delivery(status="ok", text=run_job(text)))
        return future

    def stop(self) -> None:
        """Nothing to stop."""


def request(*methods, task="scored", tune=4, stages=("evaluate",), **more):
    return Request(methods=methods, tasks=(task,), tune=tune, stages=stages, **more)


def execute(plan, root: Path, engine=None, previous=None):
    with RunWriter.create(root, name="toy", plan=plan, environment={}) as writer:
        run(plan, engine=engine or Inline(), open_writer=lambda: writer, previous=previous, carry=bool(previous))
    return load_run(writer.path)


def tunings(finished):
    return {case.method.name: finished.outcomes[case.key] for case in finished.plan.cases if case.stage == "tune"}
