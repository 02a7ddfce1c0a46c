"""The pytest plugin: `kexue_case` runs a test on each method and task, with the call that `compare` times.

Example::

    @pytest.mark.kexue_case("gradients", methods=("mine", "rloo"), tasks="bernoulli-toy")
    def test_speed(kexue_case, benchmark):
        kexue_case(benchmark)

`benchmark` is the stock fixture of pytest-benchmark with all its options. Collecting tests imports no torch, and where
no test asks for `kexue_case`, nothing of kexue-bench but this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..api import Case
    from ..lab.problems import Workload

_MARK = (
    "kexue_case(*families, methods=(), tasks=(), suite='quick', dtype='', device='cpu', threads=1, plugins=()): "
    "run the test once for each method and task, with the workload that `kexue-bench compare` times."
)


@dataclass(frozen=True, kw_only=True)
class KexueCase:
    """A method on a task, ready to be timed.

    Args:
        case: the case of the stage `time`, as `compare` plans it.
        workload: its call, and the number of units (draws, steps) in one call.
    """

    case: Case
    workload: Workload

    def __call__(self, benchmark: Callable[..., Any]) -> None:
        """Time the call with pytest-benchmark, grouped by task; `extra_info` says what was timed.

        Args:
            benchmark: the fixture of pytest-benchmark.
        """
        case: Any = self.case
        fixture: Any = benchmark
        fixture.group = f"{case.family}/{case.task.label}"
        fixture.extra_info |= {
            "family": case.family,
            "task": case.task.label,
            "method": case.method.plain,
            "dtype": case.dtype,
            "device": case.device,
            "unit": self.workload.unit,
            "units": self.workload.units,
            "case": case.key,
        }
        fixture(self.workload.call)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line("markers", _MARK)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise a test that asks for `kexue_case`."""
    if "kexue_case" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("kexue_case")
        if mark is None:
            raise pytest.UsageError(f"{metafunc.definition.nodeid} needs a mark: @pytest.mark.{_MARK}")
        found = timed_cases(*mark.args, **mark.kwargs)
        ids = [f"{case.method.plain}-{case.task.label}" for case in found]
        metafunc.parametrize("kexue_case", found, ids=ids, indirect=True)


@pytest.fixture
def kexue_case(request: pytest.FixtureRequest) -> Iterator[KexueCase]:
    """A method on a task; call it with `benchmark`."""
    from .workloads import ready

    with ready(request.param) as workload:
        yield KexueCase(case=request.param, workload=workload)


def timed_cases(
    *families: str,
    methods: str | Sequence[str] = (),
    tasks: str | Sequence[str] = (),
    suite: str = "quick",
    dtype: str = "",
    device: str = "cpu",
    threads: int = 1,
    plugins: str | Sequence[str] = (),
) -> list[Case]:
    """The cases that `compare` would time in one process, without the copy of the baseline that is its control.

    Args:
        families: names of families; none means all.
        methods: selectors; empty means those of the suite.
        tasks: selectors; empty means those of the suite.
        suite: how much to run.
        dtype: empty means the task's own.
        device: `cpu` or `cuda`.
        threads: torch threads.
        plugins: modules or files of plugins that are not installed.

    Raises:
        UsageError: a name is unknown, or no method fits a task.
    """
    from .. import session
    from ..catalog import selectors
    from ..errors import UsageError
    from ..plan.plan import Request, build_plan

    names = [(value,) if isinstance(value, str) else tuple(value) for value in (methods, tasks, plugins)]
    registry, hooks = session.load(names[2])
    request = Request(
        families=families,
        methods=selectors.read(names[0]),
        tasks=selectors.read(names[1]),
        suite=suite,
        stages=("time",),
        dtype=dtype,
        device=device,
        threads=threads,
        processes=1,
    )
    plan = build_plan(request, registry, hooks)
    asked = [case for job in plan.jobs for case in job.cases if not case.copy and case.method.label not in plan.added]
    if not asked:
        reasons = "; ".join(dict.fromkeys(outcome.reason for outcome in plan.settled))
        raise UsageError("no method fits a task", got=reasons or "none that is timed in this suite")
    return asked
