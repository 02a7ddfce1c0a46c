"""Which methods a suite runs on a task if the user names none, and one line on those that it leaves out."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from ..api import Instance, MethodSpec, Plan, TaskSpec
from ..catalog import selectors
from ..catalog.registry import Registry
from .screen import absent, refusal

FEW = 3
"""So many names are written out in a sentence."""
MANY = 12
"""So many methods are written out in a command; more are `*`, which has each of them with its defaults."""


def entrants(
    methods: Sequence[Instance],
    listed: Sequence[Instance] | None,
    spec: TaskSpec,
    task: Instance,
    *,
    suite: str,
    dtype: str,
    registry: Registry,
) -> tuple[tuple[Instance, ...], tuple[Instance, ...]]:
    """The methods that run on a task in a suite, and those that could run there and do not.

    `MethodSpec.suites` decides first, whoever registered the method. Where it says nothing, `TaskSpec.methods` decides
    about the methods of the family's own plugin; a method of another plugin runs wherever it fits.

    Args:
        methods: those of the family that suites run.
        listed: those that the task lists for the suite; None if it lists none.
    """
    owner = registry.owner("family", spec.family)

    def declared(method: Instance) -> MethodSpec:
        return registry.methods[spec.family, method.name]

    def fits(method: Instance) -> bool:
        return not any(refusal(declared(method), method, spec, task, dtype=dtype))

    def enters(method: Instance, *, usual: bool) -> bool:
        own = declared(method).suites.get(suite)
        return usual if own is None else any(_means(text, task) for text in own)

    if listed is None:
        kept = tuple(method for method in methods if enters(method, usual=True))
    else:
        first = (method for method in listed if enters(method, usual=True))
        guests = (m for m in methods if enters(m, usual=m.source != owner and fits(m)))
        kept = selectors.unique((*first, *guests))
    left = (method for method in methods if not any(selectors.same(method, other) for other in kept))
    return kept, tuple(method for method in left if not absent(declared(method)) and fits(method))


def _means(text: str, task: Instance) -> bool:
    """Whether a selector stands for a task: its name, and the parameters that are written."""
    selector = selectors.parse(text)
    return bool(selectors.matches(selector, [task.name])) and all(
        selectors.text(task.params.get(name)) in values for name, values in selector.params.items()
    )


def told(plan: Plan) -> str:
    """One line on the methods that the suite left out, with the command that runs them; empty if there are none."""
    if not plan.left_out:
        return ""
    families = dict.fromkeys(place.partition("/")[0] for place in plan.left_out)
    tasks = dict.fromkeys(place.partition("/")[2] for place in plan.left_out)
    methods = dict.fromkeys(name for names in plan.left_out.values() for name in names)
    words = ["kexue-bench", "compare", *families, "--suite", str(plan.request.get("suite", ""))]
    words += [word for task in tasks for word in ("-t", task)] if len(tasks) <= FEW else []
    words += ["-m", ",".join(methods) if len(methods) <= MANY else "*"]
    count = sum(map(len, plan.left_out.values()))
    what = f"{_names(methods, 'methods')} on {_names(tasks, 'tasks')}"
    return f"left out by the suite: {what} ({count} in all); to run them: {shlex.join(words)}"


def _names(names: Iterable[str], what: str) -> str:
    """A few names, or their number."""
    found = list(names)
    return ", ".join(found) if len(found) <= FEW else f"{len(found)} {what}"
