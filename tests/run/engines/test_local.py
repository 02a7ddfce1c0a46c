"""The local engine: who runs where, what is stopped, and that nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time

import psutil
import pytest
from jobs import PRELOAD, gone, score
from pebble.pool import process as pool_process

from kexue_bench.errors import EngineError, UsageError
from kexue_bench.run.engines import Delivery, local, processes, server, slots
from kexue_bench.run.engines.local import LocalEngine
from kexue_bench.store import codec


def test_much_output_is_kept_short_and_the_result_survives(chaos, ask):
    """Head and tail of 30 MB stay, and the answer is intact."""
    (outcome,) = chaos.outcomes(ask(chaos.case("Prints", size=30_000_000)).text)
    assert outcome.status == "ok"
    assert len(outcome.trace) < 9_000
    assert outcome.trace.endswith("last words")


def test_an_interrupt_raised_by_a_method_is_its_failure(chaos, ask):
    """In a worker no Ctrl-C arrives, so KeyboardInterrupt is the method's own."""
    (outcome,) = chaos.outcomes(ask(chaos.case("Interrupts")).text)
    assert (outcome.status, outcome.reason) == ("failed", "KeyboardInterrupt")


# -- isolation --------------------------------------------------------------------------------------------------------


def test_every_job_has_a_process_of_its_own(chaos, ask):
    """By default; none of them is this one."""
    pids = {score(chaos, ask(chaos.case("Process"))) for _ in range(4)} | {os.getpid()}
    assert len(pids) == 5


def test_a_warm_worker_is_used_again(chaos, ask, warm):
    """Several jobs, one process."""
    assert len({score(chaos, ask(chaos.case("Process"), of=warm)) for _ in range(4)}) == 1


def test_a_warm_worker_is_replaced_after_a_job_changed_a_setting_or_died(chaos, ask, warm):
    """The next job runs elsewhere, and finds everything in order."""
    pids = [score(chaos, ask(chaos.case("Process"), of=warm))]
    for name in ("Settings", "Segfaults", "Quits"):
        ask(chaos.case(name), of=warm)
        pids.append(score(chaos, ask(chaos.case("Process"), of=warm)))
    assert len(set(pids)) == 4


def test_a_warm_worker_is_replaced_after_a_job_replaced_a_function(chaos, ask, warm, engine):
    """The next job draws the numbers that it draws anywhere; the outcome of the job names the function."""
    case = chaos.case("GlobalNoise")
    (patched,) = chaos.outcomes(ask(chaos.case("Patches"), of=warm).text)
    assert patched.state_leak == ("replaced torch.rand",)
    answers = [chaos.outcomes(ask(case, of=of).text)[0].measurements for of in (engine, warm)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("name", "left"),
    [("Patches", "replaced torch.rand"), ("SpinsBehind", "a thread that went on computing during the turns of others")],
)
def test_a_member_that_others_cannot_be_timed_beside_is_named(chaos, ask, name, left):
    """The process answers with its position and measures nothing; alone, it is measured and says what it left."""
    cases = [chaos.case(n, stage="time", value=i) for i, n in enumerate(["Fine", name, "Fine"])]
    answer = codec.unseal(ask(*cases).text)
    assert answer == {"outcomes": [], "apart": 1, "left": left}
    (outcome,) = chaos.outcomes(ask(cases[1], left=[left]).text)
    assert outcome.status == "ok"
    assert left in outcome.state_leak


def test_a_worker_killed_while_idle_is_replaced(chaos, ask, warm):
    """Nobody's job is lost by a death between two jobs."""
    pid = int(score(chaos, ask(chaos.case("Process"), of=warm)))
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    assert score(chaos, ask(chaos.case("Process"), of=warm)) != pid


def test_a_worker_killed_with_a_lock_of_its_pool_is_replaced(chaos, ask, warm):
    """Killed right after its answer it may still hold the lock, for which the next worker would wait a minute."""
    pid = int(score(chaos, ask(chaos.case("Process"), of=warm)))
    slot = next(slot for slot in warm._slots if slot.pid == pid)
    assert slot._pool._pool_manager.worker_manager.workers_channel.mutex.writer_mutex.acquire(timeout=5)
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    assert score(chaos, ask(chaos.case("Process", replicate=1), of=warm)) != pid
    assert slot not in warm._slots


def test_a_run_is_stopped_while_a_worker_is_awaited(chaos, monkeypatch):
    """The imports of the process that makes workers may take long; nobody who stops the run waits for them."""
    asked, free = threading.Event(), threading.Event()

    def wait(slot):
        asked.set()
        free.wait(60)

    monkeypatch.setattr(slots.Slot, "warm", wait)
    with LocalEngine(workers=1, preload=()) as engine:
        futures = [engine.submit(chaos.text(chaos.case("Fine", value=i)), limit=20) for i in range(2)]
        assert asked.wait(20)
        stopping = threading.Thread(target=engine.stop, daemon=True)
        stopping.start()
        assert [future.result(5).status for future in futures] == ["cancelled", "cancelled"]
        stopping.join(5)
        assert not stopping.is_alive()
        free.set()
        while engine._sending is not None:
            time.sleep(0.01)
        assert not any(slot.ticket for slot in engine._slots)


def test_exclusive_jobs_are_alone(chaos, engine, tmp_path):
    """No interval of an exclusive job meets another job's; the ordinary ones may overlap."""
    kinds = [False, False, True, False, True]
    futures = []
    for index, exclusive in enumerate(kinds):
        text = chaos.text(chaos.case("Notes", note=str(tmp_path / str(index))))
        futures.append(engine.submit(text, limit=20, exclusive=exclusive))
    for future in futures:
        assert future.result(60).status == "ok"
    spans = [tuple(map(float, (tmp_path / str(i)).read_text().split())) for i in range(len(kinds))]
    for i, (begun, ended) in enumerate(spans):
        others = [span for j, span in enumerate(spans) if j != i]
        if kinds[i]:
            assert all(end <= begun or ended <= start for start, end in others)


def test_in_process_runs_here(chaos, ask):
    """Isolation `none` is this very process, and starts no other."""
    with LocalEngine(isolation="none") as engine:
        assert score(chaos, ask(chaos.case("Process"), of=engine)) == os.getpid()


def test_numbers_do_not_depend_on_where_they_were_made(chaos, ask, warm, engine):
    """Fresh, warm and in process: equal bits, stray draws from global generators included."""
    case = chaos.case("GlobalNoise")
    ask(chaos.case("Fine"), of=warm)
    with LocalEngine(isolation="none") as here:
        answers = [chaos.outcomes(ask(case, of=of).text)[0].measurements for of in (engine, warm, here)]
    assert answers[0] == answers[1] == answers[2]


# -- stopping ---------------------------------------------------------------------------------------------------------


def test_stop_cancels_what_runs_and_what_waits(chaos):
    """Every future ends at once, none raises, and the engine takes no more."""
    engine = LocalEngine(workers=1, preload=PRELOAD)
    with engine:
        futures = [engine.submit(chaos.text(chaos.case("Sleeps", value=i)), limit=None) for i in range(3)]
        while not futures[0].running():
            time.sleep(0.01)
        time.sleep(0.5)
        begun = time.monotonic()
        engine.stop()
        assert [f.result(10).status for f in futures] == ["cancelled"] * 3
        assert time.monotonic() - begun < 3
        assert engine.submit(chaos.text(chaos.case("Fine")), limit=None).result(1).status == "cancelled"


def test_a_waiting_job_can_be_withdrawn(chaos, engine):
    """`Future.cancel` works until the job begins."""
    futures = [engine.submit(chaos.text(chaos.case("Late", seconds=0.3 + i)), limit=20) for i in range(4)]
    assert futures[3].cancel()
    assert [f.result(20).status for f in futures[:3]] == ["ok"] * 3


def test_a_job_that_answers_near_its_limit_has_one_end(chaos, engine):
    """Whether the answer or the deadline wins, there is exactly one delivery and the next job runs."""
    futures = [engine.submit(chaos.text(chaos.case("Late", seconds=0.3 + i / 100)), limit=0.35) for i in range(12)]
    assert {f.result(30).status for f in futures} <= {"ok", "timeout"}
    assert engine.submit(chaos.text(chaos.case("Fine")), limit=20).result(20).status == "ok"


def test_the_driver_does_not_keep_threads_or_files_of_dead_workers(chaos, ask, engine):
    """Twenty crashes leave as many threads and descriptors as there were."""
    ask(chaos.case("Segfaults"))
    me = psutil.Process()
    threads, files = threading.active_count(), me.num_fds()
    for _ in range(20):
        ask(chaos.case("Quits", code=3))
    assert threading.active_count() <= threads + 2
    assert me.num_fds() <= files + 4


# -- what ends a run --------------------------------------------------------------------------------------------------


def test_an_error_of_the_supervisor_ends_every_job_with_its_reason(chaos, monkeypatch):
    """No job waits for ever: those in the queue, the one that was about to be sent, and whatever is submitted later."""

    def refuse(self, path):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(slots.Crumb, "__init__", refuse)
    with LocalEngine(workers=1, preload=()) as engine:
        # The supervisor sends nothing before all three are in the queue.
        with engine._lock:
            futures = [engine.submit(chaos.text(chaos.case("Fine", value=i)), limit=20) for i in range(3)]
        begun = time.monotonic()
        for future in futures:
            with pytest.raises(EngineError, match="Read-only file system"):
                future.result(10)
        with pytest.raises(EngineError, match="Read-only file system"):
            engine.submit(chaos.text(chaos.case("Fine")), limit=20)
    assert time.monotonic() - begun < 10


class _Silent:
    """A slot whose worker ended before it took the job."""

    started = orphaned = stranded = False
    ended = True

    def __init__(self):
        self.ticket = slots.Ticket(text="", limit=None, members=1, exclusive=False)

    def tidy(self, now):
        """There is no process."""

    def answer(self):
        return None

    def look(self, now, **limits):
        return True

    def autopsy(self):
        return Delivery(status="lost", reason="the pool failed")


class _Heard(_Silent):
    def answer(self):
        return "text", "", ()


@pytest.mark.parametrize(
    ("failure", "most"), [("", 4 * local.BARREN), ("the process that starts workers ended twice", local.BARREN)]
)
def test_only_workers_that_end_in_a_row_before_a_job_end_the_run(monkeypatch, failure, most):
    """An answer between them shows that workers can work; a process that makes none is given up sooner."""
    monkeypatch.setattr(server, "failure", lambda: failure)
    monkeypatch.setattr(LocalEngine, "_bury", lambda self, slot: None)
    monkeypatch.setattr(LocalEngine, "_accept", lambda self, slot, answer: Delivery(status="ok", text=answer[0]))
    engine = LocalEngine(workers=1)

    def look(slot):
        engine._slots = [slot]
        engine._look_at_slots(due=True)

    for _ in range(3):
        for _ in range(most - 1):
            look(_Silent())
        look(_Heard())
    for _ in range(most - 1):
        look(_Silent())
    with pytest.raises(EngineError, match=failure or "before they take a job"):
        look(_Silent())


def test_a_scratch_folder_that_is_removed_ends_the_run(chaos):
    """A cleaner of temporary files took it: no worker could register any more."""
    with LocalEngine(workers=1, preload=()) as engine:
        future = engine.submit(chaos.text(chaos.case("Sleeps")), limit=None)
        while engine._slots == [] or not engine._slots[0].started:
            time.sleep(0.01)
        shutil.rmtree(engine._folder)
        with pytest.raises(EngineError, match="was removed"):
            future.result(10)


def test_a_thread_of_a_pool_that_ends_costs_nobody_a_result(chaos, monkeypatch):
    """Pebble knows nothing of it; the job goes to another slot."""
    broken = []

    def update(manager):
        if not broken:
            broken.append(manager)
            raise ZeroDivisionError("told to end")
        original(manager)

    original = pool_process.PoolManager.update_status
    monkeypatch.setattr(pool_process.PoolManager, "update_status", update)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    with LocalEngine(workers=1, preload=()) as engine:
        assert engine.submit(chaos.text(chaos.case("Fine")), limit=20).result(60).status == "ok"
    assert broken


def test_two_engines_share_the_server_and_not_the_deaths(chaos):
    """What one buries is not what the other runs."""
    with LocalEngine(workers=1, preload=PRELOAD) as first, LocalEngine(workers=1, preload=PRELOAD) as second:
        slow = second.submit(chaos.text(chaos.case("Late", seconds=6.0)), limit=60)
        while second._slots == [] or not second._slots[0].started:
            time.sleep(0.01)
        assert first.submit(chaos.text(chaos.case("Segfaults")), limit=20).result(60).status == "crashed"
        assert slow.result(60).status == "ok"


@pytest.mark.parametrize(
    ("workers", "memory", "cores", "expected"),
    [
        (None, 24e9, 64, (32, 0.6e9)),
        (None, 24e9, 8, (8, 2.4e9)),
        (None, 4e9, 64, (5, 0.64e9)),
        (2, 4e9, 64, (2, 1.6e9)),
    ],
)
def test_as_many_workers_as_fit(monkeypatch, workers, memory, cores, expected):
    """0.8 of the memory, at least 0.6 GB each; a number that was asked for is kept."""
    monkeypatch.setattr(processes, "cores_available", lambda: cores)
    assert local._shares(workers, None, int(memory)) == (expected[0], pytest.approx(expected[1]))


@pytest.mark.parametrize(
    ("workers", "limit", "words"),
    [
        (64, None, r"0.8 x 24.00 GB / 64 = 0.30 GB for each of 64; use at most -j 32"),
        (1, 100_000_000, r"got --memory 0.10 GB"),
    ],
)
def test_workers_that_do_not_fit_are_refused_with_the_arithmetic(workers, limit, words):
    """An idle worker takes 0.32 GB, so each of them would be ended as out of memory."""
    with pytest.raises(UsageError, match=words):
        local._shares(workers, limit, 24_000_000_000)


def test_few_descriptors_are_refused_in_words(monkeypatch):
    """The hard limit decides; a soft one is raised."""
    raised = []
    monkeypatch.setattr(local.resource, "setrlimit", lambda _, limits: raised.append(limits))
    monkeypatch.setattr(local.resource, "getrlimit", lambda _: (64, 4096))
    local._need_descriptors(8)
    assert raised == [(148, 4096)]
    monkeypatch.setattr(local.resource, "getrlimit", lambda _: (64, 64))
    with pytest.raises(EngineError, match="8 workers need 148 file descriptors, got a limit of 64"):
        local._need_descriptors(8)
    monkeypatch.setattr(processes, "cores_available", lambda: 8)
    assert local._shares(None, None, 24_000_000_000)[0] == 1
