"""List every plugin found: what it registered, where it comes from, and why it could not be loaded."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..api import MethodSpec, TaskSpec
from ..catalog.plugins import REGISTRATION, PluginRecord, load_plugins
from ..catalog.registry import Registry
from ..report.text import visible
from . import options


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `plugins`."""
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Print one row for each plugin; always succeeds, because this verb is there to show broken plugins."""
    registry = Registry(load_plugins(args.plugin))
    table = Table(box=None, pad_edge=False)
    for heading in ("plugin", "status", "from", "registers", "reason"):
        table.add_column(heading, overflow="fold")
    for record in registry.records:
        counts = [
            f"{len(record.of(kind))} {hook.removeprefix('kexue_')}"
            for hook, kind in REGISTRATION.items()
            if record.of(kind)
        ]
        faults = dict.fromkeys(_faults(record, registry))
        reasons = [record.reason, *registry.problems.get(record.name, []), *faults]
        origin = f"{record.origin} ({record.distribution})" if record.distribution else record.origin
        partly = record.status == "ok" and (record.name in registry.problems or faults)
        status = "partly" if partly else record.status
        cells = (record.name, status, origin, ", ".join(counts), "; ".join(filter(None, reasons)))
        table.add_row(*(Text(visible(cell)) for cell in cells))
    Console().print(table if registry.records else "no plugin is installed")
    for name, spec in registry.commands.items():
        owner = registry.owner("command", name)
        print(visible(f"verb {name}: {spec.summary} (plugin {owner})"))
    return 0


def _faults(record: PluginRecord, registry: Registry) -> Iterator[str]:
    """Methods and tasks of a plugin whose targets cannot be read."""
    for kind, of in (("method", MethodSpec), ("task", TaskSpec)):
        for spec in record.of(of):
            if registry.owner(kind, (spec.family, spec.name)) == record.name and (found := registry.fault(spec)):
                yield f"{kind} {spec.name!r}: {found}"
