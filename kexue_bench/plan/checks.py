"""Where claims are checked: claims on every task that provides the object of the check, promises where it is cheapest.

The instance matters: where a parameter is 0 or 1, a distribution symmetric or a truth near 0, a wrong method gives the
right numbers. A sampling task names the points on which claims are checked under `suites={"verify": ...}`; they replace
its instances in quick and join them in the larger suites.

The promises of draws depend on the task, so they are checked on each task of the suite. Those of a training or a
subject hardly do: in quick, one task of its kind that fits the method is enough, the one that the family names for it
(under `verify` too) or else the first. Named tasks and the larger suites are checked completely.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ..api import SUITES, Case, FamilySpec, Job, Kind, Outcome
from ..catalog.plugins import Hooks
from ..catalog.registry import Registry
from ..errors import UsageError
from .cases import Contest, Request, verify_cases
from .kinds import KINDS
from .screen import screen

VERIFY = "verify"
"""In `TaskSpec.suites`: the instances on which the claims of draws, and the promises of trainings and subjects, are
checked in quick."""
Settled = list[tuple[Case, Outcome]]
_REASONS = 3


def one_place_is_enough(request: Request) -> bool:
    """Whether trainings and subjects are checked on one task rather than on all."""
    return not request.tasks and request.suite == "quick"


def place_texts(registry: Registry, family: FamilySpec) -> Iterator[tuple[str, str]]:
    """Task and selector of every instance where trainings and subjects may be checked, the preferred ones first."""
    for suite in (VERIFY, *SUITES):
        for name, spec in registry.tasks_of(family.name).items():
            if KINDS[spec.kind].promises not in {None, "draws"}:
                yield from ((name, text) for text in spec.suites.get(suite, ()))


def point_texts(registry: Registry, family: FamilySpec) -> Iterator[tuple[str, str]]:
    """Task and selector of every verification point of a family's sampling tasks."""
    for name, spec in registry.tasks_of(family.name).items():
        if KINDS[spec.kind].promises == "draws":
            yield from ((name, text) for text in spec.suites.get(VERIFY, ()))


def at_points(cells: Sequence[Contest], points: Sequence[Contest], request: Request) -> list[Contest]:
    """Where the claims of a family are checked: its cells, and the points of its tasks in or beside them.

    Args:
        cells: tasks of the request.
        points: verification points; empty if the request names tasks.
    """
    named = {point.task.name for point in points}
    kept = [cell for cell in cells if request.suite != "quick" or cell.task.name not in named]
    known = {(cell.task.name, cell.task.label) for cell in kept}
    return [*kept, *(point for point in points if (point.task.name, point.task.label) not in known)]


def verify_jobs(
    cells: Sequence[Contest], places: Sequence[Contest], request: Request, registry: Registry, hooks: Hooks | None
) -> tuple[list[Job], Settled]:
    """The jobs that check claims, one for each method on a task, and what is known without running.

    Args:
        cells: tasks of the request.
        places: tasks of every family where trainings and subjects may be checked, the preferred ones first; empty
            if all of `cells` are checked.

    Raises:
        PluginError: a condition or rule reads something unknown.
        UsageError: no check is registered for a claim.
    """
    jobs: list[Job] = []
    settled: Settled = []
    checked: set[tuple[str, str]] = set()
    sparing = one_place_is_enough(request)
    for cell in cells:
        task = (cell.family.name, cell.task.name)
        promises = not sparing or (cell.treatment.promises == "draws" and task not in checked)
        checked.add(task)
        for cases in verify_cases(cell, request, registry, promises=promises):
            run, refused = screen(cell, cases, registry, hooks)
            settled.extend(refused)
            # The claims of one method share a process; if it dies, the claim at fault is known and the others rerun.
            jobs.extend([Job(cases=run)] if run else [])
    planned = {case.key for job in jobs for case in job.cases}
    nowhere: Settled = []
    for group in _grouped(places):
        for method in group[0].methods:
            for place in group:
                (cases,) = verify_cases(replace(place, methods=(method,)), request, registry, promises=True)
                run, refused = screen(place, cases, registry, hooks)
                if run:
                    settled.extend(item for item in refused if item[0].key not in planned)
                    left = tuple(case for case in run if case.key not in planned)
                    jobs.extend([Job(cases=left)] if left else [])
                    break
                nowhere.extend(refused)
    # That a method fits no training is reported only if nothing else is checked.
    return jobs, settled if jobs else [*settled, *nowhere]


def _grouped(places: Iterable[Contest]) -> list[list[Contest]]:
    """Places of one family and kind; a method is checked in the first of them that it fits."""
    groups: dict[tuple[str, Kind], list[Contest]] = {}
    for place in places:
        groups.setdefault((place.family.name, place.spec.kind), []).append(place)
    return list(groups.values())


def nothing_to_verify(
    families: Sequence[FamilySpec], cells: Sequence[Contest], settled: Settled, request: Request, registry: Registry
) -> UsageError:
    """Why `verify` would check nothing, and what to do."""
    if settled:
        return none_was_checked(outcome.reason for _, outcome in settled)
    parts = []
    for family in families:
        chosen = [cell.spec for cell in cells if cell.family.name == family.name] or [
            spec for spec in registry.tasks_of(family.name).values() if spec.suites or request.tasks
        ]
        if not registry.methods_of(family.name):
            parts.append(f"family {family.name!r} without methods")
        elif not chosen:
            parts.append(f"family {family.name!r} without a task in any suite")
        elif all(KINDS[spec.kind].promises is None for spec in chosen):
            names = ", ".join(dict.fromkeys(spec.name for spec in chosen))
            parts.append(f"family {family.name!r} with only tasks of kind 'record' ({names})")
        else:
            parts.append(f"family {family.name!r} without a task in the suite {request.suite!r} that fits a method")
    return UsageError(
        "there is nothing to verify",
        got="; ".join(parts),
        do="claims are checked on tasks of kind 'sampling', 'trained' or 'subject': name one with -t, or write "
        "--suite standard",
    )


def none_was_checked(reasons: Iterable[str]) -> UsageError:
    """What to say where every claim is unsupported or skipped.

    Args:
        reasons: one for each claim.
    """
    counts = Counter(reasons)
    said = "; ".join(f"{reason} ({count})" for reason, count in counts.most_common(_REASONS))
    return UsageError(
        f"none of the {counts.total()} claims can be checked here",
        got=said + ("; ..." if len(counts) > _REASONS else ""),
        do="name a task that fits with -t, write --suite standard, or install what is missing",
    )
