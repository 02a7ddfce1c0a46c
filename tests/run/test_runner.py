"""The runner: replay, retries, restarts of timing groups, stopping, and the order of storing and telling."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tuned import HOME, Inline, execute, registry, request, tunings

from kexue_bench.api import Job, Outcome, Plan
from kexue_bench.errors import ResultsError, UsageError
from kexue_bench.plan.plan import build_plan
from kexue_bench.run.engines import Delivery
from kexue_bench.run.engines.local import LocalEngine
from kexue_bench.run.runner import run
from kexue_bench.store import codec
from kexue_bench.store.details import digest_of
from kexue_bench.store.results import RunWriter, load_run

FINGERPRINT = "f0"


class FakeEngine:
    """Answers from a function, at once; `hold` keeps what it says unanswered until `stop`."""

    def __init__(self, answer: Callable[[Job, int], Delivery] | None = None, *, capacity: int = 2) -> None:
        self.capacity = capacity
        self.answer = answer or self.fine
        self.resolve: Callable[[list[str]], Delivery] = lambda _: reply({"refused": [], "broken": []})
        self.started = False
        self.stopped = False
        self.jobs: list[Job] = []
        self.attempts: list[int] = []
        self.requests: list[dict[str, Any]] = []
        self.held: list[Future[Delivery]] = []

    @staticmethod
    def fine(job: Job, attempt: int) -> Delivery:
        """Every case is ok."""
        return reply({"outcomes": [ok(case, attempt) for case in job.cases]})

    def start(self) -> None:
        self.started = True

    def submit(self, text, *, limit, members=1, exclusive=False) -> Future[Delivery]:
        del limit
        request = json.loads(text)
        future: Future[Delivery] = Future()
        if request["kind"] == "resolve":
            assert members == len(request["instances"])
            future.set_result(self.resolve([i["label"] for i in request["instances"]]))
            return future
        job = codec.decode(Job, request["job"])
        assert (members, exclusive) == (len(job.cases), job.exclusive)
        self.jobs.append(job)
        self.requests.append(request)
        self.attempts.append(request["attempt"])
        future.set_running_or_notify_cancel()
        delivery = self.answer(job, request["attempt"])
        if delivery is None:
            self.held.append(future)
        else:
            future.set_result(delivery)
        return future

    def stop(self) -> None:
        if not self.stopped:
            for future in self.held:
                future.set_result(Delivery(status="cancelled", reason="stopped"))
        self.stopped = True

    def close(self) -> None:
        """Nothing to release."""


class Log:
    """A writer and an observer that keep one common record of what happened in which order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[tuple[str, Any]] = []
        self.opened = 0

    def open(self) -> Log:
        self.opened += 1
        return self

    def append(self, outcomes):
        self.events.append(("stored", tuple(o.key for o in outcomes)))
        return tuple(outcomes)

    def keep(self, kind, texts):
        self.events.extend(("kept", (kind, text)) for text in texts)

    def started(self, plan) -> None:
        self.events.append(("started", len(plan.cases)))

    def finished(self, outcome, case) -> None:
        assert outcome.key == case.key
        self.events.append(("told", outcome.key))

    def done(self, path) -> None:
        self.events.append(("done", path))

    def stored(self) -> list[str]:
        return [key for name, keys in self.events if name == "stored" for key in keys]


def reply(data) -> Delivery:
    return Delivery(status="ok", text=codec.seal(data))


def ok(case, attempt=1, **changes) -> Outcome:
    return replace(Outcome(key=case.key, status="ok", attempt=attempt, fingerprint=FINGERPRINT), **changes)


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path)


@pytest.fixture
def go(log):
    """Run a plan on an engine with the log as writer and observer."""

    def go(engine, *jobs, settled=(), settled_cases=(), **options):
        plan = Plan(jobs=tuple(jobs), settled=tuple(settled), settled_cases=tuple(settled_cases))
        prints = {case.key: FINGERPRINT for case in plan.cases}
        options = {"observer": log, "fingerprints": prints} | options
        return run(plan, engine=engine, open_writer=log.open, **options)

    return go


# -- storing and telling ----------------------------------------------------------------------------------------------


def test_a_side_file_is_stored_before_the_outcome_that_names_it(chaos, go, log):
    """An outcome on disk never names a file that is not."""
    go(FakeEngine(detailed), chaos.job(chaos.case("Fine")))
    kept, stored = log.events.index(("kept", ("details", "text"))), [name for name, _ in log.events].index("stored")
    assert kept < stored


def test_a_disk_without_space_for_a_side_file_ends_the_run(chaos, go, log, monkeypatch):
    """The case is not to blame: the outcome is neither stored nor told, and runs again on a freed disk."""

    def full(kind, texts):
        raise ResultsError("the disk is full")

    monkeypatch.setattr(log, "keep", full)
    with pytest.raises(ResultsError):
        go(FakeEngine(detailed), chaos.job(chaos.case("Fine")))
    assert {name for name, _ in log.events} == {"started"}


def test_code_that_was_loaded_and_edited_since_makes_a_case_run_again(chaos, go):
    """Although its fingerprint is the same: the edited module is not of the method's package."""
    cases = [chaos.case("Fine", replicate=i) for i in range(2)]
    engine = FakeEngine()
    earlier = {case.key: ok(case) for case in cases}
    outcomes = go(engine, *map(chaos.job, cases), previous=earlier, edited={cases[1].key})
    assert [job.cases for job in engine.jobs] == [(cases[1],)]
    assert [outcomes[case.key].attempt for case in cases] == [1, 2]


def test_the_list_of_loaded_code_is_stored_with_the_outcome_that_names_it(chaos, go, log):
    """Of a case that ran, and, from the building of all instances, of one that the engine lost or ended."""
    ran, ended = chaos.case("Fine"), chaos.case("Fine", replicate=1)

    def answer(job, attempt):
        if job.cases[0] == ended:
            return Delivery(status="crashed", reason="killed")
        return reply(
            {"outcomes": [ok(case, attempt, sources=digest_of("code")) for case in job.cases], "sources": "code"}
        )

    engine = FakeEngine(answer)
    engine.resolve = lambda _: reply({"refused": [], "broken": [], "sources": "built"})
    outcomes = go(engine, chaos.job(ran), chaos.job(ended))
    assert [outcomes[case.key].sources for case in (ran, ended)] == [digest_of("code"), digest_of("built")]
    assert {value for name, value in log.events if name == "kept"} == {("sources", "code"), ("sources", "built")}


def test_an_outcome_that_names_an_unknown_list_is_lost(chaos, go):
    """Not stored as if its code were known."""
    engine = FakeEngine(lambda job, attempt: reply({"outcomes": [ok(c, attempt, sources="x") for c in job.cases]}))
    (outcome,) = go(engine, chaos.job(chaos.case("Fine"))).values()
    assert (outcome.status, "other code" in outcome.reason) == ("lost", True)


def detailed(job: Job, attempt: int) -> Delivery:
    """Every case is ok, and there is a side file."""
    return reply({"outcomes": [ok(case, attempt) for case in job.cases], "details": ["text"]})


def test_an_outcome_is_told_after_it_is_stored(chaos, go, log):
    """Nobody hears of what a power cut could take back."""
    go(FakeEngine(), *(chaos.job(chaos.case("Fine", replicate=i)) for i in range(5)))
    stored: set[str] = set()
    for name, value in log.events:
        if name == "stored":
            stored |= set(value)
        elif name == "told":
            assert value in stored
    assert [name for name, _ in log.events if name in ("started", "done")] == ["started", "done"]
    assert log.events[0][0] == "started"
    assert log.events[-1] == ("done", str(log.path))


def test_every_planned_case_has_one_outcome(chaos, go):
    """Run, settled without running, crashed: the keys of the plan, each once."""
    skipped = chaos.case("Sleeps")
    cases = [chaos.case("Fine", replicate=i) for i in range(3)]

    def answer(job, attempt):
        if job.cases[0] == cases[1]:
            return Delivery(status="crashed", reason="killed by SIGSEGV", member=0, phase="evaluate", trace="stack")
        return FakeEngine.fine(job, attempt)

    settled = Outcome(key=skipped.key, status="skipped", reason="no")
    out = go(FakeEngine(answer), *map(chaos.job, cases), settled=[settled], settled_cases=[skipped])
    assert {key: o.status for key, o in out.items()} == {
        cases[0].key: "ok",
        cases[1].key: "crashed",
        cases[2].key: "ok",
        skipped.key: "skipped",
    }
    crashed = out[cases[1].key]
    assert (crashed.phase, crashed.reason, crashed.trace) == ("evaluate", "killed by SIGSEGV", "stack")
    assert crashed.fingerprint == FINGERPRINT


def test_timing_comes_last(chaos, go):
    """Whatever the order of the plan, exclusive jobs follow all others."""
    engine = FakeEngine()
    go(
        engine,
        chaos.job(chaos.case("Fine", stage="time")),
        chaos.job(chaos.case("Fine")),
        chaos.job(chaos.case("Late")),
    )
    assert [job.exclusive for job in engine.jobs] == [False, False, True]


def test_an_answer_that_cannot_be_read_is_lost(chaos, go):
    """Neither a damaged answer nor outcomes of other cases enter the journal."""
    first, second = chaos.case("Fine"), chaos.case("Late")

    def answer(job, _):
        if job.cases[0] == first:
            return Delivery(status="ok", text='{"outcomes": [{"key": "x", "sta')
        return reply({"outcomes": [ok(first)]})

    out = go(FakeEngine(answer), chaos.job(first), chaos.job(second))
    assert [out[c.key].status for c in (first, second)] == ["lost", "lost"]


# -- replay -----------------------------------------------------------------------------------------------------------


def test_a_finished_run_is_replayed_without_an_engine(chaos, go, log):
    """No process starts, nothing is stored twice, and every outcome is told."""
    cases = [chaos.case("Fine", replicate=i) for i in range(3)]
    engine = FakeEngine()
    out = go(engine, *map(chaos.job, cases), previous={c.key: ok(c) for c in cases})
    assert not engine.started
    assert engine.jobs == []
    assert log.stored() == []
    assert set(out) == {c.key for c in cases}
    assert sum(name == "told" for name, _ in log.events) == 3


def test_outcomes_carried_into_another_folder_are_stored_there(chaos, go, log):
    """A resume that plans other cases writes a folder of its own, which must be complete."""
    case = chaos.case("Fine")
    go(FakeEngine(), chaos.job(case), previous={case.key: ok(case)}, carry=True)
    assert log.stored() == [case.key]


def test_another_fingerprint_runs_again_as_the_next_attempt(chaos, go):
    """The code changed, so the old number is somebody else's."""
    case = chaos.case("Fine")
    engine = FakeEngine()
    out = go(engine, chaos.job(case), previous={case.key: ok(case, attempt=2, fingerprint="old")})
    assert engine.attempts == [3]
    assert out[case.key].attempt == 3


@pytest.mark.parametrize(
    ("status", "runs", "runs_on_request"),
    [
        ("ok", 0, 0),
        ("diverged", 0, 0),
        ("failed", 0, 1),
        ("crashed", 0, 1),
        ("timeout", 0, 1),
        ("out-of-memory", 0, 1),
        ("cancelled", 1, 1),
        ("lost", 1, 1),
    ],
)
def test_what_is_run_again(chaos, go, status, runs, runs_on_request):
    """Results never; failures on request, since they would fail again; what was never finished always."""
    case = chaos.case("Fine")
    for retry, expected in ((False, runs), (True, runs_on_request)):
        engine = FakeEngine()
        go(engine, chaos.job(case), previous={case.key: ok(case, status=status)}, retry_failed=retry)
        assert len(engine.jobs) == expected


def test_a_timing_group_with_a_gap_runs_as_a_whole(chaos, go):
    """Ratios need common rounds: all members again, one attempt above the highest."""
    cases = [chaos.case("Fine", stage="time", value=i) for i in range(3)]
    engine = FakeEngine()
    previous = {cases[0].key: ok(cases[0], attempt=2), cases[1].key: ok(cases[1])}
    out = go(engine, chaos.job(*cases), previous=previous)
    assert [job.cases for job in engine.jobs] == [tuple(cases)]
    assert {o.attempt for o in out.values()} == {3}


def test_a_timing_group_does_not_invite_who_crashed_before(chaos, go):
    """The member that fell stays as it is; a group without a gap does not run."""
    cases = [chaos.case("Fine", stage="time", value=i) for i in range(3)]
    crashed = ok(cases[1], status="crashed")
    engine = FakeEngine()
    out = go(engine, chaos.job(*cases), previous={cases[0].key: ok(cases[0]), crashed.key: crashed})
    assert [job.cases for job in engine.jobs] == [(cases[0], cases[2])]
    assert out[crashed.key] == crashed
    engine = FakeEngine()
    go(engine, chaos.job(*cases), previous={c.key: ok(c) for c in cases} | {crashed.key: crashed})
    assert engine.jobs == []


# -- deaths in a group ------------------------------------------------------------------------------------------------


def test_a_death_in_a_group_costs_one_member_and_a_new_start(chaos, go):
    """The guilty one dies alone too and is recorded; the others are timed anew without it, in the same attempt."""
    cases = [chaos.case("Fine", stage="time", value=i) for i in range(4)]
    bad = {cases[1].key, cases[3].key}

    def answer(job, attempt):
        member = next((i for i, c in enumerate(job.cases) if c.key in bad), None)
        if member is None:
            return FakeEngine.fine(job, attempt)
        return Delivery(status="crashed", reason="killed by SIGSEGV", member=member, phase="time")

    engine = FakeEngine(answer)
    out = go(engine, chaos.job(*cases))
    assert {key for key, o in out.items() if o.status == "crashed"} == bad
    assert [len(job.cases) for job in engine.jobs] == [4, 1, 3, 1, 2]
    assert {o.attempt for o in out.values()} == {1}


@pytest.mark.parametrize("guilty", [{1}, {1, 3}, set()], ids=["one", "two", "no-one-alone"])
def test_whoever_dies_alone_is_to_blame_for_the_death_of_a_group(chaos, go, guilty):
    """The breadcrumb names an innocent member each time; it survives alone, and so the others are tried.

    If every member survives alone and the group dies again, the times taken alone are the result.
    """
    cases = [chaos.case("Fine", stage="time", value=i) for i in range(5)]
    bad = {cases[i].key for i in guilty}

    def answer(job, attempt):
        fatal = bad & {case.key for case in job.cases} or (not bad and len(job.cases) > 1)
        if not fatal:
            return FakeEngine.fine(job, attempt)
        innocent = next((i for i, c in enumerate(job.cases) if c.key not in bad), 0)
        return Delivery(status="crashed", reason="exited with code 3", member=innocent, phase="time", seconds=2.0)

    engine = FakeEngine(answer)
    out = go(engine, chaos.job(*cases))
    assert {key for key, o in out.items() if o.status == "crashed"} == bad
    assert {key for key, o in out.items() if o.status == "ok"} == {case.key for case in cases} - bad
    assert [len(job.cases) for job in engine.jobs] == [5, 1, 1, 1, 1, 1, 5 - len(bad)]
    # A process on trial lives longer than the group had lived.
    assert [engine.requests[i]["linger"] for i in (0, 1, 5)] == [0.0, 2.75, 2.75]


def test_a_member_that_disturbs_its_group_is_timed_alone(chaos, go):
    """The worker names it, nothing that was measured beside it counts, and its own request says what it left."""
    cases = [chaos.case("Fine", stage="time", value=i) for i in range(4)]

    def answer(job, attempt):
        if cases[2] in job.cases and len(job.cases) > 1:
            return reply({"outcomes": [], "apart": job.cases.index(cases[2]), "left": "a thread"})
        return FakeEngine.fine(job, attempt)

    engine = FakeEngine(answer)
    out = go(engine, chaos.job(*cases))
    assert {o.status for o in out.values()} == {"ok"}
    assert [len(job.cases) for job in engine.jobs] == [4, 3, 1]
    assert [request["left"] for request in engine.requests] == [[], [], ["a thread"]]


def test_a_worker_that_names_no_member_is_not_believed(chaos, go):
    """A forged answer sets no member apart."""
    cases = [chaos.case("Fine", stage="time", value=i) for i in range(2)]
    engine = FakeEngine(lambda *_: reply({"outcomes": [], "apart": 7, "left": ""}))
    out = go(engine, chaos.job(*cases))
    assert [o.status for o in out.values()] == ["lost", "lost"]


def test_a_group_whose_process_dies_before_anybody_ran_is_tried_once_more(chaos, go):
    """Nobody can be blamed; the second time all of them are."""
    cases = [chaos.case("Fine", stage="time", value=i) for i in range(2)]
    engine = FakeEngine(lambda *_: Delivery(status="crashed", reason="exited with code 1"))
    out = go(engine, chaos.job(*cases))
    assert len(engine.jobs) == 2
    assert [o.status for o in out.values()] == ["crashed"] * 2


# -- resolving --------------------------------------------------------------------------------------------------------


def test_a_refused_parameter_is_a_usage_error_before_anything_is_written(chaos, go, log):
    """The constructor's sentence reaches the user with the label in front; no folder is made."""
    engine = FakeEngine()
    engine.resolve = lambda labels: reply(
        {"refused": [{"index": 0, "label": labels[0], "type": "ValueError", "message": "n must be >= 2"}], "broken": []}
    )
    with pytest.raises(UsageError, match=r"run: n must be >= 2"):
        go(engine, chaos.job(chaos.case("Refuses", n=1)))
    assert log.opened == 0
    assert engine.jobs == []


def test_a_method_that_cannot_be_imported_has_rows_without_running(chaos, go):
    """All its cases end as its breakage; other methods run."""
    good, bad = chaos.case("Fine"), [chaos.case("Nobody", replicate=i) for i in range(2)]
    engine = FakeEngine()
    engine.resolve = lambda labels: reply(
        {
            "refused": [],
            "broken": [{"index": labels.index("Nobody"), "status": "failed", "reason": "no such class", "trace": ""}],
        }
    )
    out = go(engine, chaos.job(good), *map(chaos.job, bad))
    assert [out[c.key].status for c in (good, *bad)] == ["ok", "failed", "failed"]
    assert {(out[c.key].phase, out[c.key].reason) for c in bad} == {("resolve", "no such class")}
    assert [job.cases for job in engine.jobs] == [(good,)]


def test_a_method_that_dies_at_birth_does_not_hide_the_next_refusal(chaos, go):
    """The others are resolved again without it."""
    asked = []

    def resolve(labels):
        asked.append(labels)
        if "DiesAtBirth" in labels:
            return Delivery(
                status="crashed", reason="killed by SIGSEGV", member=labels.index("DiesAtBirth"), phase="resolve"
            )
        return reply({"refused": [], "broken": []})

    engine = FakeEngine()
    engine.resolve = resolve
    good, bad = chaos.case("Fine"), chaos.case("DiesAtBirth")
    out = go(engine, chaos.job(bad), chaos.job(good))
    assert (out[bad.key].status, out[good.key].status) == ("crashed", "ok")
    assert [len(labels) for labels in asked] == [3, 2]


# -- stopping ---------------------------------------------------------------------------------------------------------


def test_a_stop_lets_running_jobs_end_and_begins_no_other(chaos, go):
    """What was finished before counts; what was never begun is missing, so that a resume runs it."""
    stop = threading.Event()

    def answer(job, attempt):
        stop.set()
        return FakeEngine.fine(job, attempt)

    cases = [chaos.case("Fine", replicate=i) for i in range(20)]
    engine = FakeEngine(answer, capacity=1)
    out = go(engine, *map(chaos.job, cases), stop=stop)
    assert 0 < len(out) == len(engine.jobs) < 4
    assert not engine.stopped


def test_a_job_that_outlives_the_grace_is_cancelled(chaos, go):
    """It has a row that says so."""
    case = chaos.case("Fine")

    class Late(threading.Event):
        looks = 0

        def is_set(self):
            self.looks += 1
            return self.looks > 3

    engine = FakeEngine(lambda *_: None)  # pyright: ignore[reportArgumentType]  # held until stopped
    out = go(engine, chaos.job(case), stop=Late(), grace=0.1)
    assert engine.stopped
    assert out[case.key].status == "cancelled"


# -- with real processes ----------------------------------------------------------------------------------------------


@pytest.fixture
def run_for_real(chaos, tmp_path):
    """Run jobs in real processes: key -> outcome."""

    def run_for_real(*jobs, **options):
        with LocalEngine(**options) as engine:
            log = Log(tmp_path)
            return run(Plan(jobs=jobs), engine=engine, open_writer=log.open, timeout=20, sys_path=[chaos.path])

    return run_for_real


def test_results_do_not_depend_on_workers_order_isolation_or_bad_company(chaos, run_for_real):
    """Equal bits for 1 or 2 workers, fresh or warm, forward or backward, with or without methods that crash."""

    def rows(cases, **options):
        out = run_for_real(*map(chaos.job, cases), **options)
        return {case.key: (out[case.key].status, out[case.key].measurements) for case in cases}

    cases = [chaos.case(name, replicate=i) for i in range(3) for name in ("Fine", "GlobalNoise")]
    crowd = [chaos.case("Segfaults"), chaos.case("Settings"), chaos.case("Quits")]
    expected = rows(cases, workers=1)
    assert {status for status, _ in expected.values()} == {"ok"}
    assert rows(cases[::-1], workers=2) == expected
    assert rows([*crowd, *cases], workers=2, isolation="worker").items() >= expected.items()


def test_a_real_group_loses_exactly_the_guilty(chaos, run_for_real):
    """A segfault, an exit with code 0 and an exception among five; the others have common rounds."""
    names = {"Fine": {}, "Segfaults": {}, "Late": {"seconds": 0.0}, "Quits": {}, "Raises": {}}
    cases = [chaos.case(name, stage="time", **params) for name, params in names.items()]
    out = run_for_real(chaos.job(*cases), workers=2)
    assert [out[case.key].status for case in cases] == ["ok", "crashed", "ok", "crashed", "failed"]
    assert len({out[cases[i].key].measurements[0].series.group for i in (0, 2)}) == 1


# -- tuning -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "status", "reason"), [("dies", "failed", "show"), ("shifted", "crashed", "show")])
def test_without_a_choice_the_tuned_cases_end_as_their_tuning_did(tmp_path, name, status, reason):
    """Whether every trial raised or the process died; the untuned rows are not touched."""
    plan = build_plan(request(name, "plain"), registry())
    finished = execute(plan, tmp_path, Inline(dies=frozenset({"shifted"})))
    ends = {case.key: finished.outcomes[case.key] for case in plan.cases if case.method.name == name}
    tuned = [ends[c.key] for c in plan.cases if c.key in ends and "tuned" in c.options]
    assert tunings(finished)[name].status == status
    assert {(o.status, o.phase) for o in tuned} == {(status, "tune")}
    assert all(reason in o.reason for o in tuned)
    assert {finished.outcomes[c.key].status for c in plan.cases if c.method.label == "plain (tuned)"} == {"ok"}


def test_a_tuned_case_runs_after_its_tuning(tmp_path):
    """Every tuning comes before the evaluations that use it."""
    engine = Inline()
    execute(build_plan(request("shifted", "plain", stages=("evaluate", "time")), registry()), tmp_path, engine)
    for label in ("shifted (tuned)", "plain (tuned)"):
        stages = [stage for stage, name in engine.seen if name == label]
        assert stages[0] == "tune"
        assert set(stages[1:]) == {"evaluate"}


def test_a_resume_replays_a_tuning_and_feeds_its_choice(tmp_path):
    """With the tuning known and the evaluations not, only the evaluations run, at the stored choice."""
    plan = build_plan(request("shifted"), registry())
    whole = execute(plan, tmp_path)
    known = {c.key: whole.outcomes[c.key] for c in plan.cases if c.stage == "tune"}
    engine = Inline()
    again = execute(plan, tmp_path, engine, previous=known)
    assert "tune" not in {stage for stage, _ in engine.seen}
    assert {key: o.measurements for key, o in again.outcomes.items()} == {
        key: o.measurements for key, o in whole.outcomes.items()
    }


def test_outcomes_do_not_depend_on_the_number_of_workers(tmp_path):
    """One and two processes give the same rows and choices, bit for bit."""
    plan = build_plan(request("shifted", "plain"), registry())
    found = []
    for workers in (1, 2):
        with (
            LocalEngine(workers=workers, isolation="worker", threads=1, preload=()) as engine,
            RunWriter.create(tmp_path, name="toy", plan=plan, environment={}) as writer,
        ):
            run(plan, engine=engine, open_writer=lambda w=writer: w, sys_path=[str(HOME)])
        found.append(
            {k: (o.status, o.reason, o.measurements, o.chosen) for k, o in load_run(writer.path).outcomes.items()}
        )
    assert found[0] == found[1]
    assert {ends[:2] for ends in found[0].values()} == {("ok", "")}
