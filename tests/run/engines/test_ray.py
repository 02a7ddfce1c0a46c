"""The cluster engine: a real cluster of two nodes, and what is said where there is none."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from kexue_bench.errors import EngineError
from kexue_bench.run.engines import ray as engines_ray
from kexue_bench.run.engines.ray import RayEngine, difference, wheels

HERE = Path(__file__).parent


def python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_worker_and_a_removed_node_lose_nothing():
    """200 cases on two nodes, of which one goes: each has one outcome, bit for bit that of the local engine.

    What was lost stands in the ledger as an attempt, at most one a case, and every result names the code that made it.
    """
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    done = python(str(HERE / "ray_scenario.py"))
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["taken"] == ["worker", "node"]
    assert (found["planned"], found["missing"], found["double"]) == (203, 0, 0)
    assert found["statuses"] == ["ok"]
    assert found["different"] == 0
    assert 1 <= found["lost_attempts"] <= 6
    assert found["beyond_two_attempts"] == 0
    assert found["fingerprints"] == [True]


def test_without_ray_the_error_says_what_to_install(tmp_path):
    """`--engine ray` is a usage error where the library is missing, and nothing is written."""
    (tmp_path / "ray.py").write_text("raise ImportError('no module named ray')\n")
    command = "import sys; from kexue_bench.cli.main import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["compare", "-t", "bernoulli-toy", "-m", "rloo", "--engine", "ray", "-o", str(tmp_path / "results")]
    done = python("-c", command, *arguments, PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert done.returncode == 2
    assert "pip install 'kexue-bench[ray]'" in done.stderr
    assert not (tmp_path / "results").exists()


def test_other_wheels_are_named():
    """The difference between two nodes says which library, what is there and what was expected."""
    ours = wheels()
    assert difference(ours, ours) == ""
    assert difference(ours, {**ours, "torch": "1.0"}) == f"torch 1.0 instead of {ours['torch']}"
    assert "numpy missing" in difference(ours, {k: v for k, v in ours.items() if k != "numpy"})


def test_the_engine_of_a_cluster_is_imported_only_when_asked_for():
    """Start-up does not pay for Ray."""
    loaded = "[name for name in sys.modules if 'ray' in name.split('.')]"
    code = f"import sys; from kexue_bench.cli import main, compare; print({loaded})"
    assert python("-c", code).stdout.strip() == "[]"


def connected(wait, head=None):
    """An engine with one job on a cluster that is asked by `wait`, and the future of the job."""
    engine, future = RayEngine(), Future()
    flight = engines_ray._Flight(future, time.monotonic() + 60)
    engine._ray = engines_ray._Ray(library=SimpleNamespace(wait=wait), run=None, head=head, flights={"job": flight})
    return engine, future


def test_an_error_of_the_thread_that_watches_ends_every_job_with_its_reason():
    """Nobody waits for a cluster that nobody watches; later jobs are refused with the same reason."""

    def wait(*_, **__):
        raise ZeroDivisionError("told to end")

    engine, future = connected(wait)
    engine._supervise()
    with pytest.raises(EngineError, match="cannot be watched, got ZeroDivisionError: told to end"):
        future.result(0)
    with pytest.raises(EngineError, match="told to end"):
        engine.submit("{}", limit=None)


def test_a_head_that_is_gone_ends_every_job(monkeypatch):
    """After three questions without an answer, while Ray itself says nothing for a minute."""
    monkeypatch.setattr(engines_ray, "PULSE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked = []

        def wait(references, **_):
            asked.append(len(asked))
            if len(asked) == 20:
                listener.close()
            time.sleep(0.02)
            return [], references

        head = listener.getsockname()
        engine, future = connected(wait, head)
        assert engine._answering() is engine._ray
        engine._supervise()
    with pytest.raises(EngineError, match="the head of the Ray cluster does not answer"):
        future.result(0)
    assert len(asked) > 20
    engine, future = connected(wait, head)
    with pytest.raises(EngineError, match="the head"):
        engine.submit("{}", limit=None)
    with pytest.raises(EngineError, match="the head"):
        future.result(0)


@pytest.mark.slow
def test_a_killed_head_ends_the_command_in_time(tmp_path):
    """Exit code 4 within ten seconds, one sentence, and everything reported is stored."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    command = [sys.executable, "-m", "kexue_bench", "run", "gradients", "-t", "bernoulli-toy[bits=20,t=0.499]"]
    command += ["--stage", "evaluate", "--budget", "65536", "--engine", "ray", "-v"]
    with (tmp_path / "out").open("w") as out:
        driver = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=out,
            stderr=out,
        )
    try:
        while not [path for path in tmp_path.glob("results/*/outcomes.jsonl") if path.stat().st_size]:
            assert driver.poll() is None
            time.sleep(0.1)
        below = psutil.Process(driver.pid).children(recursive=True)
        next(process for process in below if process.name() == "gcs_server").kill()
        assert driver.wait(15) == 4
    finally:
        driver.kill()
        driver.wait()
    told = (tmp_path / "out").read_text()
    assert told.splitlines()[-1].startswith("kexue-bench: the head of the Ray cluster does not answer")
    _, alive = psutil.wait_procs(below, timeout=5)
    assert alive == []
