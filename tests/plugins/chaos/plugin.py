"""Registration: what the driver imports."""

from __future__ import annotations

import pluggy

from kexue_bench.api import FamilySpec, MethodSpec, TaskSpec

hookimpl = pluggy.HookimplMarker("kexue_bench")

METHODS = (
    "Fine", "Raises", "RaisesType", "Hostile", "Exits", "Interrupts", "Segfaults", "Aborts", "Quits", "Sleeps", "Spins",
    "Stubborn", "Chatty", "Prints", "Bomb", "NoMemory", "TorchMemory", "Settings", "Spawns", "Daemon", "Lingers",
    "Needs", "Late", "Refuses", "DiesAtBirth",
)  # fmt: skip


@hookimpl
def kexue_families() -> list[FamilySpec]:
    """One family."""
    return [
        FamilySpec(
            name="chaos",
            title="Chaos",
            summary="Methods that misbehave.",
            contract="chaos.methods:Method",
            precision_metric="score",
            baseline="fine",
            headline=("score",),
        )
    ]


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Every class of `chaos.methods`."""
    return [
        MethodSpec(name=name.lower(), family="chaos", target=f"chaos.methods:{name}", summary=name) for name in METHODS
    ]


@hookimpl
def kexue_tasks() -> list[TaskSpec]:
    """One task."""
    run = TaskSpec(name="run", family="chaos", target="chaos.tasks:Run", summary="Run it.", version=1, kind="record")
    return [run]
