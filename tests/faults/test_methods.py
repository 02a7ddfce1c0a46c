"""Methods that misbehave among methods that do not: the guilty one has its row, and nobody else notices."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from kexue_bench.api import Case, Instance, Job, Outcome, Plan
from kexue_bench.run.engines import processes
from kexue_bench.run.engines.local import LocalEngine
from kexue_bench.run.runner import run
from kexue_bench.store.results import RunWriter, load_run

PLUGINS = Path(__file__).parents[1] / "plugins"
PRELOAD = ("kexue_bench.run.worker", "kexue_bench.lab.stages", "kexue_bench.lab.training")
LIMIT = 5.0
"""Seconds for each case: enough for an innocent one on a machine that others use."""
OVERSHOOT = 2.0
"""Seconds past its limit within which a job ends on such a machine."""
MEMORY = 700_000_000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts processes as Linux does")


def case_of(name: str, *, replicate: int = 0, **params) -> Case:
    """A method of the misbehaving plugin on its task."""
    return Case(
        family="chaos",
        task=Instance(name="run", target="chaos.tasks:Run", label="run"),
        task_version=1,
        method=Instance(name=name.lower(), target=f"chaos.methods:{name}", label=name, params=params),
        stage="evaluate",
        replicates=(replicate,),
    )


BYSTANDERS = tuple(case_of("GlobalNoise", replicate=i) for i in range(3))


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run with guilty cases left behind."""

    outcomes: dict[str, Outcome]
    lost: int
    unaccounted: int
    seconds: float


@pytest.fixture(scope="module")
def engine():
    """Two fresh processes at once, of little memory."""
    with LocalEngine(workers=2, memory_limit=MEMORY, preload=PRELOAD) as engine:
        yield engine


@pytest.fixture
def go(engine, tmp_path):
    """Run cases into a folder, and read the folder again."""

    def go(cases, *, of=engine, limit=LIMIT) -> Result:
        plan = Plan(jobs=tuple(Job(cases=(case,)) for case in cases))
        begun = time.monotonic()
        writers = []

        def open_writer() -> RunWriter:
            writers.append(RunWriter.create(tmp_path, name="faults", plan=plan, environment={}))
            return writers[-1]

        told = run(plan, engine=of, open_writer=open_writer, timeout=limit, sys_path=[str(PLUGINS)])
        seconds = time.monotonic() - begun
        writers[-1].close()
        stored = load_run(writers[-1].path)
        lost = sum(stored.outcomes.get(key) != outcome for key, outcome in told.items())
        return Result(
            outcomes=dict(stored.outcomes),
            lost=lost,
            unaccounted=len(plan.cases) - len(stored.outcomes),
            seconds=seconds,
        )

    return go


@pytest.fixture(scope="module")
def golden(engine, tmp_path_factory):
    """What the bystanders measure where nobody misbehaves."""
    plan = Plan(jobs=tuple(Job(cases=(case,)) for case in BYSTANDERS))
    folder = tmp_path_factory.mktemp("golden")
    with RunWriter.create(folder, name="golden", plan=plan, environment={}) as writer:
        run(plan, engine=engine, open_writer=lambda: writer, timeout=20, sys_path=[str(PLUGINS)])
        return {key: (o.status, o.measurements) for key, o in load_run(writer.path).outcomes.items()}


def orphans(seconds: float = 5.0) -> int:
    """Processes below the fork server that are neither it nor one of the two or three idle workers, after a while."""
    end = time.monotonic() + seconds
    while True:
        strangers = [p for p in processes.descendants() if _stranger(p)]
        if not strangers or time.monotonic() > end:
            return len(strangers)
        time.sleep(0.05)


def _stranger(process: psutil.Process) -> bool:
    """Whether a process lives and is none of the harness's; one that ends meanwhile is not."""
    try:
        command = " ".join(process.cmdline())
        return process.name() != "sh" and "multiprocessing" not in command and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


FAULTS = [
    ("P1", "Raises", {}, "failed"),
    ("P2", "Hostile", {}, "failed"),
    ("P3", "Exits", {}, "failed"),
    ("P3", "Interrupts", {}, "failed"),
    ("P3", "LeavesGenerator", {}, "failed"),
    ("P4", "Quits", {"code": 0}, "crashed"),
    ("P4", "Quits", {"code": 7}, "crashed"),
    ("P5", "Segfaults", {}, "crashed"),
    ("P5", "Aborts", {}, "crashed"),
    *(("P5", "Signals", {"number": number}, "crashed") for number in (4, 7, 8)),
    ("P6", "Recurses", {}, "failed"),
    ("P7", "Sleeps", {}, "timeout"),
    ("P8", "Spins", {}, "timeout"),
    ("P9", "Stubborn", {}, "timeout"),
    ("P10", "Chatty", {}, "timeout"),
    ("P12", "Lingers", {}, "ok"),
    ("P13", "HangsAtExit", {}, "ok"),
    ("P13", "DiesAtExit", {}, "ok"),
    ("P15", "Bomb", {}, "out-of-memory"),
    ("P15", "Hoards", {}, "out-of-memory"),
    ("P17", "Descriptors", {}, "failed"),
    ("P18", "Prints", {"size": 20_000_000}, "ok"),
    ("P19", "Closes", {}, None),
    ("P20", "Forges", {}, None),
    ("P22", "WrongType", {}, "failed"),
    ("P24", "HostileNumber", {}, "failed"),
    ("P25", "Settings", {}, "ok"),
    ("P28", "Handlers", {}, "ok"),
    ("W1", "Signals", {"number": 9}, "crashed"),
    ("W11", "Signals", {"number": 19}, "timeout"),
]


@pytest.mark.parametrize(("fault", "name", "params", "status"), FAULTS, ids=[f"{f[0]}-{f[1]}" for f in FAULTS])
def test_a_bad_method_harms_itself_alone(go, golden, book, fault, name, params, status):
    """Its row says what happened; three neighbours that draw stray random numbers have the bits they always have.

    A status of None: whatever the process makes of it, the driver goes on and never takes a forged answer.
    """
    guilty = case_of(name, **params)
    found = go((BYSTANDERS[0], guilty, *BYSTANDERS[1:]), limit=LIMIT if status == "timeout" else 30)
    outcome = found.outcomes[guilty.key]
    assert status is None or outcome.status == status, outcome
    assert len(outcome.trace) < 10_000
    if outcome.status == "timeout":
        assert LIMIT <= outcome.seconds < LIMIT + 3
    collateral = sum((o.status, o.measurements) != golden[k] for k, o in found.outcomes.items() if k in golden)
    book.add(
        fault,
        lost=found.lost,
        collateral=collateral,
        unaccounted=found.unaccounted,
        orphans=orphans(),
        detect=max(outcome.seconds - (LIMIT if outcome.status == "timeout" else 0), 0),
    )


def test_what_is_not_finite_is_never_a_score(go):
    """NaN is stored as a value that does not exist, which no comparison ranks."""
    case = case_of("NotFinite")
    outcome = go([case], limit=30).outcomes[case.key]
    assert [m.value for m in outcome.measurements if m.metric == "score"] == [None]


def test_a_crowd_with_five_guilty_costs_five_rows(go, golden, book):
    """200 cases: a segfault, a hang, a hang that blocks every signal, an allocation far too large, an exit with code 0.

    Exactly five rows fail, the limit is kept (within 5 % where the machine has time for the driver), and nothing lives
    on.
    """
    limit = 8.0
    guilty = {
        case_of("Segfaults").key: "crashed",
        case_of("Sleeps").key: "timeout",
        case_of("Stubborn").key: "timeout",
        case_of("Hoards").key: "out-of-memory",
        case_of("Quits").key: "crashed",
    }
    bad = [case_of(name) for name in ("Segfaults", "Sleeps", "Stubborn", "Hoards", "Quits")]
    good = [case_of("Fine", replicate=i) for i in range(192)] + list(BYSTANDERS)
    cases = good[:]
    for i, case in enumerate(bad):
        cases.insert(20 + 35 * i, case)
    found = go(cases, limit=limit)
    failed = {key: o.status for key, o in found.outcomes.items() if o.status != "ok"}
    assert failed == guilty
    hangs = [found.outcomes[case.key].seconds for case in bad[1:3]]
    assert min(hangs) >= limit
    assert min(hangs) <= limit * 1.05
    assert max(hangs) <= limit + OVERSHOOT
    collateral = sum((o.status, o.measurements) != golden[k] for k, o in found.outcomes.items() if k in golden)
    book.add(
        "P9",
        trials=200,
        lost=found.lost,
        collateral=collateral,
        unaccounted=found.unaccounted,
        orphans=orphans(),
        detect=max(hangs) - limit,
    )


def test_a_timing_group_loses_the_guilty_alone(engine, tmp_path, book):
    """A thread ends the process 0.3 s after its method was first called, in whoever's turn.

    The three rivals are timed in common rounds; nothing else of theirs differs.
    """
    options = {"rounds": 60, "sample": 2e-3}
    names = {"Fine": {}, "QuitsLater": {}, "Process": {}, "GlobalNoise": {}}
    cases = [replace(case_of(name, **params), stage="time", options=options) for name, params in names.items()]
    plan = Plan(jobs=(Job(cases=tuple(cases), exclusive=True),))
    with RunWriter.create(tmp_path, name="faults", plan=plan, environment={}) as writer:
        out = run(plan, engine=engine, open_writer=lambda: writer, timeout=30, sys_path=[str(PLUGINS)])
    rivals = [out[case.key] for case in cases if case.method.label != "QuitsLater"]
    assert out[cases[1].key].status == "crashed"
    assert len({outcome.measurements[0].series.group for outcome in rivals}) == 1
    book.add("P39", collateral=sum(outcome.status != "ok" for outcome in rivals), unaccounted=4 - len(out))


def test_the_end_of_the_process_that_makes_workers_costs_one_row(go, golden, book):
    """A method kills the fork server while others run: they are run again, and it alone is blamed."""
    with LocalEngine(workers=2, preload=PRELOAD) as engine:
        found = go([BYSTANDERS[0], case_of("KillsServer"), *BYSTANDERS[1:]], of=engine, limit=20)
    guilty = found.outcomes[case_of("KillsServer").key]
    assert (guilty.status, guilty.reason) == ("crashed", "ended the process that makes workers")
    collateral = sum((o.status, o.measurements) != golden[k] for k, o in found.outcomes.items() if k in golden)
    book.add("W16", lost=found.lost, collateral=collateral, unaccounted=found.unaccounted, orphans=orphans())
