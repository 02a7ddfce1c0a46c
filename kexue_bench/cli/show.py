"""Show everything about one method, task, family, metric or claim, or about one case of a stored run."""

from __future__ import annotations

import argparse
import ast
import doctest
import itertools
import re
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from ..api import FamilySpec, Knob, MethodSpec, Scalar, TaskSpec
from ..catalog.fields import fields_of, fixed_of
from ..catalog.registry import Registry
from ..catalog.selectors import text
from ..catalog.source import code_of, docstring_of, exports_of
from ..errors import UsageError
from ..report.text import visible
from ..store.results import list_runs, load_run
from . import options
from .story import story


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `show`."""
    parser.add_argument("name", help="a method, task, family, metric or claim; or the key of a case")
    parser.add_argument(
        "--run", default="", metavar="RUN", help="run that the case belongs to (the newest that has it)"
    )
    options.add_results_option(parser)
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Print it."""
    registry, _ = options.load(args)
    family, _, name = args.name.rpartition("/")
    sections = [
        *_methods(registry, family, name),
        *_tasks(registry, family, name),
        *_families(registry, name),
        *_metrics(registry, family, name),
        *_claims(registry, family, name),
    ]
    if not sections and re.fullmatch(r"[0-9a-f]{4,16}", name):
        sections = _case(args, name)
    if not sections:
        known = {key for _, key in [*registry.methods, *registry.tasks, *registry.metrics]} | {*registry.families}
        known |= {claim for _, claim, _ in registry.claims}
        raise registry.unknown("name", args.name, known)
    console = Console(highlight=False)
    for section in sections:
        # Unwrapped, because a snippet or a command broken at the terminal's width cannot be pasted.
        console.print(Text(visible(section, keep_newlines=True)), soft_wrap=True)
    return 0


def _methods(registry: Registry, family: str, name: str) -> list[str]:
    return [
        _target_text("method", spec, registry)
        for (owner, key), spec in registry.methods.items()
        if key == registry.real_name(owner, name) and family in {"", owner}
    ]


def _tasks(registry: Registry, family: str, name: str) -> list[str]:
    return [
        _target_text("task", spec, registry)
        for (owner, key), spec in registry.tasks.items()
        if key == name and family in {"", owner}
    ]


def _target_text(kind: str, spec: MethodSpec | TaskSpec, registry: Registry) -> str:
    prose = split_example(docstring_of(spec.target))[0]
    # The arguments are listed under the parameters, without the fixed ones.
    prose = _split(prose, "Args")[0]
    lines = [f"{kind} {spec.family}/{spec.name}", "", spec.summary, "", *([prose, ""] if prose else [])]
    fields = fields_of(spec)
    if fields:
        lines += ["parameters:"]
        lines += [
            f"  {field.name}: {field.type}"
            + (f" = {text(field.default)}" if field.default is not None else "")
            + (f"    {field.doc}" if field.doc else "")
            for field in fields
        ]
        lines += [""]
    if spec.fixed:
        lines += [f"fixed: {', '.join(f'{name}={text(value)}' for name, value in fixed_of(spec).items())}"]
    if isinstance(spec, MethodSpec):
        lines += _method_lines(spec, snippet_of(spec, registry.family(spec.family)))
    else:
        lines += _task_lines(spec)
    lines += [f"registered by: {registry.owner(kind, (spec.family, spec.name))}   ({spec.target})", ""]
    return "\n".join(lines)


def split_example(docstring: str) -> tuple[str, str]:
    """A docstring without its `Examples:` section, and that section as a script with outputs as comments."""
    prose, section = _split(docstring, "Examples")
    lines: list[str] = []
    for example in doctest.DocTestParser().get_examples(section):
        lines += example.source.rstrip().splitlines()
        lines += [f"# {line}" for line in example.want.rstrip().splitlines()]
    return prose, "\n".join(lines)


def _split(docstring: str, heading: str) -> tuple[str, str]:
    """A docstring without one of its sections, and that section."""
    head, _, rest = docstring.partition(f"\n{heading}:\n")
    inside = list(itertools.takewhile(lambda line: not line or line.startswith(" "), rest.splitlines()))
    after = "\n".join(rest.splitlines()[len(inside) :])
    return f"{head.rstrip()}\n\n{after}".rstrip(), "\n".join(inside)


def _method_lines(spec: MethodSpec, snippet: Sequence[str]) -> list[str]:
    claims = [f"{claim.name} (when {claim.when})" if claim.when else claim.name for claim in spec.claims]
    return [
        *([f"aliases: {', '.join(spec.aliases)}"] if spec.aliases else []),
        *([f"claims: {', '.join(claims)}"] if claims else []),
        *([f"needs a task that offers: {', '.join(sorted(spec.needs))}"] if spec.needs else []),
        *([f"runs only if: {spec.when}"] if spec.when else []),
        *(f"skipped if {rule.when}: {rule.because}" for rule in spec.unless),
        *([f"needs the package {spec.requires}: {spec.install or 'install it yourself'}"] if spec.requires else []),
        *([f"cost of a call: {spec.cost}"] if spec.cost else []),
        *map(_knob_line, spec.knobs),
        *(f"reference: {reference}" for reference in spec.references),
        "",
        f"compare it:  kexue-bench compare {spec.family} -m {spec.name}",
        *snippet,
        "",
    ]


def snippet_of(spec: MethodSpec, family: FamilySpec, params: Mapping[str, Scalar] | None = None) -> list[str]:
    """The lines that use a method in one's own training loop, as `show` prints them.

    Args:
        params: its parameters; None stands for the defaults.
    """
    module, _, name = spec.target.partition(":")
    package = module.partition(".")[0]
    home = package if name in exports_of(package) else module
    fields = fields_of(spec)
    words = {*spec.needs, *(field.name for field in fields)}
    loop = next((loop for loop in family.loops if loop.words <= words), None)
    if loop is None:
        code = split_example(docstring_of(spec.target))[1]
    else:
        own = {field.name: field.default for field in fields}
        given = {**spec.fixed, **spec.defaults, **{key: v for key, v in (params or {}).items() if v != own.get(key)}}
        code = loop.code.replace("METHOD", f"{name}({', '.join(f'{key}={value!r}' for key, value in given.items())})")
    head = [] if _imports(code, name) else [f"  from {home} import {name}"]
    return ["use it:", *head, *(f"  {line}" for line in code.splitlines())]


def _knob_line(knob: Knob) -> str:
    condition = f" if {knob.when}" if knob.when else ""
    return f"knob of --tune: {knob.field} in {', '.join(f'{value:g}' for value in knob.grid)}{condition}"


def _imports(example: str, name: str) -> bool:
    """Whether an example already imports the name."""
    imports = (node for node in ast.walk(ast.parse(example)) if isinstance(node, ast.ImportFrom))
    return any(alias.name == name for node in imports for alias in node.names)


def _task_lines(spec: TaskSpec) -> list[str]:
    return [
        f"kind: {spec.kind}   version: {spec.version}   dtype: {spec.dtype}",
        *([f"offers: {', '.join(sorted(spec.offers))}"] if spec.offers else []),
        *(f"task.{name} = {expression}" for name, expression in spec.facts.items()),
        *(f"skipped if {rule.when}: {rule.because}" for rule in spec.unless),
        *(f"share of seeds of {name} that a few may not show: {share}" for name, share in spec.rare.items()),
        *(f"{suite}: {', '.join(selectors)}" for suite, selectors in spec.suites.items()),
        "",
    ]


def _families(registry: Registry, name: str) -> list[str]:
    if name not in registry.families:
        return []
    spec = registry.families[name]
    return [
        "\n".join(
            [
                f"family {spec.name}: {spec.title}",
                "",
                spec.summary,
                "",
                f"contract: {spec.contract}",
                f"baseline: {spec.baseline}",
                f"columns: {', '.join(spec.headline)}",
                f"methods: {', '.join(registry.methods_of(name))}",
                f"tasks: {', '.join(registry.tasks_of(name))}",
                "",
                "what a method implements:",
                code_of(spec.contract),
                "",
            ]
        )
    ]


def _metrics(registry: Registry, family: str, name: str) -> list[str]:
    """Every metric of that name: the core's, which all families share, or one for each family that has it."""
    better = {"lower": "lower is better", "higher": "higher is better", "target": "neither direction is better"}
    return [
        f"metric {f'{owner}/' if owner else ''}{spec.name}: {spec.summary}\n\n"
        f"unit: {spec.unit or 'none'}   {better[spec.direction]}   {spec.scale} scale\n"
        for (owner, key), spec in registry.metrics.items()
        if key == name and (not family or owner in {"", family})
    ]


def _claims(registry: Registry, family: str, name: str) -> list[str]:
    """Every check of that claim: the core's, and one for each family that has its own."""
    checked = {"draws": "the draws of sampling tasks", "training": "a fresh training", "subject": "what a task builds"}
    found = []
    for spec in registry.claims.values():
        if spec.name != name or (family and spec.family not in {"", family}):
            continue
        makers = ["every method"] if spec.always else [method.name for method in registry.claimants(spec)]
        prose = docstring_of(spec.target)
        lines = [
            f"claim {f'{spec.family}/' if spec.family else ''}{spec.name}: {spec.summary}",
            "",
            *([prose, ""] if prose else []),
            f"checked on: {checked[spec.of]}   ({spec.target})",
            f"made by: {', '.join(makers) or 'no method'}",
            f"test it:  kexue-bench verify {spec.family}".rstrip(),
            "",
        ]
        found.append("\n".join(lines))
    return found


def _case(args: argparse.Namespace, key: str) -> list[str]:
    """The cases whose key starts with `key`, in the named run or the newest that has one."""
    refs = [args.run] if args.run else [info.path for info in reversed(list_runs(args.output))]
    for ref in refs or ["latest"]:
        run = load_run(ref, args.output)
        found = [case for case in run.plan.cases if case.key.startswith(key)]
        if found:
            return [story(run, case) for case in found]
    where = f"the run {args.run!r}" if args.run else f"the folder {str(args.output)!r}"
    raise UsageError(f"{where} has no case whose key starts with {key!r}", do="see `kexue-bench list runs`")
