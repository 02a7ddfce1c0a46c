"""A slot: any way its worker can end is one delivery that says what happened."""

from __future__ import annotations

import time

import pytest
from jobs import score

LIMIT = 1.0
OVERSHOOT = 2.0
"""Seconds past its limit within which a job must have ended, on a machine under load."""


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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_goes_on_after_the_end_of_its_job_is_ended(chaos, engine):
    """A method can write what pebble takes for the end of the job; the job's second worker runs into its limit."""
    future = engine.submit(chaos.text(chaos.case("Sleeps")), limit=LIMIT)
    while not (started := [slot for slot in engine._slots if slot.ticket is not None and slot.started]):
        time.sleep(0.01)
    started[0]._inner.set_exception(RuntimeError("forged"))
    assert future.result(30).status == "timeout"


def test_a_thread_that_never_ends_holds_up_nobody(chaos, ask):
    """The answer is there at once, and the process is ended although its interpreter waits for the thread."""
    begun = time.monotonic()
    for _ in range(4):
        assert ask(chaos.case("Lingers")).status == "ok"
    assert time.monotonic() - begun < 15
