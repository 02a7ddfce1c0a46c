"""List methods, tasks, families, metrics, claims, published figures, runs or statuses."""

from __future__ import annotations

import argparse
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..api import STATUSES, MethodSpec, PublishedSpec, TaskSpec
from ..catalog.fields import Field, fields_of
from ..catalog.registry import Registry
from ..catalog.selectors import text
from ..errors import PluginError
from ..report.text import visible
from ..store.results import list_runs
from . import options

NAMES = 2
EVERY = "(all)"
"""Stands for the family of the core's metrics, which all families share."""
KINDS = ("methods", "tasks", "families", "metrics", "claims", "published", "runs", "statuses")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `list`."""
    parser.add_argument("kind", nargs="?", choices=KINDS, default="methods", help="what to list (methods)")
    parser.add_argument("family", nargs="?", default="", help="only of this family")
    options.add_results_option(parser)
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Print one row for each."""
    if args.kind == "runs":
        _print(
            ("run", "outcomes", "when"),
            [(run.path.name, f"{run.outcomes} of {run.planned}", _when(run.created)) for run in list_runs(args.output)],
            empty=f"no run in {args.output}",
        )
        return 0
    if args.kind == "statuses":
        _print(("status", "result", "rerun by --resume", "meaning"), _statuses())
        return 0
    registry, _ = options.load(args)
    if args.family:
        registry.family(args.family)
    rows = {
        "methods": _methods,
        "tasks": _tasks,
        "families": _families,
        "metrics": _metrics,
        "claims": _claims,
        "published": _published,
    }[args.kind](registry)
    headings = {
        "methods": ("family", "method", "parameters", "what it is"),
        "tasks": ("family", "task", "parameters", "what it is"),
        "families": ("family", "baseline", "methods", "tasks", "what it is"),
        "metrics": ("family", "metric", "unit", "better", "what it is"),
        "claims": ("family", "claim", "checked on", "methods", "what it states"),
        "published": ("family", "figure", "kind", "method", "published", "source"),
    }[args.kind]
    _print(headings, [row for row in rows if not args.family or row[0] in {args.family, EVERY}])
    return 0


def _statuses() -> list[tuple[str, ...]]:
    return [(name, "yes" if ending.result else "no", ending.again, ending.meaning) for name, ending in STATUSES.items()]


def _methods(registry: Registry) -> list[tuple[str, ...]]:
    return [(spec.family, spec.name, parameters(spec), spec.summary) for spec in registry.methods.values()]


def _tasks(registry: Registry) -> list[tuple[str, ...]]:
    return [(spec.family, spec.name, parameters(spec), spec.summary) for spec in registry.tasks.values()]


def _families(registry: Registry) -> list[tuple[str, ...]]:
    return [
        (
            spec.name,
            spec.baseline,
            str(len(registry.methods_of(spec.name))),
            str(len(registry.tasks_of(spec.name))),
            spec.summary,
        )
        for spec in registry.families.values()
    ]


def _metrics(registry: Registry) -> list[tuple[str, ...]]:
    return [
        (spec.family or EVERY, spec.name, spec.unit, spec.direction, spec.summary) for spec in registry.metrics.values()
    ]


def _claims(registry: Registry) -> list[tuple[str, ...]]:
    return [
        (
            spec.family or EVERY,
            spec.name,
            spec.of,
            "all" if spec.always else str(len(registry.claimants(spec))),
            spec.summary,
        )
        for spec in registry.claims.values()
    ]


def _published(registry: Registry) -> list[tuple[str, ...]]:
    return [
        (
            spec.family,
            spec.name,
            spec.kind,
            spec.method + (f" against {spec.against}" if spec.against else ""),
            f"{spec.metric} {_printed(spec)}",
            spec.source,
        )
        for spec in registry.published.values()
    ]


def _printed(spec: PublishedSpec) -> str:
    if spec.entries:
        return ", ".join(f"{value:g}" for value in spec.entries.values())
    return spec.statement if spec.value is None else f"{spec.value:g}"


def parameters(spec: MethodSpec | TaskSpec) -> str:
    """`n=2, baseline=none` for a method or task, or why it cannot be read."""
    try:
        return ", ".join(_parameter(field) for field in fields_of(spec))
    except PluginError as error:
        return f"(unreadable: {error})"


def _parameter(field: Field) -> str:
    return f"{field.name}={text(field.default)}" if field.default is not None else f"{field.name}: {field.type}"


def _when(stamp: str) -> str:
    """`20261122T165654Z` as a person writes it; anything else as it is."""
    try:
        return f"{datetime.strptime(stamp, '%Y%m%dT%H%M%S%z'):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return stamp


def _print(headings: tuple[str, ...], rows: list[tuple[str, ...]], *, empty: str = "nothing is registered") -> None:
    console = Console()
    if not rows:
        console.print(Text(visible(empty)))
        return
    table = Table(box=None, pad_edge=False)
    for index, heading in enumerate(headings):
        # Names are copied, so they stay on one line.
        table.add_column(heading, overflow="fold", no_wrap=index < NAMES)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    console.print(table)
