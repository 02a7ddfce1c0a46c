"""What a new method or task starts from: one of the family's own that keeps everything, called by the new class."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..api import Claimed, FamilySpec, Knob, MethodSpec, TaskSpec, Unless
from ..catalog import selectors
from ..catalog.fields import PATHS, Field, declared_fields, fields_of, fixed_of
from ..catalog.registry import Registry
from ..catalog.source import docstring_of
from ..errors import UsageError
from ..plan.kinds import KINDS
from ..plan.plan import Request, build_plan
from ..testing import kit, objects

_KINDS = ("sampling", "subject", "record", "trained")
"""Kinds of tasks, the quickest to try out first."""
_LINE = 100
_WORDS = ("needs", "when", "unless", "claims", "cost", "knobs", "references")
_TASK_WORDS = ("kind", "offers", "facts", "unless", "knobs", "budgets", "dtype", "primary", "headline", "baseline")


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function that the new class overrides with a call of the one it starts from.

    Args:
        parameters: as they stand between the parentheses, `self` included.
        call: the arguments of the call.
        doc: first line of its docstring.
    """

    name: str
    parameters: str
    call: str
    doc: str


@dataclass(frozen=True, kw_only=True)
class Model:
    """What a template needs to know of the method or task that a new one starts from.

    Args:
        task: selector of a task on which a new method can be checked quickly; of a task, its name.
        words: further arguments of the decorator, `name=value`.
        nouns: names that these arguments take from `kexue_bench`.
        doc: its docstring up to `Args`, as it stands in the class.
    """

    name: str
    module: str
    cls: str
    task: str
    fields: tuple[Field, ...]
    functions: tuple[Function, ...]
    words: tuple[str, ...]
    nouns: tuple[str, ...]
    doc: str


def method_model(family: FamilySpec, registry: Registry) -> Model:
    """The method that a new one of a family starts from: its baseline, if it keeps what a method must.

    Raises:
        UsageError: no method of the family keeps it.
    """
    methods = registry.methods_of(family.name)
    baseline = selectors.parse(family.baseline).name
    for spec in sorted(methods.values(), key=lambda spec: spec.name != baseline):
        if _is_plain(spec, registry) and not spec.requires and (task := _task_of(spec, registry)):
            contract = objects.parts(objects.target(family.contract))
            members = [member for part in contract for member in objects.members(part)]
            return _model(spec, [name for name, promised in members if callable(promised)], _WORDS, task)
    raise UsageError(
        f"no method of {family.name!r} can be a model of a new one",
        got=", ".join(methods) or "none",
        do=f"see `kexue-bench check {registry.owner('family', family.name)}`",
    )


def task_model(family: FamilySpec, registry: Registry) -> Model:
    """The task that a new one of a family starts from: the first in quick of the simplest kind.

    Raises:
        UsageError: no task of the family runs in quick.
    """
    tasks = registry.tasks_of(family.name)
    for spec in sorted(tasks.values(), key=lambda spec: _KINDS.index(spec.kind)):
        if "quick" in spec.suites and _is_plain(spec, registry):
            return _model(spec, KINDS[spec.kind].needs, _TASK_WORDS, spec.name)
    raise UsageError(f"no task of {family.name!r} can be a model of a new one", got=", ".join(tasks) or "none")


def _is_plain(spec: MethodSpec | TaskSpec, registry: Registry) -> bool:
    """Whether a spec keeps what can be read and built, and needs no file of the user's."""
    kept = all(found.ok is not False for found in kit.declared(spec, registry))
    return kept and not any(field.type in PATHS for field in fields_of(spec))


def _task_of(spec: MethodSpec, registry: Registry) -> str:
    """A task on which the claims of a method are checked, one that is sampled if possible; empty if there is none."""
    request = Request(methods=selectors.read([f"{spec.family}/{spec.name}"]), stages=("verify",))
    try:
        cases = [case for job in build_plan(request, registry).jobs for case in job.cases]
    except UsageError:
        return ""
    return min(cases, key=lambda case: case.of != "draws").task.name


def _model(spec: MethodSpec | TaskSpec, names: Iterable[str], words: Iterable[str], task: str) -> Model:
    module, _, cls = spec.target.partition(":")
    owner = objects.target(spec.target)
    given = {word: getattr(spec, word) for word in words}
    # Sets have no order: sorted, a project is the same whenever it is made.
    sorted_ = {word: tuple(sorted(value)) if isinstance(value, frozenset) else value for word, value in given.items()}
    written = {word: python(value) for word, value in sorted_.items() if value}
    # What the spec fixes and what it gives another default are plain defaults of the new class.
    every, values = declared_fields(spec.target), {**fixed_of(spec), **spec.defaults}
    doc = docstring_of(spec.target).partition("\nArgs:")[0].partition("\nExamples:")[0].rstrip()
    return Model(
        name=spec.name,
        module=module,
        cls=cls,
        task=task,
        fields=tuple(replace(field, default=values.get(field.name, field.default)) for field in every),
        functions=tuple(_function(owner, name) for name in names if inspect.isfunction(getattr(owner, name, None))),
        words=tuple(f"{word}={text}" for word, text in written.items()),
        nouns=tuple(noun for noun in ("Claimed", "Knob", "Unless") if any(f"{noun}(" in t for t in written.values())),
        doc=doc,
    )


def python(value: object) -> str:
    """A value of a spec as it is written in Python."""
    match value:
        case Mapping():
            return _listed("{", [f"{python(key)}: {python(item)}" for key, item in value.items()], "}")
        case tuple():
            return _listed("(", [*map(python, value)], ",)" if len(value) == 1 else ")")
        case str() if '"' not in value and "\\" not in value:
            return f'"{value}"'
        case Claimed(when=""):
            return python(value.name)
        case Claimed() | Knob() | Unless():
            given = [(field.name, getattr(value, field.name), field.default) for field in dataclasses.fields(value)]
            written = [f"{name}={python(item)}" for name, item, default in given if item != default]
            return f"{type(value).__name__}({', '.join(written)})"
    return repr(value)


def _listed(start: str, parts: Sequence[str], end: str) -> str:
    """Parts on one line, or each on its own if they are long."""
    line = start + ", ".join(parts) + end
    if len(line) <= _LINE:
        return line
    return start + "".join(f"\n        {part}," for part in parts) + f"\n    {end[-1]}"


def _function(owner: type, name: str) -> Function:
    signature = inspect.signature(getattr(owner, name))
    doc = (inspect.getdoc(getattr(owner, name)) or "As the contract says.").splitlines()[0]
    return Function(
        name=name,
        parameters=", ".join(_parameters(signature)),
        call=", ".join(
            f"{item.name}={item.name}" if item.kind is item.KEYWORD_ONLY else item.name
            for item in [*signature.parameters.values()][1:]
        ),
        doc=doc,
    )


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    """Names and defaults, without annotations: their types are the family's, and need its imports."""
    starred = False
    for item in signature.parameters.values():
        if item.kind is item.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        yield item.name if item.default is item.empty else f"{item.name}={item.default!r}"
