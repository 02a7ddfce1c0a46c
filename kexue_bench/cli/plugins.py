"""List every plugin found: what it registered, where it comes from, and why it could not be loaded."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..catalog.plugins import REGISTRATION, load_plugins
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
        reasons = [record.reason, *registry.problems.get(record.name, [])]
        origin = f"{record.origin} ({record.distribution})" if record.distribution else record.origin
        status = "partly" if record.status == "ok" and record.name in registry.problems else record.status
        cells = (record.name, status, origin, ", ".join(counts), "; ".join(filter(None, reasons)))
        table.add_row(*(Text(visible(cell)) for cell in cells))
    Console().print(table if registry.records else "no plugin is installed")
    for name, spec in registry.commands.items():
        owner = registry.owner("command", name)
        print(visible(f"verb {name}: {spec.summary} (plugin {owner})"))
    return 0
