"""Write a stored run as a file: the comparison table, the tidy frame of measurements, or the published figures.

`--format pytest-benchmark` and `--format pyperf` write the times alone, for the `compare` commands of these programs.
"""

from __future__ import annotations

import argparse

from ..report import formats
from ..report.formats import Document, Format
from ..session import Comparison, ReadOptions, tabulate
from ..store.results import load_run
from ..testing import exchange
from . import options

WHAT = ("comparison", "frame", "published")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `export`."""
    parser.add_argument("run", nargs="?", default="latest", metavar="RUN", help="a stored run (latest)")
    parser.add_argument(
        "--what",
        default="comparison",
        choices=WHAT,
        help="one row for each method and metric, every measurement, or published figures",
    )
    options.add_format_options(parser, formats.COMPARED, default="csv")
    options.add_results_option(parser)
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Export."""
    run = load_run(args.run, args.output)
    if args.format in exchange.FORMATS:
        form = Format(name=args.format, need="rows", render=lambda times, _: times)
        formats.write(Document(parts={"rows": lambda: exchange.FORMATS[args.format](run)}), form, args.to)
        return 0
    has, reporters = formats.ROWS, {}
    document = Document(parts={"rows": lambda: run.to_frame().to_dict("records")}, runs=[run.path.name])
    if args.what != "frame":
        registry, _ = options.load(args)
        found = Comparison(runs=(run,), tabulation=tabulate([run], registry, ReadOptions()))
        document = Document(parts={"rows": found.published}, runs=[run.path.name])
        if args.what == "comparison":
            has, reporters, document = formats.COMPARED, registry.reporters, found.document()
    formats.write(document, formats.choose(args.format, has, reporters, to=args.to), args.to)
    return 0
