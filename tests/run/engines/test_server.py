"""The fork server: what it gives its workers, and that it ends with its driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest
from jobs import PRELOAD, gone

from kexue_bench.run.engines import server
from kexue_bench.run.engines.local import LocalEngine

FOREIGN = """
import multiprocessing, os, sys, time
from multiprocessing import forkserver
from kexue_bench.run.engines.local import LocalEngine
if __name__ == "__main__":
    own = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(600,))
    own.start()
    with LocalEngine(workers=1, preload=("kexue_bench.lab.stages",)) as engine:
        delivery = engine.submit(sys.argv[1], limit=20).result(60)
        pid = forkserver._forkserver._forkserver_pid
        print(delivery.status, os.getsid(pid) == pid, own.is_alive())
    own.kill()
"""
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


def test_a_server_has_one_thread_a_case_and_the_driver_keeps_its_own():
    """What numerical libraries read at their start is fixed for workers, and gone from the driver afterwards."""
    values = server.environment(3)
    assert {values[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")} == {"3"}
    assert values["PYTHONHASHSEED"] == "0"
    before = dict(os.environ)
    with LocalEngine(workers=1, threads=3, preload=()) as engine:
        engine.start()
    assert dict(os.environ) == before


def _server() -> int:
    return vars(forkserver._forkserver)["_forkserver_pid"]


def test_a_server_that_ended_is_started_again_as_ours(chaos, ask, warm):
    """It adopts the orphans of its workers as the first one did, and gives them the same settings.

    multiprocessing starts a new one by itself, which would be a plain fork server in the session of the driver.
    """
    assert ask(chaos.case("Fine"), of=warm).status == "ok"
    first = _server()
    threads = next(line for line in Path(f"/proc/{first}/environ").read_text().split("\0") if "OMP_NUM" in line)
    os.kill(first, signal.SIGKILL)
    assert gone(first)
    assert ask(chaos.case("Fine", replicate=1), of=warm).status == "ok"
    second = _server()
    assert second != first
    assert os.getsid(second) == second
    assert threads in Path(f"/proc/{second}/environ").read_text().split("\0")


def test_a_server_that_is_stopped_goes_on(chaos, ask):
    """A method stopped it: the cases after it have workers all the same."""
    assert ask(chaos.case("StopsServer")).status == "ok"
    for replicate in range(4):
        assert ask(chaos.case("Fine", replicate=replicate)).status == "ok"


def test_a_server_that_never_answers_is_replaced(chaos, monkeypatch):
    """It is stopped again and again; whoever waits for a worker of it would wait for ever."""
    monkeypatch.setattr(server, "STUCK", 1.0)
    monkeypatch.setattr(server, "wake", lambda: None)
    with LocalEngine(workers=1, preload=PRELOAD) as engine:

        def ask(replicate):
            return engine.submit(chaos.text(chaos.case("Fine", replicate=replicate)), limit=60).result(60).status

        assert ask(0) == "ok"
        first = _server()
        os.kill(first, signal.SIGSTOP)
        # A new slot asks the server for its worker.
        for slot in list(engine._slots):
            engine._discard(slot)
        assert ask(1) == "ok"
        assert _server() != first
        assert gone(first)


def _lone(chaos, end):
    """What a driver of two engines prints: here the module's engine uses the server."""
    texts = [chaos.text(chaos.case("Fine", replicate=i)) for i in range(2)]
    done = subprocess.run(
        [sys.executable, "-c", LONE, end, *texts],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout.split(), done.stderr


LONE = """
import os, signal, sys
from multiprocessing import forkserver
from kexue_bench.run.engines import processes, server
from kexue_bench.run.engines.local import LocalEngine
pids = []
# With all its imports, giving back its memory takes the first server milliseconds in which its pid exists.
for preload, text in zip((server.PRELOAD, ()), sys.argv[2:]):
    with LocalEngine(workers=1, preload=preload) as engine:
        print(engine.submit(text, limit=60).result(60).status)
    pids.append(forkserver._forkserver._forkserver_pid)
    if sys.argv[1] == "failed":
        os.kill(pids[-1], signal.SIGKILL)
        while processes.alive(pids[-1]):
            pass
        server._state.deaths = 2
        print(bool(server.failure()))
print(len(set(pids)), *map(processes.alive, pids))
"""


def test_a_server_that_could_not_be_had_once_is_tried_for_the_next_engine(chaos):
    """A program that compares twice is not refused for what has ended the servers of its first run."""
    told, errors = _lone(chaos, "failed")
    assert told == ["ok", "True", "ok", "True", "2", "False", "False"], errors


def test_an_engine_with_other_imports_gets_a_server_of_its_own(chaos):
    """With those of the engine before, each of its workers would import them in the time of its first case."""
    told, errors = _lone(chaos, "closed")
    assert told == ["ok", "ok", "2", "False", "True"], errors


def test_the_fork_server_of_the_program_around_us_is_left_alone(chaos, tmp_path):
    """A program that uses multiprocessing's fork server itself gets answers from ours, and keeps its own processes."""
    script = tmp_path / "program.py"
    script.write_text(FOREIGN)
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, script, chaos.text(chaos.case("Fine"))],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == ["ok", "True", "True"], done.stderr


ONE_JOB = """
import statistics, sys
from kexue_bench.run.engines.local import LocalEngine
sys.path.insert(0, "")
with LocalEngine(workers=1, preload=()) as engine:
    try:
        print(engine.submit(sys.argv[1], limit=60).result(60).status)
    except Exception as error:
        print(type(error).__name__, error)
"""


def run_there(chaos, folder, **environment):
    """The output of a driver that runs one job in a folder."""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-P", "-c", ONE_JOB, chaos.text(chaos.case("GlobalNoise"))],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'plugins'}"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["random", "queue", "statistics", "pebble"])
def test_a_file_of_the_current_folder_hides_no_module(chaos, tmp_path, name):
    """Neither from the process that makes workers nor from a worker, though the driver has the folder first."""
    (tmp_path / f"{name}.py").write_text("import os\nos._exit(9)\n")
    assert run_there(chaos, tmp_path) == "ok"


def test_a_server_that_ends_twice_at_its_start_ends_the_run_with_its_last_lines(chaos, tmp_path):
    """A module of the user's import path does it here; no third one is started."""
    (tmp_path / "queue.py").write_text(
        "import os, sys\nif 'KEXUE_BENCH_DRIVER' in os.environ: sys.stderr.write('told to end\\n'); os._exit(9)\n"
        f"sys.path.remove({str(tmp_path)!r}); del sys.modules['queue']; import queue\n"
    )
    root = Path(__file__).parents[3]
    paths = os.pathsep.join(map(str, (tmp_path, root, root / "plugins")))
    told = run_there(chaos, tmp_path.parent, PYTHONPATH=paths)
    assert told.startswith("EngineError the process that starts workers ended twice at its start; told to end")
    assert told.count("told to end") == 2


def test_a_long_temporary_folder_is_no_obstacle(chaos, tmp_path):
    """The path of a socket has 107 bytes, and the folder of temporary files may be longer."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    assert run_there(chaos, tmp_path, TMPDIR=str(deep)) == "ok"
