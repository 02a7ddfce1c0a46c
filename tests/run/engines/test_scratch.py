"""scratch: the folder of a driver is removed with it, or by the next one if it was killed, with what still runs."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs import gone

from kexue_bench.run.engines import scratch
from kexue_bench.run.engines.local import LocalEngine
from kexue_bench.run.engines.scratch import PREFIX, Scratch, mark, sweep

ROOT = Path(__file__).parents[3]
DRIVER = "from kexue_bench.run.engines import scratch; print(scratch.home(), flush=True); input()"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of temporary files with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="kexue-bench-test-") as name:
        yield Path(name)


@pytest.fixture
def driver(place):
    """Starts a driver in this folder of temporary files, and names the scratch folder that it told."""
    started = []

    def start(code=DRIVER, *arguments, folder=place):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env=os.environ | {"TMPDIR": str(folder), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_folder_of_a_killed_driver_goes_with_the_next(place, driver):
    """Not while it lives: its lock is its own, and ends with the process."""
    process, left = driver()
    mine = Scratch(place)
    assert {*place.iterdir()} == {left, mine.path}
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert sweep(place) == 1
    assert list(place.iterdir()) == [mine.path]
    mine.remove()
    assert list(place.iterdir()) == []


def test_the_folder_of_a_driver_that_ends_goes_with_it(place, driver):
    """By itself, and not with a process that it forked."""
    code = "import os\nfrom kexue_bench.run.engines import scratch\nprint(scratch.home(), flush=True)\n"
    process, mine = driver(code + "if os.fork() == 0: raise SystemExit\nos.wait(); print(scratch.home().is_dir())\n")
    assert (process.communicate()[0], mine.parent) == ("True\n", place)
    assert list(place.iterdir()) == []


def test_only_folders_of_dead_drivers_are_removed(place, monkeypatch):
    """Neither a young folder without an owner, nor a link, a file, rescued records or a folder of another name."""
    (place / f"{PREFIX}young").mkdir()
    old = place / f"{PREFIX}old"
    old.mkdir()
    os.utime(old, (0, 0))
    (place / "precious").mkdir()
    (place / f"{PREFIX}link").symlink_to(place / "precious")
    (place / f"{PREFIX}file").write_text("")
    (place / "kexue-bench-rescued.jsonl").write_text("")
    kept = {path.name for path in place.iterdir()} - {old.name}
    assert sweep(place) == 1
    assert {path.name for path in place.iterdir()} == kept
    # A file system without locks cannot tell whether the driver lives.
    (place / f"{PREFIX}young" / "owner").write_text("")
    monkeypatch.setattr(scratch.OS_FILES, "lock", lambda fd: False)
    assert sweep(place) == 0


@pytest.mark.parametrize("step", ["no file yet", "no lock yet", "the lock of another", "locked"])
def test_a_sweep_between_two_steps_costs_a_starting_driver_nothing(place, monkeypatch, step):
    """Whatever another driver removes meanwhile, it has a folder whose owner's file it has locked."""
    real_open, real_lock, swept = scratch.open_plain, scratch.OS_FILES.lock, []

    def meanwhile(when):
        if when == step and not swept:
            swept.append(sweep(place))

    def open_plain(path, flags):
        if flags & os.O_CREAT:
            meanwhile("no file yet")
        return real_open(path, flags)

    def lock(fd):
        if swept or step == "no file yet":
            return real_lock(fd)
        if step == "the lock of another":
            # The other has locked the file, and has not yet removed it.
            swept.append(0)
            other = os.open(next(place.glob("*/owner")), os.O_RDWR)
            try:
                assert real_lock(other)
                return real_lock(fd)
            finally:
                os.close(other)
        swept.append(None)
        if step == "no lock yet":
            swept[0] = sweep(place)
        answer = real_lock(fd)
        if step == "locked":
            swept[0] = sweep(place)
        return answer

    monkeypatch.setattr(scratch, "open_plain", open_plain)
    monkeypatch.setattr(scratch.OS_FILES, "lock", lock)
    mine = Scratch(place)
    assert swept == [step == "no lock yet"]
    assert sweep(place) == (step == "the lock of another")
    assert [path.name for path in place.iterdir()] == [mine.path.name]
    mine.remove()


def test_folders_that_are_always_removed_are_an_error(place, monkeypatch):
    """Instead of a loop without an end."""
    monkeypatch.setattr(Scratch, "_owns", lambda self: False)
    with pytest.raises(OSError, match="are removed at once"):
        Scratch(place)


LOST = """
import os, signal, sys, time
from multiprocessing import forkserver
from kexue_bench.run.engines import scratch
from kexue_bench.run.engines.local import LocalEngine
note = sys.argv[2]
with LocalEngine(workers=1, preload=()) as engine:
    engine.submit(sys.argv[1], limit=None)
    while not os.path.exists(note) or not open(note).read():
        time.sleep(0.01)
    print(scratch.home(), flush=True)
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", ["HoldsDaemon", "HoldsSession"])
def test_what_outlives_a_killed_driver_and_its_server_ends_with_the_next_run(chaos, place, driver, name):
    """A process in a session of its own, forked or started anew; the one of a living driver goes on."""
    note = place / "pids"
    process, left = driver(LOST, chaos.text(chaos.case(name, note=str(note))), str(note))
    process.wait()
    (pid,) = map(int, note.read_text().split())
    assert left.parent == place
    assert not gone(pid, 1.0)
    # The next one calls the same folder by another name.
    (place / "link").symlink_to(place)
    _, alive = driver(DRIVER, folder=place / "link")
    waits = [sys.executable, "-c", "input()"]
    neighbour = subprocess.Popen(waits, env=os.environ | dict([mark(alive)]), stdin=subprocess.PIPE)
    try:
        assert gone(pid)
        assert {path.name for path in place.glob(f"{PREFIX}*")} == {alive.name}
        sweep(place)
        assert not gone(neighbour.pid, 0.2)
    finally:
        neighbour.kill()
        neighbour.communicate()


def test_sockets_of_multiprocessing_lie_in_the_scratch_folder(chaos):
    """So they go with it, whoever removes it."""
    with LocalEngine(workers=1, preload=()) as engine:
        assert engine.submit(chaos.text(chaos.case("Fine")), limit=60).result(60).status == "ok"
        assert multiprocessing.process.current_process()._config["tempdir"] == str(scratch.home())
        assert list(scratch.home().glob("*-*/workers")) == [engine._folder / "workers"]
        assert any(path.is_socket() for path in scratch.home().iterdir())
    assert not engine._folder.exists()


def test_the_next_engine_gets_another_folder_and_server_where_a_cleaner_took_them(chaos):
    """The server lives, but its socket is gone."""

    def ask(replicate):
        with LocalEngine(workers=1, preload=()) as engine:
            return engine.submit(chaos.text(chaos.case("Fine", replicate=replicate)), limit=60).result(60).status

    assert ask(0) == "ok"
    first = scratch.home()
    shutil.rmtree(first)
    assert ask(1) == "ok"
    assert scratch.home() != first


def test_a_long_folder_of_temporary_files_is_passed_over(tmp_path, monkeypatch):
    """The path of a socket has 107 bytes; no folder at all is said in words."""
    assert scratch._place() is not None
    deep = tmp_path / ("ä" * 30)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    assert scratch._place() in {Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")}
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    with pytest.raises(OSError, match=r"short enough for a socket.*set TMPDIR"):
        scratch._place()
