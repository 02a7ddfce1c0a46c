"""Print the tables of a stored run again. RUN is `0003`, `latest`, `latest~1` or a path."""

from __future__ import annotations

import argparse

from ..results import load_run
from . import options
from .compare import add_reading_options
from .output import print_comparison


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `report`."""
    parser.add_argument("run", nargs="*", default=["latest"], metavar="RUN", help="stored runs (latest)")
    parser.add_argument("--baseline", default="", metavar="SELECTOR", help="method that ratios refer to")
    add_reading_options(parser)
    options.add_results_option(parser)
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Read and print."""
    registry, _ = options.load(args)
    print_comparison([load_run(ref, args.output) for ref in args.run], registry, args)
    return 0
