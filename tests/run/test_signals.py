"""Ctrl-C once ends tidily, twice at once; the workers of a terminal's process group do not see it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kexue_bench.run.signals import stop_on_interrupt, stop_on_signals

ROOT = Path(__file__).parents[2]
DRIVER = """
import sys
from pathlib import Path
from kexue_bench.api import Plan
from kexue_bench.store.codec import decode, loads
from kexue_bench.run.engines.local import LocalEngine
from kexue_bench.run.runner import run
from kexue_bench.run.signals import stop_on_signals

class Writer:
    path = Path()
    def append(self, outcomes):
        for outcome in outcomes:
            print(outcome.status, flush=True)
        return outcomes
    def keep(self, kind, texts):
        pass

with stop_on_signals() as stop, LocalEngine(workers=2, preload=("kexue_bench.lab.stages",)) as engine:
    plan = decode(Plan, loads(sys.argv[1]))
    run(plan, engine=engine, open_writer=Writer, stop=stop, grace=float(sys.argv[2]), sys_path=[sys.argv[3]])
sys.exit(stop.exit_code)
"""


@pytest.fixture
def driver(chaos, tmp_path):
    """Start a driver in a session of its own whose two cases hang, once both have begun."""
    from kexue_bench.api import Plan
    from kexue_bench.store import codec

    started = []

    def driver(*, grace: float) -> subprocess.Popen[str]:
        note = tmp_path / "pids"
        cases = [chaos.case("Holds", note=str(note), replicate=i) for i in range(2)]
        plan = codec.dumps(Plan(jobs=tuple(chaos.job(case) for case in cases)))
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, plan, str(grace), chaos.path],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        end = time.monotonic() + 60
        while (not note.exists() or len(note.read_text().split()) < 2) and time.monotonic() < end:
            time.sleep(0.05)
        return process

    # A shell's background jobs ignore the interrupt from birth, and so would what these tests start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield driver
    signal.signal(signal.SIGINT, before)
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_ends_the_run_after_the_grace(driver, number, code):
    """Sent to the whole group, as a terminal does: running cases get the grace and are recorded as cancelled."""
    process = driver(grace=0.5)
    begun = time.monotonic()
    os.killpg(process.pid, number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert out.split() == ["cancelled", "cancelled"]
    assert 0.5 < time.monotonic() - begun < 5


def test_two_signals_end_it_at_once(driver):
    """Whatever grace was left."""
    process = driver(grace=60)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - begun < 2.5


def test_handlers_are_put_back_and_an_ignored_signal_stays_ignored():
    """Inside only what was not ignored is handled; afterwards everything is as before."""
    before = signal.getsignal(signal.SIGTERM)
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.is_set()
            os.kill(os.getpid(), signal.SIGTERM)
            assert (stop.is_set(), stop.exit_code) == (True, 143)
    finally:
        signal.signal(signal.SIGHUP, hangup)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def _interruptible():
    """A shell's background jobs ignore the interrupt from birth."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_inside_somebodys_process_the_first_interrupt_asks_and_the_second_raises():
    """No other signal is touched, and the handler that was there is put back, after an exception too."""
    others = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def interrupted():
        with stop_on_interrupt() as stop:
            assert not stop.is_set()
            signal.raise_signal(signal.SIGINT)
            assert (stop.is_set(), stop.signal) == (True, signal.SIGINT)
            assert {number: signal.getsignal(number) for number in others} == others
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("_interruptible")
def test_nothing_is_handled_outside_of_the_main_thread_or_where_the_interrupt_is_ignored():
    """The handler stays what it was, and the token is that of a run which nothing stops."""
    seen = []

    def look():
        with stop_on_interrupt() as stop:
            seen.append((signal.getsignal(signal.SIGINT), stop.is_set()))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    look()
    assert seen == [(signal.default_int_handler, False), (signal.SIG_IGN, False)]
