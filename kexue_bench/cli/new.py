"""Start a project of your own: a method, a family or a task as an installable package with tests, CI and a README.

A new method or task starts as a copy of one of its family, so that its tests pass at once: replace what it does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import session
from ..report.text import visible
from . import options

WHAT = ("method", "family", "task")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `new`."""
    parser.add_argument("what", choices=WHAT, help="what the project registers")
    parser.add_argument("name", metavar="NAME", help="its name, in kebab case; the package has underscores")
    parser.add_argument("--family", default="", help="family of a method or a task")
    parser.add_argument("--to", type=Path, metavar="DIR", help="folder of the project, a new one (NAME)")
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Write the files and say what to do next."""
    from ..scaffold.projects import create

    options.see_current_folder(args.plugin)
    registry, _ = session.load(args.plugin)
    folder = args.to or Path(args.name)
    for path in create(args.what, args.name, folder, registry, family=args.family):
        print(visible(str(path)))
    package = args.name.replace("-", "_")
    print(f"\nnext: cd {visible(str(folder))} && pip install -e '.[test]' && pytest && kexue-bench check {package}")
    return 0
