"""Processes of ours and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from jobs import PRELOAD, gone

from kexue_bench.run.engines import processes
from kexue_bench.run.engines.local import LocalEngine


@pytest.mark.parametrize("fall", [False, True])
@pytest.mark.parametrize("name", ["Spawns", "Daemon"])
def test_grandchildren_die_with_their_case(chaos, ask, tmp_path, name, fall):
    """Whether the case returns or falls, and whether or not they left its session and their parent."""
    note = tmp_path / "pids"
    delivery = ask(chaos.case(name, note=str(note), fall=fall))
    assert delivery.status == ("crashed" if fall else "ok")
    (pid,) = map(int, note.read_text().split())
    assert gone(pid)


def test_a_huge_request_is_refused_before_it_is_paid_for(chaos):
    """With a memory limit, one allocation far above it fails at once instead of filling the machine."""
    with LocalEngine(workers=1, memory_limit=800_000_000, preload=PRELOAD) as engine:
        delivery = engine.submit(chaos.text(chaos.case("Hoards", size=1 << 33)), limit=20).result(60)
    (outcome,) = chaos.outcomes(delivery.text)
    assert (outcome.status, outcome.reason) == ("out-of-memory", "MemoryError")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exited with code 0"),
        (3, "exited with code 3"),
        (-signal.SIGSEGV, "killed by SIGSEGV"),
        (-signal.SIGKILL, "killed by SIGKILL from outside, perhaps by the kernel"),
        (-200, "killed by signal 200"),
    ],
)
def test_an_exit_is_told_in_words(code, words):
    """A number that is not the name of a signal stays a number."""
    assert processes.describe_exit(code).startswith(words)


def test_a_zombie_is_not_alive():
    """It ended, whether or not its parent has asked; a process that is gone takes no memory."""
    child = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    assert processes.alive(child.pid)
    assert processes.rss(child.pid) > 1 << 20
    child.kill()
    assert gone(child.pid)
    child.communicate()
    assert not processes.alive(child.pid)
    assert processes.rss(child.pid) == 0
    assert processes.open_pidfd(child.pid) is None


ROOT = Path(__file__).parents[3]
SWEEPER = """
import os, subprocess, sys
from kexue_bench.run.engines import processes
assert not processes.has_children()
processes.adopt_orphans()
# A child that ends and leaves a grandchild in a session of its own.
code = "import subprocess; print(subprocess.Popen(['sleep', '60'], stdout=-3, start_new_session=True).pid)"
orphan = int(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE).stdout)
child = subprocess.Popen(["sleep", "60"])
assert processes.has_children()
print(processes.sweep(), processes.has_children(), processes.alive(orphan), processes.alive(child.pid))
"""


def test_a_sweep_ends_and_reaps_everything_below():
    """Children, and orphans that left the session: killed, reaped, and counted."""
    done = subprocess.run(
        [sys.executable, "-c", SWEEPER],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split() == ["2", "False", "False", "False"]


def test_orphans_below_the_server_are_ended_and_known_workers_are_not():
    """What a dead worker left, in a session of its own below the server; a known worker and the server's own stay."""
    sleepers = [subprocess.Popen(["sleep", "60"], start_new_session=apart) for apart in (True, True, False)]
    orphan, worker, own = sleepers
    others = {child.pid for child in psutil.Process().children()} - {orphan.pid, worker.pid, own.pid}
    try:
        processes.kill_orphans(os.getpid(), known=lambda: {worker.pid, *others})
        assert gone(orphan.pid)
        assert not gone(worker.pid, 0.5)
        assert not gone(own.pid, 0.1)
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


def test_a_worker_that_registers_while_orphans_are_looked_for_is_none(tmp_path, monkeypatch):
    """It registers, then leaves the session: whoever saw it outside finds it in the register."""
    code = f"""
import os, sys
from pathlib import Path
from kexue_bench.run.engines import processes
processes.register(Path({str(tmp_path)!r}))
os.setsid()
print(flush=True)
input()
"""
    others = {child.pid for child in psutil.Process().children()}
    real, started = psutil.Process.children, []

    def children(process, **options):
        if not started:
            started.append(subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1))
            started[0].stdout.readline()
        return real(process, **options)

    monkeypatch.setattr(psutil.Process, "children", children)
    try:
        processes.kill_orphans(os.getpid(), known=lambda: processes.registered(tmp_path) | others)
        assert not gone(started[0].pid, 0.5)
    finally:
        started[0].kill()
        started[0].communicate()


def test_the_memory_of_the_machine_is_bounded_by_its_control_group():
    """No more than it has, and more than this process takes."""
    assert processes.rss(os.getpid()) < processes.memory_available() <= psutil.virtual_memory().total


def test_limits_of_control_groups_count(tmp_path, monkeypatch):
    """Of the own group and of those around it; `max` and a missing file say nothing."""
    for path, name, text in [
        ("a/b", "memory.max", "max"),
        ("a", "memory.max", "2000000000"),
        ("a/b", "cpu.max", "150000 100000"),
        ("a", "cpu.max", "max 100000"),
    ]:
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
        (tmp_path / path / name).write_text(text)
    own = tmp_path / "own"
    own.write_text("0::/a/b\n")
    groups = processes._control_groups
    monkeypatch.setattr(processes, "_control_groups", lambda name: groups(name, tmp_path, own))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert processes.memory_available() == min(2_000_000_000, psutil.virtual_memory().total)
    assert processes.cores_available() == 2


def test_a_pid_that_was_used_again_spares_nobody(tmp_path):
    """A worker that lives is known; one that ended, and a process that started at another time, are not."""
    child = subprocess.Popen(["sleep", "60"])
    try:
        processes.register(tmp_path)
        for name in (str(child.pid), "999999999"):
            (tmp_path / name).write_text("1")
        assert processes.registered(tmp_path) == {os.getpid()}
        assert [entry.name for entry in tmp_path.iterdir()] == [str(os.getpid())]
    finally:
        child.kill()
        child.wait()
