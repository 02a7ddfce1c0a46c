"""What a plan will take, from the seconds and the memory of the same or similar cases in earlier runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from ..api import Case, Outcome, Plan

_Level = tuple[str, ...]
"""What a case is, at one of several levels of detail."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What stored cases took.

    Args:
        seconds: mean of each case, and of each stage of a task.
        bytes: largest resident memory of the process, in the same way.
    """

    seconds: Mapping[_Level, float]
    bytes: Mapping[_Level, float]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a plan will take.

    Args:
        seconds: None if no case is known.
        known: cases that were measured themselves, or on the same task in the same stage.
        of: cases that would run.
        bytes: resident memory of the largest process; None if no case is known.
        weighed: cases whose memory is known, as in `known`.
        workers: processes at once.
    """

    seconds: float | None
    known: int
    of: int
    bytes: float | None = None
    weighed: int = 0
    workers: int = 1


def measured(pairs: Iterable[tuple[Case, Outcome]]) -> Known:
    """What cases took: each one, and each stage of a task."""
    seconds: dict[_Level, list[float]] = {}
    peaks: dict[_Level, list[float]] = {}
    for case, outcome in pairs:
        for found, value in ((seconds, outcome.seconds), (peaks, outcome.peak)):
            for level in _levels(case) if value > 0 else ():
                found.setdefault(level, []).append(value)
    return Known(seconds=_reduced(seconds, fmean), bytes=_reduced(peaks, max))


def _reduced(found: Mapping[_Level, list[float]], how: Callable[[list[float]], float]) -> Mapping[_Level, float]:
    return {level: how(values) for level, values in found.items()}


def forecast(plan: Plan, known: Known, *, workers: int) -> Forecast:
    """The seconds of a plan: jobs that run alone one after the other, the others spread over the workers.

    Cases that nothing is known of take as long as the mean of those that are known. The memory is that of the process
    that holds most.

    Args:
        workers: number of cases that run at once.
    """
    settled = {case.key for case in plan.settled_cases}
    alone, together, measured, of = 0.0, 0.0, 0, 0
    peaks: list[float] = []
    for job in plan.jobs:
        for case in job.cases:
            if case.key in settled:
                continue
            of += 1
            if (peak := _nearest(case, known.bytes)) is not None:
                peaks.append(peak)
            if (value := _nearest(case, known.seconds)) is not None:
                measured += 1
                alone, together = (alone + value, together) if job.exclusive else (alone, together + value)
    return Forecast(
        seconds=(alone + together / workers) * of / measured if measured else None,
        known=measured,
        of=of,
        bytes=max(peaks, default=None),
        weighed=len(peaks),
        workers=workers,
    )


def _nearest(case: Case, found: Mapping[_Level, float]) -> float | None:
    return next((found[level] for level in _levels(case) if level in found), None)


def _levels(case: Case) -> list[_Level]:
    """What a case is, from the most detailed level on."""
    place = (case.family, case.task.label, case.stage, case.device)
    return [(*place, case.method.label), place]
