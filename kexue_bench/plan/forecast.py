"""How long a plan will take, from the seconds of the same or similar cases in earlier runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from ..api import Case, Outcome, Plan

Seconds = Mapping[tuple[str, ...], float]
"""What a case is, at several levels of detail -> mean seconds."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Seconds that a plan will take.

    Args:
        seconds: None if no case is known.
        known: cases that were measured themselves, or on the same task in the same stage.
        of: cases that would run.
    """

    seconds: float | None
    known: int
    of: int


def measured(pairs: Iterable[tuple[Case, Outcome]]) -> Seconds:
    """Mean seconds of cases: of each one, and of each stage of a task."""
    found: dict[tuple[str, ...], list[float]] = {}
    for case, outcome in pairs:
        if outcome.seconds > 0:
            for level in _levels(case):
                found.setdefault(level, []).append(outcome.seconds)
    return {level: fmean(values) for level, values in found.items()}


def forecast(plan: Plan, seconds: Seconds, *, workers: int) -> Forecast:
    """The seconds of a plan: jobs that run alone one after the other, the others spread over the workers.

    Cases that nothing is known of take as long as the mean of those that are known.

    Args:
        workers: number of cases that run at once.
    """
    settled = {case.key for case in plan.settled_cases}
    alone, together, known, unknown = 0.0, 0.0, 0, 0
    for job in plan.jobs:
        for case in job.cases:
            if case.key in settled:
                continue
            value = next((seconds[level] for level in _levels(case) if level in seconds), None)
            if value is None:
                unknown += 1
                continue
            known += 1
            alone, together = (alone + value, together) if job.exclusive else (alone, together + value)
    total = (alone + together / workers) * (1 + unknown / known) if known else None
    return Forecast(seconds=total, known=known, of=known + unknown)


def _levels(case: Case) -> list[tuple[str, ...]]:
    """What a case is, from the most detailed level on."""
    place = (case.family, case.task.label, case.stage, case.device)
    return [(*place, case.method.label), place]
