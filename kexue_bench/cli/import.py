"""Read a JSON file of pytest-benchmark or pyperf, store it as a run, and print its times.

`kexue-bench compare RUN RUN` sets it beside times of ours. No ratio is formed: their benchmarks are timed one by one.
"""  # noqa: N999  # the module has the name of its verb

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..report.text import visible
from ..store.results import RunWriter, load_run
from ..testing import imports
from . import options
from .compare import add_reading_options
from .output import check_reading_options, print_comparison


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `import`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="of `pytest --benchmark-json` or `pyperf ... -o`")
    add_reading_options(parser)
    options.add_results_option(parser)
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Read, store and print."""
    registry, _ = options.load(args)
    check_reading_options(args, registry)
    sheet = imports.read(args.file)
    plan, outcomes = imports.as_run(sheet, registry)
    families = "-".join(dict.fromkeys(case.family for case in plan.cases))
    with RunWriter.create(
        Path(args.output), name=families, plan=plan, environment=sheet.machine, command=tuple(sys.argv)
    ) as writer:
        writer.append(outcomes)
    run = load_run(writer.path)
    print_comparison([run], registry, args)
    print(f"\n{visible(imports.told(sheet))}", file=sys.stderr)
    print(f"{visible(str(run.path))}   beside another: kexue-bench compare RUN {run.number:04}", file=sys.stderr)
    return 0
