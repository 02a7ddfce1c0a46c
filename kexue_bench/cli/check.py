"""Check everything that the methods and tasks of a package must keep, as `kexue_bench.testing` does in its own tests.

Declarations are read, objects are built, claims are verified in two dtypes, and each task is tried out with its
baseline. Exit code 1 when a check fails, 3 when one did not finish.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .. import session
from ..api import FamilySpec, MethodSpec, TaskSpec
from ..report import formats
from ..report.formats import Document
from ..report.text import visible
from . import options

if TYPE_CHECKING:
    from ..catalog.plugins import PluginRecord
    from ..testing.findings import Finding

NEGATIVE, INCOMPLETE = 1, 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `check`."""
    parser.add_argument("package", metavar="PACKAGE", help="name of a plugin, of its distribution or of its package")
    parser.add_argument(
        "-t", "--task", action="append", default=[], metavar="SELECTOR", help="check claims only on these tasks"
    )
    parser.add_argument("--unmeasured", action="store_true", help="only read declarations and build objects")
    options.add_format_options(parser, formats.CHECKED)
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Check, print the findings and return the exit code."""
    from ..testing import kit

    form = formats.choose(args.format, formats.CHECKED, to=args.to)
    options.see_current_folder(args.plugin)
    registry, _ = session.load(args.plugin)
    records = kit.records_of(args.package, registry)
    families, methods = kit.owned(FamilySpec, records, registry), kit.owned(MethodSpec, records, registry)
    tasks = kit.owned(TaskSpec, records, registry)
    counts = f"{len(families)} families, {len(methods)} methods, {len(tasks)} tasks"
    found = kit.check_package(
        args.package, tasks=args.task, plugins=args.plugin, isolation="case", measured=not args.unmeasured
    )
    head = [*_metadata(records), f"registers {counts}"]
    failed = [row for row in found if row.ok is False]
    document = Document(
        parts={"view": lambda: Group(*_view(head, found)), "rows": lambda: _rows(found)}, head={"ok": not failed}
    )
    formats.write(document, form, args.to)
    if any(row.finished for row in failed):
        return NEGATIVE
    return INCOMPLETE if failed else 0


def _metadata(records: Sequence[PluginRecord]) -> Iterator[str]:
    """One line for each plugin."""
    for record in records:
        yield f"plugin {record.name}: {record.origin} ({record.distribution or 'not installed, loaded by -p'})"


def _rows(found: Sequence[Finding]) -> list[dict[str, object]]:
    return [
        {"subject": row.subject, "check": row.check, "place": row.place, "ok": row.ok, "message": row.message}
        for row in found
    ]


def _view(head: Sequence[str], found: Sequence[Finding]) -> Iterator[RenderableType]:
    """Metadata, one row for each method, task or plugin, what to change, and the verdict."""
    yield from (Text(visible(line)) for line in head)
    table = Table(box=None, pad_edge=False)
    for heading in ("checked", "in order", "undecided", "to change"):
        table.add_column(heading, overflow="fold")
    for subject in dict.fromkeys(row.subject for row in found):
        mine = [row for row in found if row.subject == subject]
        counts = Counter(row.ok for row in mine)
        wrong = ", ".join(dict.fromkeys(row.check for row in mine if row.ok is False))
        table.add_row(Text(visible(subject)), str(counts[True]), str(counts[None]), Text(visible(wrong)))
    yield table
    # One fault may show on every task.
    said: dict[tuple[str, str, str, bool | None], list[str]] = {}
    for row in sorted((row for row in found if not row.ok), key=lambda row: row.ok is None):
        said.setdefault((row.subject, row.check, row.message, row.ok), []).append(row.place)
    for (subject, check, message, ok), places in said.items():
        where = f" ({places[0]}{f' and {len(places) - 1} more' if len(places) > 1 else ''})" if places[0] else ""
        yield Text(visible(f"{'undecided, ' if ok is None else ''}{subject}: {check}{where}: {message}"))
    counts = Counter(row.ok for row in found)
    verdict = "something is to be changed" if counts[False] else "conforms"
    yield Text(f"{verdict}: {counts[True]} in order, {counts[None]} undecided, {counts[False]} to change")
