"""The local engine: any way a process can end is one delivery, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from kexue_bench.run.crumb import Crumb
from kexue_bench.run.engines import processes
from kexue_bench.run.engines.local import LocalEngine

LIMIT = 1.0
OVERSHOOT = 2.0
"""Seconds past its limit within which a job must have ended, on a machine under load."""
PRELOAD = ("kexue_bench.run.worker", "kexue_bench.lab.stages", "kexue_bench.lab.training")


@pytest.fixture(scope="module")
def engine():
    """Fresh processes, two at once, 600 MB each."""
    with LocalEngine(workers=2, memory_limit=600_000_000, preload=PRELOAD) as engine:
        yield engine


@pytest.fixture
def warm():
    """One process for all jobs."""
    with LocalEngine(workers=1, isolation="worker", preload=PRELOAD) as engine:
        yield engine


@pytest.fixture
def ask(chaos, engine):
    """Run cases as one job and wait for the delivery."""

    def ask(*cases, limit=20.0, of=engine, **extra):
        future = of.submit(
            chaos.text(*cases, **extra), limit=limit, members=len(cases), exclusive=cases[0].stage == "time"
        )
        return future.result(60)

    return ask


def score(chaos, delivery):
    (outcome,) = chaos.outcomes(delivery.text)
    return {row.metric: row.value for row in outcome.measurements}["score"]


def gone(pid: int, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not processes.alive(pid):
            return True
        time.sleep(0.02)
    return False


# -- deaths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "params", "reason"),
    [
        ("Segfaults", {}, "killed by SIGSEGV"),
        ("Aborts", {}, "killed by SIGABRT"),
        ("Quits", {"code": 3}, "exited with code 3"),
        ("Quits", {"code": 0}, "exited with code 0 before it answered"),
    ],
)
def test_a_death_is_a_crash_with_its_cause(chaos, ask, name, params, reason):
    """Also the exit with code 0, which the pool itself does not notice; the next job runs."""
    begun = time.monotonic()
    delivery = ask(chaos.case(name, **params))
    assert (delivery.status, delivery.reason) == ("crashed", reason)
    assert (delivery.member, delivery.phase) == (0, "evaluate")
    assert time.monotonic() - begun < 10
    assert score(chaos, ask(chaos.case("Fine"))) == 1.0


def test_a_crash_carries_what_was_printed_and_the_stack(chaos, ask):
    """Output and the fault handler's stack stand in the trace; the list of extension modules does not."""
    trace = ask(chaos.case("Segfaults")).trace
    assert "about to fall" in trace
    assert "Segmentation fault" in trace
    assert "methods.py" in trace
    assert "Extension modules" not in trace


@pytest.mark.parametrize("name", ["Sleeps", "Spins", "Stubborn", "Chatty"])
def test_a_hang_ends_at_its_limit(chaos, ask, name):
    """Asleep, holding the interpreter lock in C, blocking all signals, or printing for ever."""
    delivery = ask(chaos.case(name), limit=LIMIT)
    assert delivery.status == "timeout"
    assert LIMIT <= delivery.seconds < LIMIT + OVERSHOOT
    assert len(delivery.trace) < 10_000


def test_a_hoarder_is_stopped_before_the_machine_is_out_of_memory(chaos, ask):
    """The resident size decides, and the reason says how much it was."""
    delivery = ask(chaos.case("Bomb"), limit=30)
    assert delivery.status == "out-of-memory"
    assert "the limit is 0.60 GB" in delivery.reason


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


def test_a_hang_at_import_or_birth_is_caught_like_any_other(chaos, ask):
    """The phase tells that the method was being built."""
    delivery = ask(chaos.case("DiesAtBirth"))
    assert (delivery.status, delivery.phase) == ("crashed", "build")


@pytest.mark.parametrize("name", ["Segfaults", "Sleeps"])
def test_the_guilty_member_of_a_timing_group_is_named(chaos, ask, name):
    """The breadcrumb names the third of four, whose limit counts from its own turn."""
    cases = [chaos.case(n, stage="time", value=i) for i, n in enumerate(["Fine", "Fine", name, "Fine"])]
    delivery = ask(*cases, limit=LIMIT)
    assert (delivery.member, delivery.phase) == (2, "time")
    assert delivery.status == ("timeout" if name == "Sleeps" else "crashed")
    assert delivery.seconds < LIMIT + OVERSHOOT


# -- nothing is left behind -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fall", [False, True])
@pytest.mark.parametrize("name", ["Spawns", "Daemon"])
def test_grandchildren_die_with_their_case(chaos, ask, tmp_path, name, fall):
    """Whether the case returns or falls, and whether or not they left its session and their parent."""
    note = tmp_path / "pids"
    delivery = ask(chaos.case(name, note=str(note), fall=fall))
    assert delivery.status == ("crashed" if fall else "ok")
    (pid,) = map(int, note.read_text().split())
    assert gone(pid)


def test_a_thread_that_never_ends_holds_up_nobody(chaos, ask):
    """The answer is there at once, and the process is ended although its interpreter waits for the thread."""
    begun = time.monotonic()
    for _ in range(4):
        assert ask(chaos.case("Lingers")).status == "ok"
    assert time.monotonic() - begun < 15


DRIVER = """
import sys, time
from kexue_bench.run.engines.local import LocalEngine
engine = LocalEngine(workers=2, preload=("kexue_bench.lab.stages",))
for text in sys.argv[1:]:
    engine.submit(text, limit=None)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_survives_the_driver(chaos, tmp_path, number):
    """Server, workers and their grandchildren are gone within 5 s of its death, whatever killed it."""
    note = tmp_path / "pids"
    texts = [chaos.text(chaos.case("Holds", note=str(note), replicate=i)) for i in range(2)]
    root = Path(__file__).parents[3]
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, *texts], env=os.environ | {"PYTHONPATH": str(root)})
    try:
        end = time.monotonic() + 60
        while (not note.exists() or len(note.read_text().split()) < 2) and time.monotonic() < end:
            time.sleep(0.05)
        below = psutil.Process(driver.pid).children(recursive=True)
        grandchildren = [int(pid) for pid in note.read_text().split()]
        assert len(grandchildren) == 2
        assert set(grandchildren) <= {p.pid for p in below}
    finally:
        driver.send_signal(number)
        driver.wait()
    _, alive = psutil.wait_procs(below, timeout=5)
    assert alive == []


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


def test_a_worker_killed_while_idle_is_replaced(chaos, ask, warm):
    """Nobody's job is lost by a death between two jobs."""
    pid = int(score(chaos, ask(chaos.case("Process"), of=warm)))
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    assert score(chaos, ask(chaos.case("Process"), of=warm)) != pid


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


# -- the breadcrumb ---------------------------------------------------------------------------------------------------


def test_a_breadcrumb_reads_back_what_was_written(tmp_path):
    """One side writes, the other reads; a member's clock starts with the member and not with its phase."""
    writer, reader = Crumb(tmp_path / "crumb"), Crumb(tmp_path / "crumb")
    assert reader.read().pid == 0
    writer.begin()
    writer.enter(7)
    stamp = reader.read().stamp
    writer.phase("time")
    position = reader.read()
    assert (position.pid, position.member, position.phase, position.stamp) == (os.getpid(), 7, "time", stamp)
    reader.clear()
    assert writer.read().pid == 0


def test_a_breadcrumb_is_never_read_half_written(tmp_path):
    """A driver that looks while a member begins sees the old stamp or the new one: no member seems hours old."""
    path = tmp_path / "crumb"
    Crumb(path).begin()
    code = f"from kexue_bench.run import crumb as c\nx = c.Crumb(c.Path({str(path)!r}))\nwhile 1: x.enter(3)"
    root = Path(__file__).parents[3]
    reader = Crumb(path)
    writer = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(root)})
    try:
        end = time.monotonic() + 20
        while reader.read().member != 3 and time.monotonic() < end:
            time.sleep(0.01)
        oldest = max(time.monotonic() - reader.read().stamp for _ in range(200_000))
    finally:
        writer.kill()
        writer.wait()
    assert oldest < 15


def test_a_huge_request_is_refused_before_it_is_paid_for(chaos):
    """With a memory limit, one allocation far above it fails at once instead of filling the machine."""
    with LocalEngine(workers=1, memory_limit=800_000_000, preload=PRELOAD) as engine:
        delivery = engine.submit(chaos.text(chaos.case("Hoards", size=1 << 33)), limit=20).result(60)
    (outcome,) = chaos.outcomes(delivery.text)
    assert (outcome.status, outcome.reason) == ("out-of-memory", "MemoryError")
