"""Runs the jobs of a plan on an engine: known outcomes are replayed, new ones stored, then reported.

Every planned case ends as exactly one outcome, whatever happens to the process that ran it. Jobs that may share the
machine run first, several at once; exclusive ones (timing) follow, one at a time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from typing import cast

from ..api import STATUSES, Case, Instance, Job, Outcome, Plan, Status
from ..errors import UsageError
from ..store import codec
from ..store.details import DETAILS, digest_of
from ..store.sources import SOURCES
from .engines import Delivery, Engine
from .listeners import Observer, StopToken, Writer
from .trials import Step, Trial, accuse, judge

GRACE = 10.0
"""Seconds that running jobs get after a stop was requested."""
TICK = 0.1
"""Seconds between two checks of the stop token."""
_DOUBTFUL = frozenset({"crashed", "out-of-memory"})
"""How a process may end through another member than the one that is running."""


def why_again(
    outcome: Outcome | None, fingerprint: str, *, edited: Container[str] = (), retry_failed: bool = False
) -> str:
    """Why a case must run although an earlier run has it; empty if that outcome is still valid.

    Args:
        edited: keys of outcomes whose loaded code has changed.
    """
    if outcome is None:
        return "new"
    if outcome.fingerprint != fingerprint or outcome.key in edited:
        return "code or libraries changed"
    again = STATUSES[outcome.status].again
    return outcome.status if again == "always" or (retry_failed and again == "on request") else ""


@dataclass(frozen=True)
class _Work:
    """A job with its remaining cases.

    Args:
        restarts: how often the death of a member made the others start again.
        losses: how often the engine lost it, which no member caused.
        trial: its one member is timed alone because a group died.
        alone: outcomes of its members that hold if it dies.
        left: what its one member had left in the process of its group.
    """

    job: Job
    attempt: int
    restarts: int = 0
    losses: int = 0
    trial: Trial | None = None
    alone: tuple[Outcome, ...] = ()
    left: tuple[str, ...] = ()


def run(
    plan: Plan,
    *,
    engine: Engine,
    open_writer: Callable[[], Writer],
    previous: Mapping[str, Outcome] | None = None,
    carry: bool = False,
    timeout: float | None = None,
    fingerprints: Mapping[str, str] | None = None,
    edited: Container[str] = (),
    plugins: Sequence[str] = (),
    sys_path: Sequence[str] = (),
    observer: Observer | None = None,
    stop: StopToken | None = None,
    retry_failed: bool = False,
    grace: float = GRACE,
) -> Mapping[str, Outcome]:
    """Run every case without a valid outcome.

    Args:
        plan: what to run.
        engine: where jobs run; the caller closes it.
        open_writer: called once, after every instance could be built, so an invalid request leaves nothing on disk.
        previous: outcomes of an earlier run; those of equal key and fingerprint are replayed.
        carry: the earlier run has another folder, so replayed outcomes are stored in this one too.
        timeout: seconds a case may take.
        fingerprints: key -> hash of the code that the outcome depends on.
        edited: keys of earlier outcomes whose loaded code has changed, whatever their fingerprint says.
        plugins: what workers load before they import a target.
        sys_path: further folders that workers import from.
        observer: told of each outcome.
        stop: ends the run: no new jobs; running ones get `grace` seconds and are then `cancelled`.
        retry_failed: run failed, crashed and timed-out cases of the earlier run again.
        grace: seconds for running jobs after a stop.

    Returns:
        Key -> outcome, replayed ones included; cases not begun before a stop are missing.

    Raises:
        UsageError: a method or task refuses its parameters.
        ResultsError: an outcome could not be stored.
        EngineError: no worker can run.
    """
    return _Run(
        plan=plan,
        engine=engine,
        previous=previous or {},
        timeout=timeout,
        fingerprints=fingerprints or {},
        edited=edited,
        common={"plugins": list(plugins), "sys_path": list(sys_path)},
        observer=observer,
        stop=stop,
        retry_failed=retry_failed,
        grace=grace,
    ).go(open_writer, carry=carry)


def refuse(
    plan: Plan,
    *,
    engine: Engine,
    timeout: float | None = None,
    plugins: Sequence[str] = (),
    sys_path: Sequence[str] = (),
    stop: StopToken | None = None,
) -> None:
    """Build every method and task of a plan in a worker, as `run` does first, and write nothing.

    Raises:
        UsageError: a method or task refuses its parameters.
    """
    _Run(
        plan=plan,
        engine=engine,
        previous={},
        timeout=timeout,
        fingerprints={},
        edited=(),
        common={"plugins": list(plugins), "sys_path": list(sys_path)},
        observer=None,
        stop=stop,
        retry_failed=False,
        grace=GRACE,
    ).check()


class _Run:
    def __init__(
        self,
        *,
        plan: Plan,
        engine: Engine,
        previous: Mapping[str, Outcome],
        timeout: float | None,
        fingerprints: Mapping[str, str],
        edited: Container[str],
        common: dict[str, object],
        observer: Observer | None,
        stop: StopToken | None,
        retry_failed: bool,
        grace: float,
    ) -> None:
        self._plan, self._engine, self._previous = plan, engine, previous
        self._timeout, self._fingerprints, self._common = timeout, fingerprints, common
        self._observer, self._stop, self._grace = observer, stop, grace
        self._retry_failed, self._edited = retry_failed, edited
        self._resolved = ""
        self._outcomes: dict[str, Outcome] = {}
        self._stopped_at: float | None = None

    def check(self) -> None:
        _, works = self._split()
        if works:
            self._engine.start()
            self._resolve(works)

    def go(self, open_writer: Callable[[], Writer], *, carry: bool) -> Mapping[str, Outcome]:
        replayed, works = self._split()
        broken: dict[str, Outcome] = {}
        if works:
            self._engine.start()
            broken = self._resolve(works)
        self._writer = open_writer()
        if self._observer is not None:
            self._observer.started(self._plan)
        self._writer.keep(SOURCES, [self._resolved] if self._resolved else [])
        self._tell(replayed if not carry else self._writer.append(replayed))
        settled = [o for o in self._plan.settled if o.key not in self._outcomes]
        self._store([*settled, *broken.values()])
        left = (self._without(work, broken) for work in works)
        works = [work for work in left if work.job.cases]
        self._drive([work for work in works if not work.job.exclusive])
        self._drive([work for work in works if work.job.exclusive])
        if self._observer is not None:
            self._observer.done(str(self._writer.path))
        return self._outcomes

    # -- what is left to do -------------------------------------------------------------------------------------------

    def _known(self, case: Case) -> Outcome | None:
        """The earlier outcome of a case, if it is still valid."""
        outcome = self._previous.get(case.key)
        why = why_again(
            outcome,
            self._fingerprints.get(case.key, ""),
            edited=self._edited,
            retry_failed=self._retry_failed,
        )
        return None if why else outcome

    def _split(self) -> tuple[list[Outcome], list[_Work]]:
        """Outcomes to replay, and jobs to run.

        Ratios need common rounds, so a timing job with a missing member runs as a whole; members that failed before
        stay as they are.
        """
        replayed = [o for o in self._plan.settled if self._previous.get(o.key) == o]
        works = []
        for job in self._plan.jobs:
            known = {case.key: outcome for case in job.cases if (outcome := self._known(case)) is not None}
            if job.exclusive and len(known) < len(job.cases):
                known = {
                    key: outcome for key, outcome in known.items() if STATUSES[outcome.status].again == "on request"
                }
            replayed.extend(known.values())
            cases = tuple(case for case in job.cases if case.key not in known)
            if cases:
                attempts = [self._previous[case.key].attempt for case in cases if case.key in self._previous]
                works.append(_Work(replace(job, cases=cases), attempt=max(attempts, default=0) + 1))
        return replayed, works

    @staticmethod
    def _without(work: _Work, outcomes: Mapping[str, object]) -> _Work:
        cases = tuple(case for case in work.job.cases if case.key not in outcomes)
        return replace(work, job=replace(work.job, cases=cases))

    def _resolve(self, works: Sequence[_Work]) -> dict[str, Outcome]:
        """Build every instance once, in a worker: a refusal is a user error, a crash becomes rows of that instance."""
        users: dict[str, list[tuple[Case, int]]] = {}
        instances: dict[str, Instance] = {}
        for work in works:
            for case in work.job.cases:
                for instance in (case.task, case.method):
                    identity = codec.dumps(
                        [instance.target, instance.params, instance.fixed, instance.kind, instance.files]
                    )
                    instances[identity] = instance
                    users.setdefault(identity, []).append((case, work.attempt))
        found: dict[str, Outcome] = {}
        devices = sorted({case.device for work in works for case in work.job.cases})
        left = list(instances)
        while left:
            delivery = self._await(
                self._engine.submit(
                    codec.dumps(
                        {
                            "kind": "resolve",
                            "instances": [instances[i] for i in left],
                            "devices": devices,
                            **self._common,
                        }
                    ),
                    limit=self._timeout,
                    members=len(left),
                )
            )
            if delivery.status == "ok":
                try:
                    answer = cast("dict[str, list[dict[str, object]]]", codec.unseal(delivery.text))
                except codec.CodecError:
                    return found
                self._resolved = str(answer.get("sources", ""))
                if answer["refused"]:
                    raise UsageError("\n".join(f"{entry['label']}: {entry['message']}" for entry in answer["refused"]))
                guilty: list[tuple[str, Status, str, str]] = [
                    (left[cast("int", e["index"])], cast("Status", e["status"]), str(e["reason"]), str(e["trace"]))
                    for e in answer["broken"]
                ]
                left = []
            elif delivery.member is not None and STATUSES[delivery.status].again != "always":
                status = cast("Status", delivery.status)
                guilty = [(left.pop(delivery.member), status, delivery.reason, delivery.trace)]
            else:
                # Nothing is known about any of them; their cases will report it.
                return found
            for identity, status, reason, trace in guilty:
                for case, attempt in users[identity]:
                    found.setdefault(
                        case.key, self._outcome(case, attempt, status, "resolve", reason=reason, trace=trace)
                    )
        return found

    # -- running ------------------------------------------------------------------------------------------------------

    def _drive(self, works: Sequence[_Work]) -> None:
        """Run jobs until none is left or a stop is requested."""
        waiting = deque(works)
        flight: dict[Future[Delivery], _Work] = {}
        while waiting or flight:
            self._give_up(waiting, idle=not flight)
            if self._stopping():
                waiting.clear()
                for future in [future for future in flight if future.cancel()]:
                    del flight[future]
            # One job more than can run keeps a worker from waiting for the disk.
            while len(flight) <= self._engine.capacity and (work := next(filter(self._ready, waiting), None)):
                waiting.remove(work)
                flight[self._submit(work)] = work
            ready, _ = wait(flight, timeout=TICK, return_when=FIRST_COMPLETED)
            ended: list[Outcome] = []
            failures: list[BaseException] = []
            for future in ready:
                work = flight.pop(future)
                if (error := future.exception()) is not None:
                    failures.append(error)
                    continue
                outcomes, rest = self._read(work, future.result())
                ended.extend(outcomes)
                if not self._stopping():
                    waiting.extendleft(reversed(rest))
            self._store(ended)
            if failures:
                # What was answered is stored; nothing else will be.
                raise failures[0]

    def _search(self, case: Case) -> Outcome | None:
        """The outcome of the tuning that a case uses; None while it runs, or if the case uses none."""
        return self._outcomes.get(str(case.options.get("tuned", "")))

    def _ready(self, work: _Work) -> bool:
        return all("tuned" not in case.options or self._search(case) is not None for case in work.job.cases)

    def _give_up(self, waiting: deque[_Work], *, idle: bool) -> None:
        """End the cases whose tuning ended without a choice, or will never end, with the status of the tuning."""
        ended: dict[str, Outcome] = {}
        for work in waiting:
            for case in work.job.cases:
                search = self._search(case)
                if search is not None and not search.chosen:
                    reason = f"its tuning run ended with this status (kexue-bench show {search.key})"
                    ended[case.key] = self._outcome(case, work.attempt, search.status, "tune", reason=reason)
                elif search is None and "tuned" in case.options and idle and not any(map(self._ready, waiting)):
                    ended[case.key] = self._outcome(case, work.attempt, "lost", "tune", reason="its tuning is missing")
        if ended:
            left = [self._without(work, ended) for work in waiting]
            waiting.clear()
            waiting.extend(work for work in left if work.job.cases)
            self._store(list(ended.values()))

    def _submit(self, work: _Work) -> Future[Delivery]:
        keys = [case.key for case in work.job.cases]
        linger = work.trial.linger if work.trial is not None else 0.0
        text = codec.dumps(
            {
                "kind": "run",
                "job": work.job,
                "attempt": work.attempt,
                "chosen": {case.key: search.chosen for case in work.job.cases if (search := self._search(case))},
                "fingerprints": {key: self._fingerprints[key] for key in keys if key in self._fingerprints},
                "left": work.left,
                "linger": linger,
                **self._common,
            }
        )
        limit = None if self._timeout is None else self._timeout + linger
        return self._engine.submit(text, limit=limit, members=len(keys), exclusive=work.job.exclusive)

    def _await(self, future: Future[Delivery]) -> Delivery:
        while not wait([future], timeout=TICK).done:
            if self._stopping():
                future.cancel()
        return Delivery(status="cancelled") if future.cancelled() else future.result()

    def _stopping(self) -> bool:
        """Whether a stop was requested; ends the running jobs once the grace is over."""
        if self._stop is None or not self._stop.is_set():
            return False
        now = time.monotonic()
        if self._stopped_at is None:
            self._stopped_at = now
        elif now - self._stopped_at > self._grace:
            self._engine.stop()
        return True

    def _read(self, work: _Work, delivery: Delivery) -> tuple[Sequence[Outcome], Sequence[_Work]]:
        """The outcomes of a delivery, and what must run again because of another member.

        A timing that lost a member starts again: the rounds of the dead process cannot be paired with later ones.
        """
        cases = work.job.cases
        if delivery.status == "ok":
            try:
                outcomes, side, apart = self._decode(work, delivery.text)
            except codec.CodecError as error:
                delivery = replace(delivery, status="lost", reason=f"the worker's answer cannot be read: {error}")
            else:
                if apart is not None:
                    return [], self._set_apart(work, *apart)
                for kind, texts in side.items():
                    self._writer.keep(kind, texts)
                if work.trial is not None:
                    return self._follow(work, judge(work.trial, outcomes[0], survived=True, cases=self._plan.cases))
                return outcomes, []

        def end(case: Case) -> Outcome:
            return self._outcome(
                case,
                work.attempt,
                delivery.status,
                delivery.phase,
                reason=delivery.reason,
                trace=delivery.trace,
                seconds=delivery.seconds,
            )

        if delivery.status == "lost" and not work.losses:
            # An attempt for the ledger: the next attempt has a higher number and counts.
            return [end(case) for case in cases], [replace(work, attempt=work.attempt + 1, losses=1)]
        if work.trial is not None:
            return self._follow(work, judge(work.trial, end(cases[0]), survived=False, cases=self._plan.cases))
        member = delivery.member
        if len(cases) == 1 or STATUSES[delivery.status].again == "always" or (member is None and work.restarts):
            return [end(case) for case in cases], []
        again = replace(work, restarts=work.restarts + 1)
        if member is None:
            return [], [again]
        if work.job.exclusive and delivery.status in _DOUBTFUL:
            return (work.alone, []) if work.alone else self._follow(again, accuse(work.job, delivery, member))
        guilty = end(cases[member])
        return [guilty], [self._without(again, {guilty.key: guilty})]

    @staticmethod
    def _follow(work: _Work, step: Step) -> tuple[Sequence[Outcome], Sequence[_Work]]:
        """The outcomes that a step of a trial settles, and the process that follows."""
        cases = step.group if step.solo is None else (step.solo,)
        job = replace(work.job, cases=cases)
        return step.ended, [replace(work, job=job, trial=step.trial, alone=step.alone)] if cases else []

    def _set_apart(self, work: _Work, member: int, left: str) -> list[_Work]:
        """A member that disturbs its group is timed alone, with a flag; the others start again."""
        case = work.job.cases[member]
        group = replace(self._without(work, {case.key: None}), alone=())
        solo = replace(work, job=replace(work.job, cases=(case,)), alone=(), left=(left,))
        return [group, solo]

    def _decode(
        self, work: _Work, text: str
    ) -> tuple[list[Outcome], Mapping[str, Sequence[str]], tuple[int, str] | None]:
        """The outcomes of an answer and the side files that they name, or who must be timed apart and what it left."""
        answer = codec.unseal(text)
        if not isinstance(answer, dict) or not isinstance(answer.get("outcomes"), list):
            raise codec.CodecError("no outcomes")
        if "apart" in answer:
            member = answer["apart"]
            if type(member) is not int or not 0 <= member < len(work.job.cases) > 1:
                raise codec.CodecError("no such member")
            return [], {}, (member, str(answer.get("left", "")))
        outcomes = [codec.decode(Outcome, data) for data in answer["outcomes"]]
        if [o.key for o in outcomes] != [case.key for case in work.job.cases]:
            raise codec.CodecError("outcomes of other cases")
        if any(o.attempt != work.attempt for o in outcomes):
            raise codec.CodecError("outcomes of another attempt")
        texts = answer.get("details", [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise codec.CodecError("side files that are not texts")
        code = {digest_of(text): text for text in [answer.get("sources")] if isinstance(text, str)}
        if any(o.sources and o.sources not in code for o in outcomes):
            raise codec.CodecError("outcomes of other code")
        return outcomes, {DETAILS: texts, SOURCES: list(code.values())}, None

    def _outcome(
        self,
        case: Case,
        attempt: int,
        status: Status,
        phase: str = "",
        *,
        reason: str = "",
        trace: str = "",
        seconds: float = 0.0,
    ) -> Outcome:
        return Outcome(
            key=case.key,
            status=status,
            attempt=attempt,
            phase=phase,
            reason=reason,
            trace=trace,
            seconds=round(seconds, 6),
            fingerprint=self._fingerprints.get(case.key, ""),
            sources=digest_of(self._resolved) if self._resolved else "",
        )

    def _store(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            self._tell(self._writer.append(outcomes))

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._outcomes[outcome.key] = outcome
            if self._observer is not None:
                self._observer.finished(outcome, self._plan.by_key[outcome.key])
