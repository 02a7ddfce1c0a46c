"""Draw a stored run: bias against variance, error against budget, a metric over its points, training against exact."""

from __future__ import annotations

import argparse
import fnmatch
from collections.abc import Mapping
from pathlib import Path

from ..analysis.comparison import Table, read
from ..api import MetricSpec
from ..catalog.registry import Registry
from ..errors import UnknownNameError, UsageError
from ..report import curves, plots
from ..store.results import Run, load_run
from . import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `plot`."""
    parser.add_argument("run", nargs="?", default="latest", metavar="RUN", help="stored run (latest)")
    parser.add_argument("--kind", choices=plots.KINDS, required=True, help="what to draw")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="FILE.svg, .pdf or .png")
    parser.add_argument(
        "-t", "--task", action="append", default=[], metavar="GLOB", help="draw only these tasks, by label"
    )
    parser.add_argument("-m", "--method", action="append", default=[], metavar="GLOB", help="draw only these methods")
    parser.add_argument(
        "--budget", type=float, default=1000.0, metavar="N", help="units of work at which the variance is shown (1000)"
    )
    parser.add_argument("--against", default="exact", metavar="LABEL", help="reference of a training path (exact)")
    parser.add_argument(
        "--over",
        default="",
        metavar="COST",
        help="x axis of a curve: time, or the cost of a step such as flops or family/flops (steps)",
    )
    options.add_results_option(parser)
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Read, draw, and print where the picture is."""
    plots.library()
    registry, _ = options.load(args)
    run = load_run(args.run, args.output)
    tabulation = read([run], metrics=registry.metrics, families=registry.families, tasks=registry.tasks)
    tables = [table for table in tabulation.tables if _wanted(table.task.label or table.task.name, args.task)]
    if args.kind == "path":
        drawn = _path(run, tables, registry, args)
    elif args.kind == "curve":
        drawn = _curve(run, tables, registry, args)
    else:
        drawn = _sampling(tables, registry, args)
    plots.save(drawn, args.to)
    print(args.to)
    return 0


def _sampling(tables: list[Table], registry: Registry, args: argparse.Namespace) -> plots.Figure:
    """Bias against variance, or error against budget, of every sampling task of one family."""
    panels, family = [], None
    for table in tables:
        spec = registry.families.get(table.family)
        if spec is None or not spec.work or (family is not None and spec.name != family.name):
            continue
        found = [e for e in curves.estimators(table, spec.work) if _wanted(e.label, args.method)]
        if found:
            family = spec
            panels.append((table, found))
    if family is None:
        raise _nothing("a method with a bias, a positive variance and a counted cost")
    if args.kind == "mse-budget":
        return plots.mse_budget(panels, work=family.work)
    if not args.budget > 0:
        raise UsageError("--budget must be positive", got=str(args.budget))
    return plots.bias_variance(panels, work=family.work, budget=args.budget)


def _path(run: Run, tables: list[Table], registry: Registry, args: argparse.Namespace) -> plots.Figure:
    panels, metric = [], None
    for table in tables:
        spec = registry.metric(table.family, table.primary)
        if spec is None or (metric is not None and spec != metric):
            continue
        found = curves.gaps(
            run.plan,
            run.outcomes,
            table,
            metric=spec.name,
            against=args.against,
            higher=spec.direction == "higher",
        )
        if kept := [gap for gap in found if _wanted(gap.label, args.method)]:
            metric = spec
            panels.append((table, kept))
    if metric is None:
        raise _nothing(f"a trained task with {args.against!r} and another method, two replicates each")
    return plots.path(panels, metric=metric.name, unit=metric.unit, against=args.against)


def _curve(run: Run, tables: list[Table], registry: Registry, args: argparse.Namespace) -> plots.Figure:
    panels, metric, over = [], None, ""
    costs = _costs(args.over, registry) if args.over else {}
    for table in tables:
        spec = registry.metric(table.family, table.primary)
        if spec is None or (metric is not None and spec != metric):
            continue
        found = curves.trails(run.plan, run.outcomes, table, metric=spec.name)
        task = registry.tasks.get((table.family, table.task.name))
        cost = costs.get(table.family) or costs.get("")
        if args.over:
            # Only a step has a cost; other points are what the task varied.
            steps = task is None or task.points == "steps"
            found = curves.priced(found, table, cost.name) if steps and cost is not None else ()
        kept = [c for c in found if c.reference or _wanted(c.label, args.method)]
        if any(not c.reference and len(c.points) > 1 for c in kept):
            metric, over = spec, task.points if task is not None else over
            if cost is not None:
                over = f"{cost.name} ({cost.unit})" if cost.unit else cost.name
            panels.append((table, kept))
    if metric is None:
        known = f", and with a {args.over} a step" if args.over else ""
        raise _nothing(f"a method whose primary metric was measured at several points{known}")
    return plots.curve(panels, metric=metric.name, unit=metric.unit, over=over)


def _costs(name: str, registry: Registry) -> Mapping[str, MetricSpec]:
    """Family -> the metric that its curves are drawn over; under the empty name the core's, for every family."""
    try:
        return registry.metrics_named(name)
    except UnknownNameError as error:
        raise UsageError(
            f"--over must name a metric, the cost of a step; {error}", do="write time, or a counter such as flops"
        ) from error


def _wanted(label: str, globs: list[str]) -> bool:
    # Brackets are part of labels, not of a pattern.
    return not globs or any(label == glob or fnmatch.fnmatchcase(label, glob.replace("[", "[[]")) for glob in globs)


def _nothing(what: str) -> UsageError:
    return UsageError("there is nothing to draw", got=f"no table of this run has {what}")
