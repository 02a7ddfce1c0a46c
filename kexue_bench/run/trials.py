"""Which member of a timing group ended its process: a breadcrumb names who was running, which may be an innocent one.

A method may end the process through a thread of its own while a rival has its turn. So no member is blamed before it
dies alone: the member that was running is timed in a process of its own, which is kept as long as the group had lived;
if it survives, every other member is tried in the same way. Those that die alone are guilty, and the others are timed
in common rounds again. If none dies alone and the group dies once more, the times taken alone are the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..api import Case, Job, Outcome
from .engines import Delivery


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Members of a group that are timed alone, one after the other; the job holds the one on trial.

    Args:
        waiting: members to be tried after it.
        cleared: outcomes of those that survived.
        seconds: how long the process of the group had lived.
        named: the one on trial was running when the group died, and no other was tried yet.
        convicted: a member died alone.
    """

    waiting: tuple[Case, ...]
    cleared: tuple[Outcome, ...] = ()
    seconds: float = 0.0
    named: bool = True
    convicted: bool = False

    @property
    def linger(self) -> float:
        """Seconds that a process on trial is kept, its start included: longer than the group had lived."""
        return 1.25 * self.seconds + 0.25


@dataclass(frozen=True, kw_only=True)
class Step:
    """What follows a process.

    Args:
        ended: outcomes that are final.
        solo: the member to be tried next.
        trial: its trial.
        group: members to be timed in common rounds.
        alone: outcomes that hold if that group dies too.
    """

    ended: tuple[Outcome, ...] = ()
    solo: Case | None = None
    trial: Trial | None = None
    group: tuple[Case, ...] = ()
    alone: tuple[Outcome, ...] = ()


def accuse(job: Job, delivery: Delivery, member: int) -> Step:
    """A group died while `member` was running."""
    others = (*job.cases[:member], *job.cases[member + 1 :])
    return Step(solo=job.cases[member], trial=Trial(waiting=others, seconds=delivery.seconds))


def judge(trial: Trial, outcome: Outcome, *, survived: bool, cases: Sequence[Case]) -> Step:
    """The process of a member on trial has ended.

    Args:
        trial: the trial.
        outcome: what the member has now.
        survived: its process answered.
        cases: the members of the whole plan, by which cleared ones are found again.
    """
    if survived:
        trial = replace(trial, cleared=(*trial.cleared, outcome))
    elif trial.named:
        return Step(ended=(outcome,), group=trial.waiting)
    else:
        trial = replace(trial, convicted=True)
    ended = () if survived else (outcome,)
    if trial.waiting:
        first, *rest = trial.waiting
        return Step(ended=ended, solo=first, trial=replace(trial, waiting=tuple(rest), named=False))
    if len(trial.cleared) == 1:
        return Step(ended=(*ended, *trial.cleared))
    keys = {cleared.key for cleared in trial.cleared}
    group = tuple(case for case in cases if case.key in keys)
    return Step(ended=ended, group=group, alone=() if trial.convicted else trial.cleared)
