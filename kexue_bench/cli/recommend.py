"""Say which methods to choose under a budget and needs, from stored runs; what is missing is run first.

Shown are the methods that no other one beats in both error and price, the reason for each, and what would change that.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import get_args

from ..analysis.recommend import Have, Limit, Need, Specs, recommend
from ..api import STATUSES, FamilySpec, MethodSpec, Scalar
from ..catalog import selectors
from ..catalog.plugins import Hooks
from ..catalog.registry import Registry
from ..plan.plan import Request
from ..report.advice import render_advice
from ..report.console import columns, show
from ..report.text import visible
from ..session import ReadOptions, RunOptions, plan_session, run_session, tabulate
from ..store.results import Run, list_runs, load_run
from . import options
from .plan_view import seconds_told
from .runs import expected
from .show import snippet_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `recommend`."""
    parser.add_argument("family", metavar="FAMILY", help="a family")
    parser.add_argument("-t", "--task", default="", metavar="SELECTOR", help="the task that is like your problem")
    parser.add_argument(
        "--need", default="", metavar="A,B", help="claims that a method must make (unbiased, finite-variance, ...)"
    )
    parser.add_argument(
        "--budget",
        action="append",
        default=[],
        metavar="AMOUNT",
        help="the most that a call may cost: '64 evaluations', '50 ms', '2 GB'; may be repeated",
    )
    parser.add_argument(
        "--have", choices=get_args(Have), default="gradient", help="derivatives of the function, or values only"
    )
    parser.add_argument("--run", default="", metavar="RUN", help="stored run to answer from (the newest that fits)")
    options.add_results_option(parser)
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Find or make the run, and print the answer."""
    registry, hooks = options.load(args)
    family = registry.family(args.family)
    counters = [name for name in (family.work,) if name]
    need = Need(
        claims=tuple(name.strip() for name in args.need.split(",") if name.strip()),
        limits=tuple(Limit.of(text, counters) for text in args.budget),
        have=args.have,
    )
    known = {claim.name for spec in registry.methods_of(family.name).values() for claim in spec.claims}
    for claim in need.claims:
        if claim not in known:
            raise registry.unknown("claim", claim, known)
    request = Request(families=(family.name,), tasks=selectors.read([args.task] if args.task else []))
    tasks = _tasks(request, args, registry, hooks)
    run = load_run(args.run, args.output) if args.run else _newest(args, family.name, tasks)
    if run is None:
        run = _run(request, args, registry, hooks)
    tabulation = tabulate([run], registry, ReadOptions())
    specs = Specs(methods=registry.methods, tasks=registry.tasks)
    found = recommend(tabulation, specs, family.name, need, tasks=tasks if args.task else ())
    show(render_advice(found, need, tabulation, width=columns(), unicode=_unicode()))
    print(f"  from run {run.number:04}: kexue-bench report {run.number:04} {family.name} --full")
    if found.options:
        print("\n".join(["", *snippet_of(*_chosen(run, registry, family.name, found.options[0].label))]))
    return 0


def _chosen(
    run: Run, registry: Registry, family: str, label: str
) -> tuple[MethodSpec, FamilySpec, Mapping[str, Scalar]]:
    """The method of a row, its family and its parameters."""
    plain = label.partition(" @")[0]
    case = next(case for case in run.plan.cases if case.family == family and case.method.label == plain)
    return registry.methods[case.family, case.method.name], registry.family(case.family), case.method.params


def _unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")


def _tasks(request: Request, args: argparse.Namespace, registry: Registry, hooks: Hooks) -> Sequence[str]:
    """Labels of the tasks that the request would run."""
    plan = plan_session(request, RunOptions(output=args.output), registry, hooks)
    return list(dict.fromkeys(case.task.label for case in plan.cases))


def _newest(args: argparse.Namespace, family: str, tasks: Sequence[str]) -> Run | None:
    """The newest complete stored run that compared the family, on every one of the tasks if one was asked for."""
    for info in reversed(list_runs(args.output)):
        run = load_run(info.path, args.output)
        cases = [case for case in run.plan.cases if case.family == family and case.stage == "evaluate"]
        ran = {case.task.label for case in cases}
        done = all(
            case.key in run.outcomes and STATUSES[run.outcomes[case.key].status].again != "always" for case in cases
        )
        methods = {case.method.label for case in cases}
        if done and len(methods) > 1 and (ran >= {*tasks} if args.task else ran):
            return run
    return None


def _run(request: Request, args: argparse.Namespace, registry: Registry, hooks: Hooks) -> Run:
    """Run what is missing, after saying what that is."""
    plan = plan_session(request, RunOptions(output=args.output), registry, hooks)
    what = args.task or f"the quick tasks of {args.family}"
    seconds = seconds_told(expected(plan, args.output))
    print(
        visible(f"no stored run answers this: running {what} first, {len(plan.cases)} cases; Ctrl-C stops it"),
        f"time: {seconds}",
        sep="\n",
        file=sys.stderr,
    )
    command = ("kexue-bench", "compare", args.family, *(("-t", args.task) if args.task else ()))
    asked = RunOptions(output=args.output, command=command)
    return run_session(request, asked, registry, hooks, reading=ReadOptions()).run
