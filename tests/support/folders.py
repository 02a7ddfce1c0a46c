"""Run folders of a toy, as the runner would leave them."""

from __future__ import annotations

from pathlib import Path

from kexue_bench.api import Case, Instance, Job, Measurement, Outcome, Plan
from kexue_bench.store.results import RunWriter

METHODS = ("exact", "reinforce", "rloo", "disarm")


def make_case(method="rloo", *, replicates=(0,), stage="evaluate", **changes) -> Case:
    """A case of a toy."""
    return Case(
        family="gradients",
        task=Instance(name="toy", params={"bits": 200, "t": 0.45}, target="a.b:Toy", label="toy"),
        task_version=1,
        method=Instance(name=method, params={"n": 2}, target=f"a.{method}:M", label=f"{method}[n=2]"),
        stage=stage,
        replicates=replicates,
        **changes,
    )


def make_plan() -> Plan:
    """Four methods, one of them settled without running, and a request."""
    cases = [make_case(method) for method in METHODS]
    refused = make_case("st", stage="evaluate")
    return Plan(
        jobs=tuple(Job(cases=(case,)) for case in cases),
        settled=(Outcome(key=refused.key, status="unsupported", phase="plan", reason="needs gradients"),),
        settled_cases=(refused,),
        request={"families": ["gradients"], "seed": 0},
    )


def ok(case: Case, value=1.0, **changes) -> Outcome:
    """An outcome with one measurement."""
    measured = Measurement(metric="variance", value=value, low=value / 2, high=value * 2, n=64)
    return Outcome(**({"key": case.key, "status": "ok", "measurements": (measured,)} | changes))


def stored(root: Path, plan: Plan, outcomes=(), **kwargs) -> Path:
    """A closed run folder."""
    with RunWriter.create(root, name="gradients", plan=plan, environment={"cpu": "x"}, **kwargs) as writer:
        writer.append(outcomes)
        return writer.path
