"""Print a stored run again: what to use, and with --full every table.

WHAT names runs (`0003`, `latest`, `latest~1`, a path; the latest by default), and the families and tasks to show.
"""

from __future__ import annotations

import argparse

from ..report import formats
from ..store.results import load_run
from . import options
from .compare import add_reading_options
from .output import comparison_of, print_comparison


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `report`."""
    parser.add_argument("what", nargs="*", metavar="WHAT", help="stored runs (latest), families, tasks")
    parser.add_argument("--baseline", default="", metavar="SELECTOR", help="method that ratios refer to")
    parser.add_argument("--html", action="store_true", help="write report.html into the folder of the first run")
    add_reading_options(parser)
    options.add_results_option(parser)
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Read and print."""
    registry, _ = options.load(args)
    refs, only = options.runs_and_names(args.what)
    runs = [load_run(ref, args.output) for ref in refs or ["latest"]]
    if not args.html:
        print_comparison(runs, registry, args, only=only)
        return 0
    path = runs[0].path / "report.html"
    formats.write(comparison_of(runs, registry, args, only=only).document(), formats.FORMATS["html"], path)
    print(path)
    return 0
