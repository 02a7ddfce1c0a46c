"""The worker turns whatever a method does into one outcome a case."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import struct
import sys
from pathlib import Path

import psutil
import pytest
import torch

from kexue_bench.api import Instance
from kexue_bench.lab import state
from kexue_bench.run.worker import run_job
from kexue_bench.store import codec


@pytest.fixture(autouse=True)
def settings_of_the_test_process():
    """The worker fixes threads and appends to the import path; put both back."""
    before = state.snapshot()
    yield
    state.restore(before)


def values(outcome):
    return {row.metric: row.value for row in outcome.measurements}


def resolve(chaos, *instances: Instance):
    answer = codec.unseal(run_job(codec.dumps({"kind": "resolve", "instances": list(instances), **chaos.common})))
    assert "chaos.methods" in answer.pop("sources")
    return answer


def test_what_a_task_records_is_what_comes_back(chaos):
    """An `ok` outcome carries the key, the attempt, the fingerprint and the recorded rows."""
    case = chaos.case("Fine", value=2.5)
    (outcome,) = chaos.outcomes(run_job(chaos.text(case, attempt=3, fingerprints={case.key: "f"})))
    assert (outcome.key, outcome.status, outcome.attempt, outcome.fingerprint) == (case.key, "ok", 3, "f")
    assert values(outcome)["score"] == 2.5
    assert outcome.phase == outcome.reason == outcome.trace == ""
    # Since this process has imported torch; psutil reads what it holds now, which is less.
    assert psutil.Process().memory_info().rss <= 1.02 * outcome.peak < 2**40


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("Raises", "failed", "RuntimeError: told to raise"),
        ("RaisesType", "failed", "TypeError: does not fit this task"),
        ("Hostile", "failed", "_HostileError: (its message cannot be read)"),
        ("Exits", "failed", "SystemExit: 5"),
        ("NoMemory", "out-of-memory", "MemoryError"),
        ("Needs", "unsupported", "ModuleNotFoundError: No module named 'a_package_that_nobody_has'"),
    ],
)
def test_an_exception_becomes_a_status_and_a_reason(chaos, name, status, reason):
    """Each kind of exception has its status; the reason is its type and message, the trace names the line."""
    (outcome,) = chaos.outcomes(run_job(chaos.text(chaos.case(name))))
    assert (outcome.status, outcome.phase, outcome.reason) == (status, "evaluate", reason)
    assert "chaos/methods.py" in outcome.trace


def test_torch_says_out_of_memory_in_words(chaos):
    """Torch's CPU allocator raises a RuntimeError; its text decides."""
    (outcome,) = chaos.outcomes(run_job(chaos.text(chaos.case("TorchMemory"))))
    assert outcome.status == "out-of-memory"


def test_an_interrupt_in_process_is_the_users(chaos):
    """Without a worker process around it, KeyboardInterrupt is no outcome."""
    with pytest.raises(KeyboardInterrupt):
        run_job(chaos.text(chaos.case("Interrupts")))


def test_rows_recorded_before_an_error_are_kept(chaos):
    """The draw was recorded before the method raised."""
    (outcome,) = chaos.outcomes(run_job(chaos.text(chaos.case("Raises"))))
    assert set(values(outcome)) == {"draw"}


def test_settings_that_a_method_changed_are_put_back_and_named(chaos):
    """The next case finds dtype, threads, folder, environment and import path as they were."""
    before = torch.get_default_dtype(), Path.cwd(), dict(os.environ), "/nowhere" in sys.path
    outcome, after = chaos.outcomes(run_job(chaos.text(chaos.case("Settings"), chaos.case("Fine"))))
    assert (torch.get_default_dtype(), Path.cwd(), dict(os.environ), "/nowhere" in sys.path) == before
    settings = ("default dtype", "threads", "working directory", "environment", "sys.path")
    assert outcome.state_leak == (*settings, "global generators")
    assert (after.state_leak, after.trace) == ((), "")


def test_handlers_masks_and_streams_are_put_back_too(chaos):
    """Signal handlers, the hook of uncaught exceptions, the file mask, the locale and the standard streams."""
    alarm, streams, hook = signal.getsignal(signal.SIGALRM), (sys.stdout, sys.stderr), sys.excepthook
    mask = os.umask(0o22)
    os.umask(mask)
    (outcome,) = chaos.outcomes(run_job(chaos.text(chaos.case("Handlers"))))
    assert outcome.state_leak == ("standard streams", "uncaught exceptions", "signal handlers", "file mask")
    assert (signal.getsignal(signal.SIGALRM), (sys.stdout, sys.stderr), sys.excepthook) == (alarm, streams, hook)
    assert os.umask(mask) == mask


def test_global_generators_depend_on_the_case_alone(chaos):
    """Stray draws from random, numpy and torch are the same whatever ran before in this process."""
    case = chaos.case("GlobalNoise")
    (alone,) = chaos.outcomes(run_job(chaos.text(case)))
    *_, after = chaos.outcomes(run_job(chaos.text(chaos.case("Settings"), chaos.case("Fine"), case)))
    assert values(alone) == values(after)


def test_methods_share_their_task_stream_and_replicates_do_not(chaos):
    """Common random numbers: the stream is named by task and replicate, never by the method."""
    same, other, next_one = (
        values(chaos.outcomes(run_job(chaos.text(case)))[0])["draw"]
        for case in (chaos.case("Fine"), chaos.case("Fine", value=3.0), chaos.case("Fine", replicate=1))
    )
    assert same == other != next_one


def test_a_detail_travels_with_its_outcome(chaos):
    """The row holds the digest of its text, which holds little-endian float64 in base64; the worker writes no file."""
    answer = run_job(chaos.text(chaos.case("Detail")))
    (outcome,), (text,) = chaos.outcomes(answer), codec.unseal(answer)["details"]
    assert hashlib.sha256(text.encode()).hexdigest() == outcome.details["curve"]
    document = json.loads(text)
    assert document["shape"] == [3]
    assert struct.unpack("<3d", base64.b64decode(document["data"])) == (1.0, 2.0, 0.5)


def test_what_cannot_be_written_is_invalid(chaos):
    """A recorded value that is no number spoils its own case only."""
    bad, good = chaos.outcomes(run_job(chaos.text(chaos.case("BadRow"), chaos.case("Fine"))))
    assert (bad.status, good.status) == ("invalid", "ok")


def test_a_plugin_file_is_imported_by_its_stem(chaos, tmp_path):
    """A `-p FILE.py` plugin is found by its targets although it is on no import path."""
    path = tmp_path / "lonely_plugin.py"
    path.write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Seven:\n    def run(self): return 7.0\n"
    )
    case = chaos.case("Fine")
    method = Instance(name="seven", target="lonely_plugin:Seven", label="seven")
    case = type(case)(**{**_fields(case), "method": method})
    (outcome,) = chaos.outcomes(run_job(chaos.text(case, plugins=[str(path)])))
    assert values(outcome)["score"] == 7.0


def test_what_a_declaration_holds_fast_reaches_the_constructor(chaos, tmp_path):
    """The class is built with its parameters and its fixed fields together, when it runs and when it is resolved."""
    path = tmp_path / "held_plugin.py"
    path.write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True, kw_only=True)\nclass Sum:\n    a: int\n    b: int\n"
        "    def run(self): return float(10 * self.a + self.b)\n"
    )
    case = chaos.case("Fine")
    method = Instance(name="sum", target="held_plugin:Sum", label="sum", params={"a": 1}, fixed={"b": 2})
    case = type(case)(**{**_fields(case), "method": method})
    (outcome,) = chaos.outcomes(run_job(chaos.text(case, plugins=[str(path)])))
    assert values(outcome)["score"] == 12.0
    assert resolve(chaos, method) == {"refused": [], "broken": []}


def test_a_broken_plugin_file_costs_only_its_own_cases(chaos, tmp_path):
    """The reason of its import error stands in the row of its method."""
    path = tmp_path / "broken_plugin.py"
    path.write_text("raise RuntimeError('broken on purpose')\n")
    case = chaos.case("Fine")
    method = Instance(name="x", target="broken_plugin:X", label="x")
    broken = type(case)(**{**_fields(case), "method": method})
    bad, good = chaos.outcomes(run_job(chaos.text(broken, case, plugins=[str(path)])))
    assert (bad.status, bad.phase, good.status) == ("failed", "build", "ok")
    assert "broken on purpose" in bad.reason


def test_a_plugin_file_is_loaded_by_its_own_cases_alone(chaos, tmp_path):
    """A file that changes the process as it is loaded does so after its neighbours, and the change is its leak."""
    path = tmp_path / "loud_plugin.py"
    path.write_text(
        "import torch\nfrom dataclasses import dataclass\ntorch.set_default_dtype(torch.float64)\n"
        "@dataclass(frozen=True)\nclass Loud:\n    def run(self): return 1.0\n"
    )
    case = chaos.case("GlobalNoise")
    loud = type(case)(**{**_fields(case), "method": Instance(name="loud", target="loud_plugin:Loud", label="loud")})
    (alone,) = chaos.outcomes(run_job(chaos.text(case)))
    before, guilty, after = chaos.outcomes(run_job(chaos.text(case, loud, case, plugins=[str(path)])))
    assert guilty.state_leak == ("default dtype",)
    assert [(o.state_leak, o.measurements) for o in (before, after)] == [
        (("global generators",), alone.measurements)
    ] * 2


def _fields(case):
    return {name: getattr(case, name) for name in case.__dataclass_fields__}


def test_resolve_tells_refusals_from_breakages(chaos):
    """A parameter that the constructor refuses is the user's error; a class that is not there is the plugin's."""
    answer = resolve(
        chaos,
        chaos.instance("Fine"),
        chaos.instance("Refuses", n=1),
        chaos.instance("Nobody"),
        chaos.instance("Refuses"),
    )
    (refused,) = answer["refused"]
    assert (refused["index"], refused["label"], refused["type"]) == (1, "Refuses", "ValueError")
    assert refused["message"] == "n must be >= 2, got 1; for a single draw use fine"
    (broken,) = answer["broken"]
    assert (broken["index"], broken["status"]) == (2, "failed")


def test_a_timing_group_shares_rounds_and_a_name(chaos):
    """All members have the same number of rounds and one group, which the attempt is part of."""
    cases = chaos.case("Fine", stage="time"), chaos.case("Fine", stage="time", value=2.0)
    first, second = chaos.outcomes(run_job(chaos.text(*cases)))
    (a, start), (b, _) = first.measurements, second.measurements
    assert (a.metric, a.unit, a.series.kind) == ("time", "s", "rounds")
    assert a.series.group == b.series.group
    assert len(a.series.values) == len(b.series.values) == 4
    assert (start.metric, start.unit) == ("first-call", "s")
    again, _ = chaos.outcomes(run_job(chaos.text(*cases, attempt=2)))
    assert again.measurements[0].series.group != a.series.group


def test_the_schedule_of_a_group_is_published(chaos):
    """One side file for the process: each round a permutation of the positions in the job; and what a sample was."""
    cases = [chaos.case("Fine", stage="time", value=float(value)) for value in range(3)]
    answer = run_job(chaos.text(*cases))
    outcomes, (text,) = chaos.outcomes(answer), codec.unseal(answer)["details"]
    assert {outcome.details["schedule"] for outcome in outcomes} == {hashlib.sha256(text.encode()).hexdigest()}
    document = json.loads(text)
    rounds = struct.unpack("<12d", base64.b64decode(document["data"]))
    assert document["shape"] == [4, 3]
    assert [sorted(rounds[3 * i : 3 * i + 3]) for i in range(4)] == [[0, 1, 2]] * 4
    assert all(o.cost["inner"] >= 1 and o.cost["sample"] > 0 and o.cost["preempted"] >= 0 for o in outcomes)


@pytest.mark.parametrize("name", ["Raises", "Exits", "RaisesOnBuild"])
def test_a_member_that_raises_costs_only_itself(chaos, name):
    """Whether it raises while it is built, while it is timed, or something that is no Exception."""
    cases = chaos.case("Fine", stage="time"), chaos.case(name, stage="time")
    good, bad = chaos.outcomes(run_job(chaos.text(*cases)))
    assert (good.status, bad.status) == ("ok", "failed")
    assert [row.metric for row in good.measurements] == ["time", "first-call"]
    assert bad.measurements == ()


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_a_setting_that_a_member_leaves_changed_is_its_own(chaos):
    """It is restored before the next turn, and the outcome of that member alone names it."""
    cases = [chaos.case(name, stage="time") for name in ("Fine", "Anomalous", "GlobalNoise")]
    outcomes = chaos.outcomes(run_job(chaos.text(*cases)))
    assert [outcome.state_leak for outcome in outcomes] == [(), ("anomaly mode",), ()]
    assert not torch.is_anomaly_enabled()
