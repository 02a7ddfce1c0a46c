"""Fixtures shared by the tests of the worker, the engine and the runner."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kexue_bench.api import Case, Instance, Job, Outcome
from kexue_bench.store import codec

PLUGINS = Path(__file__).parent / "plugins"
# Set before any test module is imported: some read the specs of families then. Child processes inherit it.
_CACHE = tempfile.TemporaryDirectory(prefix="kexue-bench-cache-")
os.environ["KEXUE_BENCH_CACHE"] = _CACHE.name


@dataclass(frozen=True)
class Chaos:
    """Builds cases and jobs of the misbehaving plugin `tests/plugins/chaos`."""

    path: str = str(PLUGINS)
    common: dict[str, Any] = field(default_factory=lambda: {"sys_path": [str(PLUGINS)]})

    def instance(self, name: str, **params: Any) -> Instance:
        """An instance of a class of `chaos.methods`."""
        return Instance(name=name.lower(), target=f"chaos.methods:{name}", label=name, params=params)

    def case(self, name: str, *, stage: str = "evaluate", replicate: int = 0, **params: Any) -> Case:
        """The method on the one task; timing is short."""
        return Case(
            family="chaos",
            task=Instance(name="run", target="chaos.tasks:Run", label="run"),
            task_version=1,
            method=self.instance(name, **params),
            stage=stage,  # pyright: ignore[reportArgumentType]  # a test's literal
            replicates=(replicate,),
            options={"rounds": 4, "sample": 1e-4} if stage == "time" else {},
        )

    def job(self, *cases: Case) -> Job:
        """One job of these cases, exclusive when they are timed."""
        return Job(cases=cases, exclusive=cases[0].stage == "time")

    def text(self, *cases: Case, **extra: Any) -> str:
        """The request that runs these cases."""
        return codec.dumps({"kind": "run", "job": self.job(*cases), **self.common, **extra})

    def outcomes(self, answer: str) -> list[Outcome]:
        """What a worker answered."""
        return [codec.decode(Outcome, data) for data in codec.unseal(answer)["outcomes"]]


@pytest.fixture(scope="session")
def chaos() -> Chaos:
    """The misbehaving plugin."""
    return Chaos()


@pytest.fixture
def one_thread():
    """As in a worker."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
