"""First verdicts: what leads on a task, as soon as what decides there is known of all its methods."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..api import STATUSES, Case, Job, Outcome, Plan
from ..catalog.registry import Registry
from ..report.screen import standing
from .options import ReadOptions
from .results import reader

_Place = tuple[str, str, str, str]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The part of a run that is read."""

    path: Path
    plan: Plan
    outcomes: dict[str, Outcome]


class FirstVerdicts:
    """Reads each task of a run once, so that all of them cost what reading the finished run does.

    Args:
        options: how the finished run will be read.
    """

    def __init__(self, plan: Plan, registry: Registry, options: ReadOptions) -> None:
        self._plan = plan
        self._read = reader(registry, options)
        self._timed = {
            (family, name)
            for family, name in registry.tasks
            if _by_seconds((options.sort.rpartition("/")[2], registry.tasks[family, name].primary))
        }
        self._cases: dict[_Place, list[Case]] = {}
        for case in plan.cases:
            if self._decides(case):
                self._cases.setdefault(_place(case), []).append(case)
        self._outcomes: dict[_Place, dict[str, Outcome]] = {place: {} for place in self._cases}

    def finished(self, outcome: Outcome, case: Case) -> str:
        """One line if this outcome was the last one that its task waited for; else nothing."""
        place = _place(case)
        known = self._outcomes.get(place)
        if known is None or not self._decides(case) or STATUSES[outcome.status].again == "always":
            return ""
        known[outcome.key] = outcome
        if len(known) < len(self._cases[place]):
            return ""
        del self._outcomes[place]
        return standing(self._read([self._part(self._cases[place], known)]))

    def _decides(self, case: Case) -> bool:
        """Whether the verdict on its task depends on a case: seconds decide few tasks, and are measured last."""
        return case.stage == "evaluate" or (case.stage == "time" and (case.family, case.task.name) in self._timed)

    def _part(self, cases: Iterable[Case], known: dict[str, Outcome]) -> _Part:
        plan = replace(self._plan, jobs=(Job(cases=tuple(cases)),), settled=(), settled_cases=())
        return _Part(path=Path(), plan=plan, outcomes=known)


def _place(case: Case) -> _Place:
    return case.family, case.task.label, case.device, case.dtype


def _by_seconds(metrics: Iterable[str]) -> bool:
    return next(filter(None, metrics), "").startswith("time")
