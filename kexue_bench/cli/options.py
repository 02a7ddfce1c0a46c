"""Options that several verbs share, and what they mean."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import get_args

from .. import session
from ..api import STAGES, SUITES, Stage
from ..catalog import selectors
from ..catalog.plugins import Hooks
from ..catalog.registry import Registry
from ..plan.plan import Request
from ..report import formats
from ..report.text import visible
from ..session import RunOptions
from ..session.options import device_of
from .verbs import VERBS


def runs_and_names(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words that look like a stored run (`0003`, `latest~1`, a path), and the others."""
    runs = [word for word in words if word[:1].isdigit() or word.startswith("latest") or "/" in word.partition("[")[0]]
    return runs, [word for word in words if word not in runs]


def add_plugin_options(parser: argparse.ArgumentParser) -> None:
    """`-p` and `-v`, which every verb takes."""
    parser.add_argument(
        "-p",
        "--plugin",
        action="append",
        default=[],
        metavar="NAME",
        help="also load the plugin module or file NAME; no:NAME blocks an installed plugin",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="print tracebacks, and a line for each finished case"
    )


def add_results_option(parser: argparse.ArgumentParser) -> None:
    """`-o`: where runs are stored."""
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("results"), metavar="DIR", help="results folder (results)"
    )


def add_format_options(
    parser: argparse._ActionsContainer, has: Collection[formats.Need], *, default: str = "table"
) -> None:
    """`--format` and `--to`: how and where a document with these parts is written."""
    names = ", ".join(formats.fitting(has))
    more = ", or a plugin's" if "tabulation" in has else ""
    parser.add_argument("--format", default=default, metavar="FORMAT", help=f"{names}{more} ({default})")
    parser.add_argument("--to", type=Path, metavar="FILE", help="write to FILE instead of standard output")


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """What to run: shared by `compare` and `run`."""
    what = parser.add_argument_group("what to run")
    what.add_argument("-m", "--method", action="append", default=[], metavar="SELECTOR", help="name[param=value,...]")
    what.add_argument("-t", "--task", action="append", default=[], metavar="SELECTOR", help="name[param=value,...]")
    what.add_argument("--suite", choices=SUITES, default="", help="how much to run (tour; quick if anything is named)")
    what.add_argument("--stage", action="append", default=[], choices=get_args(Stage), help="run only this stage")
    what.add_argument("-r", "--replicates", type=int, metavar="N", help="seeds of trained tasks, repetitions of others")
    what.add_argument("--seed", type=int, default=0, metavar="N", help="seed of every stream (0)")
    what.add_argument("--precision", type=share, metavar="P", help="relative half-width at which to stop, 2%% or 0.02")
    what.add_argument("--budget", type=int, metavar="N", help="largest number of draws of a case")
    what.add_argument("--processes", type=int, metavar="N", help="processes of a timing group")
    what.add_argument("--rigorous", action="store_true", help="twice the suite's processes and rounds for timing")
    what.add_argument("--baseline", default="", metavar="SELECTOR", help="method that ratios refer to")
    what.add_argument("--tune", type=int, default=0, metavar="K", help="also tune each method, with K trials (0)")
    what.add_argument("--device", default="cpu", help="cpu, cuda, cuda:0 or auto (cpu)")
    what.add_argument("--dtype", default="", choices=["", "float32", "float64"], help="default: the task's own")
    what.add_argument("--threads", type=int, default=1, metavar="N", help="torch threads of a case (1)")
    how = parser.add_argument_group("how to run it")
    how.add_argument(
        "--engine", choices=["local", "ray"], default="local", help="this machine, or a Ray cluster (local)"
    )
    how.add_argument("--address", default="", metavar="ADDR", help="running Ray cluster (starts one here)")
    how.add_argument("-j", "--jobs", type=int, default=None, metavar="N", help="number of workers (number of cores)")
    how.add_argument("--timeout", type=float, default=600.0, metavar="S", help="seconds a case may take (600)")
    how.add_argument(
        "--memory", type=size, metavar="SIZE", help="memory a case may take, 4GB or 500MB (a fair share of the machine)"
    )
    how.add_argument(
        "--grace", type=float, default=10.0, metavar="S", help="seconds running cases get after Ctrl-C (10)"
    )
    how.add_argument(
        "--isolation",
        choices=["case", "worker", "none"],
        default="case",
        help="a new process for each case or worker, or none (case)",
    )
    how.add_argument(
        "--resume",
        metavar="RUN",
        help="replay the finished cases of the latest run (or of =RUN) and run the rest of it, or of what is asked for",
    )
    how.add_argument("--retry-failed", action="store_true", help="with --resume: run failed cases again")
    how.add_argument("--case", default="", metavar="KEY", help="run only the cases whose key starts with KEY")
    how.add_argument("-n", "--dry-run", action="store_true", help="print the plan and stop; refuses what a run would")


def request_of(args: argparse.Namespace, families: Sequence[str]) -> Request:
    """The plan options of a parsed command line."""
    return Request(
        families=tuple(families),
        methods=selectors.read(args.method),
        tasks=selectors.read(args.task),
        suite=args.suite,
        stages=tuple(args.stage) or STAGES,
        replicates=args.replicates,
        seed=args.seed,
        device=device_of(args.device),
        dtype=args.dtype,
        threads=args.threads,
        precision=args.precision,
        budget=args.budget,
        processes=args.processes,
        rigorous=args.rigorous,
        baseline=selectors.one(args.baseline),
        tune=args.tune,
    )


def run_options_of(args: argparse.Namespace) -> RunOptions:
    """How a parsed command line runs its request."""
    return RunOptions(
        output=args.output,
        engine=args.engine,
        address=args.address,
        jobs=args.jobs,
        isolation=args.isolation,
        timeout=args.timeout,
        memory=args.memory,
        grace=args.grace,
        resume=args.resume,
        retry_failed=args.retry_failed,
        case=args.case,
        verbose=args.verbose,
        # As it can be typed again, whatever path the program was started from.
        command=("kexue-bench", *sys.argv[1:]),
    )


def load(args: argparse.Namespace) -> tuple[Registry, Hooks]:
    """Plugins and registry; problems are printed to stderr, and `-p` may name modules in the current folder."""
    see_current_folder(args.plugin)
    registry, hooks = session.load(args.plugin)
    complain(registry)
    return registry, hooks


def see_current_folder(plugins: Sequence[str]) -> None:
    """Make modules in the current folder importable for `-p`."""
    if str(Path.cwd()) not in sys.path and any(not value.startswith("no:") for value in plugins):
        sys.path.insert(0, str(Path.cwd()))


def complain(registry: Registry) -> None:
    """Report problems of plugins at once; otherwise a rejected method would just be missing."""
    taken = [
        *(("verb", name, registry.owner("command", name)) for name in registry.commands if name in VERBS),
        *(("format", name, registry.owner("reporter", name)) for name in registry.reporters if name in formats.FORMATS),
    ]
    clashes = [f"plugin {owner}: the core already has the {kind} {name!r}" for kind, name, owner in taken]
    for text in (*registry.complaints, *clashes):
        print(f"kexue-bench: {visible(text)}", file=sys.stderr)


def share(text: str) -> float:
    """`2%` or `0.02`."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage; write 2% or 0.02") from None


def size(text: str) -> int:
    """`4GB`, `500MB`, `2GiB` or a number of bytes, as bytes."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) *([kMGT]i?)?B?", text.strip(), re.IGNORECASE)
    if match is None or len(text) > 40 or not (count := float(match[1])):
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount of memory; write 4GB or 500MB")
    unit = (match[2] or "").lower()
    base = 1024 if unit.endswith("i") else 1000
    return int(count * base ** " kmgt".index(unit[:1] or " "))
