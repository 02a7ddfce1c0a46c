"""What the declarations of a plugin say, read without importing a method or a task."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from ..api import FamilySpec, MethodSpec, TaskSpec
from ..catalog import selectors
from ..catalog.fields import PATHS, fields_of
from ..catalog.plugins import PluginRecord
from ..catalog.registry import Registry
from ..catalog.source import docstring_of
from ..errors import PluginError
from .findings import Finding, finding

HEAVY = ("torch", "numpy", "scipy", "pandas", "sklearn", "matplotlib")
"""Libraries that a plugin must not import when it registers its specs."""
_FORMULA = re.compile(r"`[^`]*[=+\-*/^|(\[<>][^`]*`|\$[^$]+\$")
_SOURCE = re.compile(r"arxiv|doi\b|https?://|\b(?:1[89]|20)\d\d\b", re.IGNORECASE)
_IMPORT = (
    "import sys\nfrom kexue_bench.catalog.plugins import import_module_or_file\n"
    "import_module_or_file({name!r})\nprint(*(name for name in {heavy!r} if name in sys.modules))"
)


def of_method(spec: MethodSpec, registry: Registry) -> Iterator[Finding]:
    """The checks of a method's declaration."""
    subject = f"{spec.family}/{spec.name}"
    yield _target(spec, subject)
    if registry.fault(spec):
        return
    yield _docstring(spec, subject, cited=bool(spec.references))
    yield _knobs(spec, subject)
    yield _cost(spec, subject, registry)


def of_task(spec: TaskSpec, registry: Registry) -> Iterator[Finding]:
    """The checks of a task's declaration."""
    subject = f"{spec.family}/{spec.name}"
    yield _target(spec, subject)
    if registry.fault(spec):
        return
    documented = docstring_of(spec.target)
    yield finding("docstring", subject, "" if documented else "say in its docstring what the truth is and its source")
    yield _knobs(spec, subject)
    idle = "" if spec.suites or needs_a_file(spec) else f"no suite runs it: write suites={{'quick': ({spec.name!r},)}}"
    yield finding("suites", subject, idle)


def of_family(spec: FamilySpec, registry: Registry) -> Iterator[Finding]:
    """The checks of a family's declaration."""
    methods, tasks = registry.methods_of(spec.name), registry.tasks_of(spec.name)
    baseline = selectors.parse(spec.baseline).name if spec.baseline else ""
    known = baseline in methods or baseline in registry.aliases_of(spec.name)
    yield finding("baseline", spec.name, "" if known else f"no method is named {baseline!r}: name one in baseline=")
    columns = dict.fromkeys((spec.precision_metric, *spec.headline))
    unknown = [name for name in columns if registry.metric(spec.name, name.partition("[")[0]) is None]
    missing = f"register {', '.join(unknown)} with a MetricSpec, or take metrics of `kexue-bench list metrics`"
    yield finding("metrics", spec.name, missing if unknown else "")
    quick = any("quick" in task.suites for task in tasks.values())
    yield finding("suites", spec.name, "" if quick else "no task runs in quick: write suites={'quick': (...)} at one")
    silent = [name for name in ("title", "summary") if not getattr(spec, name)]
    yield finding("words", spec.name, f"write its {' and '.join(silent)}" if silent else "")


def of_plugin(record: PluginRecord, registry: Registry) -> Iterator[Finding]:
    """Whether a plugin is loaded, loses nothing to others, and is light to import."""
    subject = f"plugin {record.name}"
    yield finding("registered", subject, record.reason, *registry.problems.get(record.name, ()))
    if record.status == "ok":
        yield finding("import-cost", subject, _weight(record.load))


def needs_a_file(spec: MethodSpec | TaskSpec) -> bool:
    """Whether a method or task must be given a file of the user's, so that its name alone cannot select it."""
    return any(field.type in PATHS and field.default is None for field in fields_of(spec))


def _target(spec: MethodSpec | TaskSpec, subject: str) -> Finding:
    return finding("target", subject, _lacking(spec))


def _lacking(spec: MethodSpec | TaskSpec) -> str:
    """Why the target cannot be read, or built without arguments; empty if it can."""
    try:
        needed = [field.name for field in fields_of(spec) if field.default is None]
    except PluginError as error:
        return str(error)
    if not needed or needs_a_file(spec):
        return ""
    return f"give {', '.join(needed)} a default, so that its name alone selects it"


def _cost(spec: MethodSpec, subject: str, registry: Registry) -> Finding:
    """Whether the work of a call is declared, in a family whose methods say what a call costs."""
    work = registry.families[spec.family].work
    counted = work and any(other.cost for other in registry.methods_of(spec.family).values())
    if spec.cost or not counted:
        message = "" if counted else "not counted by this family"
        return Finding(check="cost", subject=subject, message=message)
    # The work of a method may depend on its input, so nothing is wrong yet.
    message = f"no cost is declared, so the counted {work} of a call are compared with nothing: write cost="
    return Finding(check="cost", subject=subject, ok=None, message=message)


def _docstring(spec: MethodSpec, subject: str, *, cited: bool) -> Finding:
    text = docstring_of(spec.target)
    bare = [field.name for field in fields_of(spec) if not field.doc]
    return finding(
        "docstring",
        subject,
        "" if text else "write one",
        "" if _FORMULA.search(text) else "write the formula, in backticks",
        ""
        if cited or _SOURCE.search(text)
        else "name the source: references=('arXiv:...',), or a year in the docstring",
        f"describe {', '.join(bare)} under Args" if bare else "",
    )


def _knobs(spec: MethodSpec | TaskSpec, subject: str) -> Finding:
    defaults = {field.name: field.default for field in fields_of(spec)}
    return finding("knobs", subject, *_off_grid(spec, defaults))


def _off_grid(spec: MethodSpec | TaskSpec, defaults: Mapping[str, object]) -> Iterator[str]:
    for knob in spec.knobs:
        grid = ", ".join(f"{value:g}" for value in knob.grid)
        if knob.field not in defaults:
            yield f"the knob {knob.field!r} is no field; fields: {', '.join(defaults) or 'none'}"
        elif defaults[knob.field] not in knob.grid:
            yield f"put the default {defaults[knob.field]!r} of {knob.field!r} on the grid of its knob ({grid})"


@cache
def _weight(load: str) -> str:
    """What a fresh interpreter says after it has imported a plugin; empty if the plugin is light."""
    code = _IMPORT.format(name=load, heavy=HEAVY)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}  # noqa: PTH109  # as text
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        return f"a fresh interpreter cannot import {load}: {(done.stderr.splitlines() or ['no message'])[-1]}"
    found: Sequence[str] = done.stdout.split()
    return f"importing {load} imports {', '.join(found)}: import them where they are used" if found else ""
