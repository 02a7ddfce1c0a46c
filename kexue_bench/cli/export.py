"""Write a stored run as csv, json, md, latex or parquet: the tidy frame of measurements, or the comparison table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..analysis.comparison import read
from ..analysis.published import figures
from ..errors import ResultsError, UsageError
from ..report.export import FORMATS, render_rows, write_rows
from ..store.results import load_run
from . import options

WHAT = ("comparison", "frame", "published")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `export`."""
    parser.add_argument("run", nargs="?", default="latest", metavar="RUN", help="a stored run (latest)")
    parser.add_argument("--format", default="csv", choices=FORMATS, help="file format (csv)")
    parser.add_argument(
        "--what",
        default="comparison",
        choices=WHAT,
        help="one row a method and metric, each measurement, or published figures",
    )
    parser.add_argument("--to", type=Path, metavar="FILE", help="write to FILE instead of the standard output")
    options.add_results_option(parser)
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Export."""
    run = load_run(args.run, args.output)
    if args.what == "frame":
        rows = run.to_frame().to_dict("records")
    else:
        registry, _ = options.load(args)
        tabulation = read(
            [run],
            metrics=registry.metrics,
            families=registry.families,
            tasks=registry.tasks,
            published=figures(registry)[0],
        )
        rows = tabulation.rows() if args.what == "comparison" else tabulation.published()
    if args.to is None:
        if args.format == "parquet":
            raise UsageError("parquet is a binary format", do="add --to FILE.parquet")
        sys.stdout.write(render_rows(rows, args.format, run=[run.path.name]))
        return 0
    try:
        write_rows(rows, args.format, args.to, run=[run.path.name])
    except OSError as error:
        raise ResultsError(f"{args.to} cannot be written: {error.strerror or error}") from error
    return 0
