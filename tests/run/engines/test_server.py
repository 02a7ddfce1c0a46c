"""The fork server: what it gives its workers, and that it ends with its driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kexue_bench.run.engines import server
from kexue_bench.run.engines.local import LocalEngine

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
