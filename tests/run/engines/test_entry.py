"""The one function that a worker runs: text in, text out, and never an exception."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kexue_bench.run import worker
from kexue_bench.run.engines import entry, processes


@pytest.fixture
def station(monkeypatch):
    """A worker that is set up without being one; what it was asked to do."""
    begun = []
    crumb = SimpleNamespace(begin=lambda: begun.append("begin"))
    monkeypatch.setattr(entry, "_station", [(crumb, SimpleNamespace(), False)])
    monkeypatch.setattr(processes, "has_children", lambda: False)
    return begun


class Unpicklable(BaseException):
    """No pipe takes it."""

    def __reduce__(self):
        raise TypeError

    def __str__(self):
        raise TypeError


@pytest.mark.parametrize(
    "error", [Unpicklable(), SystemExit(0), KeyboardInterrupt(), MemoryError()], ids=lambda e: type(e).__name__
)
def test_whatever_is_raised_is_a_name_for_the_driver(station, monkeypatch, error):
    """The object would have to cross the pipe, and is of the method's making."""

    def run_watched(text, *, crumb, capture, shared):
        raise error

    monkeypatch.setattr(worker, "run_watched", run_watched)
    assert entry.enter("job") == ("", f"the worker failed with {type(error).__name__}", ())
    assert station == ["begin"]


def test_an_answer_comes_back_with_the_settings_that_changed(station, monkeypatch):
    """A worker that a job left changed is not used again."""
    monkeypatch.setattr(worker, "run_watched", lambda text, *, crumb, capture, shared: (text.upper(), ("threads",)))
    assert entry.enter("job") == ("JOB", "", ("threads",))


def test_a_worker_that_was_not_set_up_answers_too(monkeypatch):
    """Even before its breadcrumb exists."""
    monkeypatch.setattr(entry, "_station", [])
    assert entry.enter("job") == ("", "the worker failed with IndexError", ())


def test_what_a_job_left_running_is_ended_before_its_answer_is_sent(station, monkeypatch):
    """Only where there is something: one system call is all that an orderly job pays."""
    swept = []
    monkeypatch.setattr(worker, "run_watched", lambda text, *, crumb, capture, shared: (text, ()))
    monkeypatch.setattr(processes, "sweep", lambda: swept.append(1))
    entry.enter("job")
    assert swept == []
    monkeypatch.setattr(processes, "has_children", lambda: True)
    entry.enter("job")
    assert swept == [1]
