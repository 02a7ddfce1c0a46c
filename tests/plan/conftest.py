"""A registry that every test of plans can use."""

from __future__ import annotations

import pytest

from kexue_bench.api import Claimed, FamilySpec, MethodSpec, TaskSpec
from kexue_bench.catalog.plugins import PluginRecord
from kexue_bench.catalog.registry import Registry


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Two families: `toy` with a sampling and a trained task, `other` with one of each."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "plan_targets.py").write_text("class M:\n    n: int = 2\nclass T:\n    d: float = 1.0\n")

    def method(name, family="toy", **more):
        return MethodSpec(name=name, family=family, target="plan_targets:M", summary="", **more)

    def task(name, family="toy", **more):
        return TaskSpec(name=name, family=family, target="plan_targets:T", summary="", version=1, **more)

    def family(name, baseline):
        return FamilySpec(
            name=name,
            title=name,
            summary="",
            contract="",
            precision_metric="mse",
            baseline=baseline,
            headline=("mse",),
            work="evaluations",
        )

    specs = {}
    specs[FamilySpec] = (family("toy", "base"), family("other", "mine"))
    specs[MethodSpec] = (
        method("base"),
        method("good", variants=("good", "good[n=4]")),
        method("picky", needs=frozenset({"gradient"})),
        method("exact", claims=(Claimed(name="deterministic"),)),
        method("mine", family="other"),
        method("foreign", requires="no_such_package", install="pip install it"),
    )
    specs[TaskSpec] = (
        task(
            "sample", suites={"quick": ("sample", "sample[d=2]")}, budgets={"quick": 1000}, timed=frozenset({"quick"})
        ),
        task("train", suites={"quick": ("train",)}, replicates={"quick": 7}, stack=5, timed=frozenset()),
        task(
            "dear",
            suites={"full": ("dear",), "standard": ("dear",)},
            methods={"standard": ("good[n=8]", "picky")},
            budgets={"full": 10, "standard": 10},
            timed=frozenset(),
        ),
        task(
            "choosy",
            offers=frozenset({"gradient"}),
            methods={"standard": "fitting", "full": "good[n=8]"},
            timed=frozenset(),
            budgets={"full": 10, "standard": 10},
        ),
        task(
            "plain",
            methods={"standard": "fitting", "full": ("good[n=8]", "fitting")},
            timed=frozenset(),
            budgets={"standard": 10, "full": 10},
        ),
        task("own", baseline="good[n=4]", timed=frozenset(), budgets={"full": 10}),
        task("lost", suites={"full": ("lost",)}, methods={"standard": ("godo",)}, timed=frozenset()),
        task("elsewhere", family="other", suites={"quick": ("elsewhere",)}, budgets={"quick": 10}, timed=frozenset()),
    )
    return Registry([PluginRecord(name="p", origin="p", specs=specs)])
