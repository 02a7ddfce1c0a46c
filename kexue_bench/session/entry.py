"""`compare` and `verify` for a script, a thread or a notebook: like the command line, but they return a value."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Literal, TypeVar, get_args

from ..analysis.recommend import Specs
from ..analysis.stats import Correction
from ..api import STAGES, Stage, Suite
from ..catalog import selectors
from ..catalog.plugins import Hooks
from ..catalog.registry import Registry
from ..errors import UsageError
from ..plan.plan import Request
from ..report.text import visible
from ..store.results import DEFAULT_ROOT
from .options import EngineName, Isolation, ReadOptions, RunOptions, device_of
from .results import Comparison, Result, Verification, tabulate
from .running import Session, load, run_session

Names = str | Sequence[str]
Paths = str | PathLike[str] | Sequence[str | PathLike[str]]
Dtype = Literal["", "float32", "float64"]
Kept = TypeVar("Kept", bound=Result)


def compare(
    families: Names = (),
    methods: Names = (),
    tasks: Names = (),
    *,
    suite: Suite | Literal[""] = "",
    stages: Stage | Sequence[Stage] = STAGES,
    replicates: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    dtype: Dtype = "",
    threads: int = 1,
    precision: float | None = None,
    budget: int | None = None,
    processes: int | None = None,
    rigorous: bool = False,
    tune: int = 0,
    baseline: str = "",
    columns: Names = (),
    sort: str = "",
    margin: float = 0.05,
    alpha: float = 0.05,
    correction: Correction = "holm",
    budget_of_use: float | Sequence[float] = (),
    backward_cost: float = 1.0,
    plugins: Paths = (),
    output: str | PathLike[str] | None = DEFAULT_ROOT,
    resume: str | None = None,
    retry_failed: bool = False,
    jobs: int | None = None,
    timeout: float | None = 600.0,
    memory: int | None = None,
    isolation: Isolation = "case",
    engine: EngineName = "local",
    address: str = "",
    quiet: bool = False,
    verbose: bool = False,
) -> Comparison:
    """Run methods on tasks, store the results, and read them: `kexue-bench compare` as a function.

    It may be called from a script without a `__main__` guard, from any thread, and repeatedly. Ctrl-C stops the run,
    keeps the finished cases (`resume="latest"` continues from there) and raises `KeyboardInterrupt`.

    Args:
        families: names of families; empty means all.
        methods: selectors, `"rloo"` or `"rloo[n=[2,4]]"`; empty means those of the suite.
        tasks: selectors; empty means those of the suite.
        suite: how much to run; empty means `tour`, or `quick` if families, methods or tasks are named.
        stages: stages to run, `evaluate` and `time` by default.
        replicates: seeds of trained tasks and repetitions of the others; None leaves it to the suite.
        seed: seed of every stream.
        device: `cpu`, `cuda`, `cuda:N` or `auto`.
        dtype: empty means the task's own.
        threads: torch threads of a case.
        precision: relative half-width at which sampling stops; None leaves it to the suite.
        budget: largest number of draws of a case; None leaves it to the task.
        processes: processes of a timing group; None leaves it to the suite.
        rigorous: time in twice the processes and rounds of the suite.
        tune: trials of each method on each task; tuned methods are shown beside the untuned ones.
        baseline: selector of the method that ratios refer to; empty means the family's.
        columns: metrics to show, in this order.
        sort: metric that orders the rows and decides which method is best.
        margin: ratios within 1 + margin, either way, are equivalent.
        alpha: level of each of the two families of tests in a table: the primary column, and all others.
        correction: correction for multiple tests within one table.
        budget_of_use: units of work whose draws are judged, the first of which decides; empty means the family's.
        backward_cost: price of a backward pass through f, in evaluations of f.
        plugins: modules or `.py` files to load besides the installed plugins; `"no:NAME"` blocks an installed one.
        output: results folder. None stores nothing: a temporary folder lives as long as the comparison.
        resume: a stored run (`"latest"`, `"0003"`, a path) whose finished cases are replayed; if nothing else says what
            to run, its request is taken over.
        retry_failed: with `resume`, run failed cases again.
        jobs: workers; None takes the number of cores.
        timeout: seconds a case may take.
        memory: bytes a case may take; None takes a fair share of the machine.
        isolation: a process for each `case` or for each `worker`, or `none` to run in this process, to debug.
        engine: `local` for this machine, `ray` for a Ray cluster.
        address: address of a running Ray cluster.
        quiet: print nothing.
        verbose: print one line for each finished case.

    Returns:
        The tables, with every measurement. A failed case is a row, not an error.

    Raises:
        UsageError: the request is invalid; nothing was stored.
        PluginError: a plugin that was named cannot be loaded.
        ResultsError: the results folder cannot be written or read, or belongs to another run.
        KeyboardInterrupt: the run was interrupted; finished cases are stored.

    Examples:
        >>> import kexue_bench
        >>> methods = ["rloo[n=2]", "rloo[n=8]"]
        >>> found = kexue_bench.compare(
        ...     "gradients", methods, "bernoulli-toy", stages="evaluate", budget=4096, output=None
        ... )
        >>> [row.label for row in found.tables[0].rows if row.star]
        ['rloo[n=8]']
    """
    request = Request(
        families=_texts("families", families),
        methods=selectors.read(_texts("methods", methods)),
        tasks=selectors.read(_texts("tasks", tasks)),
        suite=suite,
        stages=_stages(stages),
        replicates=replicates,
        seed=seed,
        device=device_of(device),
        dtype=dtype,
        threads=threads,
        precision=precision,
        budget=budget,
        processes=processes,
        rigorous=rigorous,
        baseline=selectors.one(baseline),
        tune=tune,
    )
    reading = ReadOptions(
        columns=_texts("columns", columns),
        sort=sort,
        margin=margin,
        alpha=alpha,
        correction=correction,
        baseline=baseline,
        budget_of_use=tuple(
            f"{budget:g}" for budget in ((budget_of_use,) if isinstance(budget_of_use, (int, float)) else budget_of_use)
        ),
        backward_cost=backward_cost,
    )
    registry, hooks = _loaded(plugins, quiet=quiet)
    reading.check(registry)
    with _folder(output) as folder:
        options = RunOptions(
            output=folder,
            engine=engine,
            address=address,
            jobs=jobs,
            isolation=isolation,
            timeout=timeout,
            memory=memory,
            resume=resume,
            retry_failed=retry_failed,
            verbose=verbose,
            quiet=quiet,
        )
        finished = _finish(request, options, registry, hooks, reading)
        tabulation = tabulate([finished.run], registry, reading)
        notes = (*registry.complaints, *finished.notes, *tabulation.notes)
        specs = Specs(methods=registry.methods, tasks=registry.tasks)
        found = Comparison(runs=(finished.run,), tabulation=tabulation, notes=notes, specs=specs)
    return _keeping(found, folder, temporary=output is None)


def verify(
    families: Names = (),
    methods: Names = (),
    tasks: Names = (),
    *,
    suite: Suite = "quick",
    seed: int = 0,
    device: str = "cpu",
    dtype: Dtype = "",
    threads: int = 1,
    budget: int | None = None,
    plugins: Paths = (),
    output: str | PathLike[str] | None = DEFAULT_ROOT,
    resume: str | None = None,
    retry_failed: bool = False,
    jobs: int | None = None,
    timeout: float | None = 600.0,
    memory: int | None = None,
    isolation: Isolation = "case",
    engine: EngineName = "local",
    address: str = "",
    quiet: bool = False,
    verbose: bool = False,
) -> Verification:
    """Test the claims of each method, and the promises that all methods share: `kexue-bench verify` as a function.

    Args:
        families: names of families; empty means all.
        methods: selectors; empty means every method.
        tasks: selectors; empty means those of the suite.
        suite: how much to run.
        seed: seed of every stream.
        device: `cpu`, `cuda`, `cuda:N` or `auto`.
        dtype: empty means the task's own.
        threads: torch threads of a case.
        budget: largest number of draws of a check; None leaves it to the task.
        plugins: see `compare`.
        output: see `compare`.
        resume: see `compare`.
        retry_failed: see `compare`.
        jobs: see `compare`.
        timeout: see `compare`.
        memory: see `compare`.
        isolation: see `compare`.
        engine: see `compare`.
        address: see `compare`.
        quiet: see `compare`.
        verbose: see `compare`.

    Returns:
        The findings; `passed` says whether all claims hold.

    Raises:
        UsageError: the request is invalid; nothing was stored.
        PluginError: a plugin that was named cannot be loaded.
        ResultsError: the results folder cannot be written or read, or belongs to another run.
        KeyboardInterrupt: the run was interrupted; finished cases are stored.
    """
    request = Request(
        families=_texts("families", families),
        methods=selectors.read(_texts("methods", methods)),
        tasks=selectors.read(_texts("tasks", tasks)),
        suite=suite,
        stages=("verify",),
        seed=seed,
        device=device_of(device),
        dtype=dtype,
        threads=threads,
        budget=budget,
    )
    registry, hooks = _loaded(plugins, quiet=quiet)
    with _folder(output) as folder:
        options = RunOptions(
            output=folder,
            engine=engine,
            address=address,
            jobs=jobs,
            isolation=isolation,
            timeout=timeout,
            memory=memory,
            resume=resume,
            retry_failed=retry_failed,
            verbose=verbose,
            quiet=quiet,
        )
        finished = _finish(request, options, registry, hooks)
        found = Verification(runs=(finished.run,), notes=(*registry.complaints, *finished.notes, *finished.run.notes))
    return _keeping(found, folder, temporary=output is None)


def _loaded(plugins: Paths, *, quiet: bool) -> tuple[Registry, Hooks]:
    """The installed plugins and those named here; problems are reported at once."""
    registry, hooks = load(_paths(plugins))
    for text in () if quiet else registry.complaints:
        print(f"kexue-bench: {visible(text)}", file=sys.stderr)  # noqa: T201  # unless quiet is asked for
    return registry, hooks


def _finish(
    request: Request, options: RunOptions, registry: Registry, hooks: Hooks, reading: ReadOptions | None = None
) -> Session:
    """Run to the end, or raise `KeyboardInterrupt`."""
    finished = run_session(request, options, registry, hooks, reading=reading)
    if finished.signal:
        raise KeyboardInterrupt(f"stopped; finished cases are stored in {finished.run.path}")
    return finished


@contextmanager
def _folder(output: str | PathLike[str] | None) -> Iterator[Path]:
    """The results folder; a temporary one is removed if an error occurs."""
    if output is not None:
        yield Path(output)
        return
    folder = Path(tempfile.mkdtemp(prefix="kexue-bench-run-"))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _keeping(found: Kept, folder: Path, *, temporary: bool) -> Kept:
    """The result; a temporary folder is removed with it."""
    if temporary:
        weakref.finalize(found, shutil.rmtree, folder, ignore_errors=True)
    return found


def _stages(stages: Stage | Sequence[Stage]) -> tuple[Stage, ...]:
    found = (stages,) if isinstance(stages, str) else tuple(stages)
    known = get_args(Stage)
    if not found or not set(found) <= set(known):
        raise UsageError(f"stages must be some of {', '.join(known)}", got=repr(stages))
    return found


def _texts(name: str, values: Names) -> tuple[str, ...]:
    """Names or selectors; an object is rejected, because workers could not import it."""
    if isinstance(values, str):
        return (values,)
    given: list[str] = []
    several = isinstance(values, Iterable) and not isinstance(values, type)
    for value in values if several else (values,):
        if isinstance(value, str):
            given.append(value)
            continue
        kind = value if isinstance(value, type) else type(value)
        if kind.__module__ == "builtins":
            raise UsageError(f"{name} must be names, as text", got=repr(value), do="see `kexue-bench list`")
        what = f"the class {kind.__name__}" if isinstance(value, type) else f"an object of class {kind.__name__}"
        raise UsageError(
            f"{name} must be names, as text",
            got=what,
            do="write it to a file: workers import it. Then give the file in plugins=[...] and its name here",
        )
    return tuple(given)


def _paths(values: Paths) -> tuple[str, ...]:
    """Plugins as the registry names them."""
    given = (values,) if isinstance(values, (str, PathLike)) else tuple(values)
    for value in given:
        if not isinstance(value, (str, PathLike)):
            raise UsageError(
                "plugins must be names of modules or paths of .py files",
                got=f"an object of class {type(value).__name__}",
                do="write it to a file: workers import it",
            )
    return tuple(os.fspath(value) for value in given)
