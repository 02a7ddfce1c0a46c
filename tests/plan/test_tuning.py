"""Tuning: equal numbers of trials, the known optimum found, a choice that feeds evaluation, on streams of its own."""

from __future__ import annotations

import io
import json
import math
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from kexue_bench.analysis.comparison import read
from kexue_bench.api import Case, FamilySpec, Instance, Knob, MethodSpec, MetricSpec, Outcome, TaskSpec
from kexue_bench.catalog.plugins import PluginRecord
from kexue_bench.catalog.registry import Registry
from kexue_bench.errors import PluginError, UsageError
from kexue_bench.lab.context import Context
from kexue_bench.plan.plan import Request, build_plan
from kexue_bench.plan.tuning import edges, repetitions, spread
from kexue_bench.report.terminal import render
from kexue_bench.run.engines import Delivery
from kexue_bench.run.engines.local import LocalEngine
from kexue_bench.run.runner import run
from kexue_bench.run.worker import run_job
from kexue_bench.store.results import RunWriter, load_run

TARGETS = '''
from dataclasses import dataclass
import math
import torch
from kexue_bench.lab.problems import Sampling, Workload


@dataclass(frozen=True, kw_only=True)
class Shifted:
    """Quadratics in its field and in the learning rate, best at `best` and .1."""

    width: float = 1.0
    best: float = 4.0

    def loss(self, lr):
        return math.log(self.width / self.best) ** 2 + math.log(lr / 0.1) ** 2


@dataclass(frozen=True, kw_only=True)
class Plain:
    """Nothing of its own to turn; best at lr = .1."""

    def loss(self, lr):
        return (math.log(lr / 0.1)) ** 2


@dataclass(frozen=True, kw_only=True)
class Breaks:
    """Raises on part of its grid."""

    width: float = 1.0

    def loss(self, lr):
        if self.width > 1:
            raise ValueError("too wide")
        return self.width


@dataclass(frozen=True, kw_only=True)
class Dies(Breaks):
    """Raises everywhere."""

    width: float = 1.0

    def loss(self, lr):
        raise RuntimeError("no width fits")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Minus the method's loss, with a number of each stream seen."""

    lr: float = 0.01

    def score(self, method, ctx):
        ctx.noise("init").uniform(1)
        return -method.loss(self.lr)

    def evaluate(self, method, ctx):
        ctx.record("loss", method.loss(self.lr) + float(ctx.noise("noise").uniform(1)) * 1e-9)

    def workload(self, method, ctx):
        return Workload(call=lambda: None)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A draw N(1, 1) times `scale`: mse = scale^2 + (scale - 1)^2, at its smallest at scale = 1/2."""

    scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The mean of a Gaussian, truth 1."""

    def problem(self, method, ctx):
        def draw(noise, n):
            ctx.counter.add(evaluations=n)
            return method.scale * (1 + noise.normal(n, 1))

        return Sampling(draw=draw, truth=torch.ones(1, dtype=torch.float64), batch=64)
'''
GRID = (0.25, 1.0, 4.0, 16.0)


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A toy family whose optima are known."""
    folder = tmp_path / "targets"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    (folder / "tune_targets.py").write_text(TARGETS)

    def method(name, target, *knobs):
        return MethodSpec(name=name, family="toy", target=f"tune_targets:{target}", summary="", knobs=knobs)

    width = Knob(field="width", grid=GRID)
    specs = {
        FamilySpec: (
            FamilySpec(
                name="toy", title="toy", summary="", contract="", precision_metric="mse", baseline="shifted",
                headline=("loss", "mse"), work="evaluations",
            ),
        ),
        MethodSpec: (
            method("shifted", "Shifted", width),
            method("plain", "Plain"),
            method("breaks", "Breaks", width),
            method("dies", "Dies", width),
            method("scale", "Scale", Knob(field="scale", grid=(0.25, 0.5, 1.0))),
        ),
        TaskSpec: (
            TaskSpec(
                name="scored", family="toy", target="tune_targets:Scored", summary="", version=1, kind="record",
                primary="loss",
                knobs=(Knob(field="lr", grid=(0.01, 0.1)),), replicates={"quick": 3},
            ),
            TaskSpec(
                name="sample", family="toy", target="tune_targets:Sample", summary="", version=1,
                budgets={"quick": 2**14}, dtype="float64",
            ),
        ),
        MetricSpec: (MetricSpec(name="loss", scale="linear"),),
    }  # fmt: skip
    return Registry([PluginRecord(name="p", origin="p", specs=specs)])


class Inline:
    """An engine in this process; `dies` names the methods whose tuning a process does not survive."""

    capacity = 1

    def __init__(self, *, dies: frozenset[str] = frozenset()) -> None:
        self.dies = dies
        self.seen: list[tuple[str, str]] = []

    def start(self) -> None:
        """Nothing to start."""

    def submit(self, text, *, limit, members=1, exclusive=False) -> Future[Delivery]:
        future: Future[Delivery] = Future()
        request = json.loads(text)
        delivery = None
        if request["kind"] == "run":
            case = request["job"]["cases"][0]
            self.seen.append((case["stage"], case["method"]["label"]))
            if case["stage"] == "tune" and case["method"]["name"] in self.dies:
                delivery = Delivery(status="crashed", reason="SIGSEGV")
        future.set_result(delivery or Delivery(status="ok", text=run_job(text)))
        return future

    def stop(self) -> None:
        """Nothing to stop."""


def request(*methods, task="scored", tune=4, stages=("evaluate",), **more):
    return Request(methods=methods, tasks=(task,), tune=tune, stages=stages, **more)


def execute(plan, root: Path, engine=None, previous=None):
    with RunWriter.create(root, name="toy", plan=plan, environment={}) as writer:
        run(plan, engine=engine or Inline(), open_writer=lambda: writer, previous=previous, carry=bool(previous))
    return load_run(writer.path)


def tunings(finished):
    return {case.method.name: finished.outcomes[case.key] for case in finished.plan.cases if case.stage == "tune"}


# -- which points -----------------------------------------------------------------------------------------------------


@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    trials=st.integers(1, 30),
    start=st.integers(0, 6),
)
def test_exactly_as_many_trials_as_asked_for_and_no_point_twice_before_all_were_tried(sizes, trials, start):
    """Equal budgets: the number of trials is K for every grid; points repeat only when the grid is used up."""
    grids = {f"k{i}": tuple(range(size)) for i, size in enumerate(sizes)}
    points = spread(grids, trials, first=dict.fromkeys(grids, start))
    assert len(points) == trials
    assert len({tuple(p.values()) for p in points}) == min(trials, math.prod(sizes))
    assert max(repetitions(points)) == (trials - 1) // math.prod(sizes)
    assert points[0] == dict.fromkeys(grids, start) or any(start >= size for size in sizes)


def test_few_trials_spread_over_a_long_axis():
    """Four of twelve values leave no gap of half the axis (a plain prefix of the grid would)."""
    found = sorted(p["k"] for p in spread({"k": tuple(range(12))}, 4, first={"k": 0}))
    assert max(b - a for a, b in zip([0, *found], [*found, 11], strict=True)) < 6


def test_the_edge_is_that_of_what_was_tried():
    """The largest value tried is an edge although the grid goes on; a knob tried at one value has none."""
    trials = ({"a": 1.0, "b": 2}, {"a": 2.0, "b": 2}, {"a": 3.0, "b": 2})
    assert edges(trials, {"a": 3.0, "b": 2}) == ("a",)
    assert edges(trials, {"a": 2.0, "b": 2}) == ()


# -- the plan ---------------------------------------------------------------------------------------------------------


def test_every_method_gets_the_same_number_of_trials(registry):
    """With or without knobs of its own: K = 5, over widths and learning rates, or over the learning rates alone."""
    plan = build_plan(request("shifted", "plain", "breaks", tune=5), registry)
    found = {c.method.name: json.loads(str(c.options["points"])) for c in plan.cases if c.stage == "tune"}
    assert {name: len(points) for name, points in found.items()} == {"shifted": 5, "plain": 5, "breaks": 5}
    assert set(found["shifted"][0]) == {"width", "task.lr"}
    assert set(found["plain"][0]) == {"task.lr"}


def test_sampling_trials_draw_equally_much_and_together_no_more_than_an_evaluation(registry):
    """Budget 2^14 over eight trials."""
    plan = build_plan(request("scale", task="sample", tune=8), registry)
    (case,) = (c for c in plan.cases if c.stage == "tune" and c.method.name == "scale")
    assert case.options["budget"] == 2**14 // 8
    assert "precision" not in case.options


def test_without_tuning_nothing_changes(registry):
    """Keys of untuned cases are the same with and without `--tune`, and none is tuned without it."""
    off = build_plan(request("shifted", tune=0), registry)
    on = build_plan(request("shifted"), registry)
    assert {c.stage for c in off.cases} == {"evaluate"}
    assert set(off.by_key) < set(on.by_key)


def test_the_key_of_a_tuned_case_names_the_search_and_not_its_result(registry):
    """Another K is another search; the same search is one case for two selectors that start it elsewhere."""
    four, five = (build_plan(request("shifted", tune=k), registry) for k in (4, 5))
    tuned = [{c.key for c in plan.cases if "tuned" in c.options} for plan in (four, five)]
    assert tuned[0].isdisjoint(tuned[1])
    both = build_plan(request("shifted[width=[1,4]]"), registry)
    assert [c.method.label for c in both.cases if c.stage == "tune"] == ["shifted (tuned)"]


def test_what_cannot_be_tuned_is_refused_or_left_out(registry):
    """`--stage tune` needs a number, a knob needs a numeric field, one without any has no tuned row."""
    with pytest.raises(UsageError, match="--tune"):
        build_plan(request("shifted", tune=0, stages=("tune",)), registry)
    key = ("toy", "shifted")
    registry.methods[key] = replace(registry.methods[key], knobs=(Knob(field="with", grid=(1.0,)),))
    with pytest.raises(PluginError, match="no such field"):
        build_plan(request("shifted"), registry)
    plan = build_plan(request("plain", task="sample", baseline="plain"), registry)
    assert not any(c.stage == "tune" for c in plan.cases)


# -- what it finds ----------------------------------------------------------------------------------------------------


def test_the_known_optimum_is_chosen_and_evaluation_runs_there(registry, tmp_path):
    """Best width 4 of (1/4, 1, 4, 16), best lr .1 of two for both; the untuned rows stay what they were."""
    finished = execute(build_plan(request("shifted", "plain", tune=8), registry), tmp_path)
    chosen = {name: dict(outcome.chosen) for name, outcome in tunings(finished).items()}
    assert chosen == {"shifted": {"width": 4.0, "task.lr": 0.1}, "plain": {"task.lr": 0.1}}
    losses = {}
    for case in finished.plan.cases:
        if case.stage == "evaluate":
            outcome = finished.outcomes[case.key]
            losses.setdefault(case.method.label, []).append(outcome.measurements[0].value)
            assert bool(outcome.chosen) == ("tuned" in case.options)
    assert {label: len(values) for label, values in losses.items()} == dict.fromkeys(losses, 3)
    means = {label: sum(values) / 3 for label, values in losses.items()}
    assert means["shifted (tuned)"] == pytest.approx(0, abs=1e-8)
    assert means["plain (tuned)"] == pytest.approx(0, abs=1e-8)
    assert means["shifted"] == pytest.approx(math.log(4) ** 2 + math.log(10) ** 2, abs=1e-8)
    assert means["plain"] == pytest.approx(math.log(10) ** 2, abs=1e-8)


def test_a_trial_is_a_row_and_the_choice_is_flagged(registry, tmp_path):
    """Scores of all K trials are stored with their point; the chosen one and its edge are flagged."""
    finished = execute(build_plan(request("plain", tune=3), registry), tmp_path)
    rows = tunings(finished)["plain"].measurements
    assert [(row.labels["trial"], row.labels["task.lr"]) for row in rows] == [
        ("0", "0.01"),
        ("1", "0.1"),
        ("2", "0.01"),
    ]
    assert [row.value for row in rows] == pytest.approx([-(math.log(10) ** 2), 0, -(math.log(10) ** 2)])
    assert [row.flags for row in rows] == [frozenset(), frozenset({"chosen", "edge-task.lr"}), frozenset()]


def test_a_sampling_method_is_tuned_by_its_mse_times_work(registry, tmp_path):
    """`scale^2 + (scale - 1)^2` is smallest at 1/2, where it is 1/2."""
    finished = execute(build_plan(request("scale", task="sample", tune=3), registry), tmp_path)
    outcome = tunings(finished)["scale"]
    assert dict(outcome.chosen) == {"scale": 0.5}
    scores = {row.labels["scale"]: row.value for row in outcome.measurements}
    assert scores["0.5"] == pytest.approx(-0.5, rel=0.1)
    assert scores["1.0"] == pytest.approx(-1.0, rel=0.1)


def test_a_failed_trial_costs_its_own_point_only(registry, tmp_path):
    """Widths above 1 raise; of the others the smaller is better, at either learning rate: the first tried stands."""
    finished = execute(build_plan(request("breaks", tune=8), registry), tmp_path)
    outcome = tunings(finished)["breaks"]
    assert outcome.chosen["width"] == 0.25
    assert [row.value is None for row in outcome.measurements].count(True) == 4
    first = next(row for row in outcome.measurements if row.labels["width"] == "0.25")
    assert "chosen" in first.flags


@pytest.mark.parametrize(("name", "status", "reason"), [("dies", "failed", "show"), ("shifted", "crashed", "show")])
def test_without_a_choice_the_tuned_cases_end_as_their_tuning_did(registry, tmp_path, name, status, reason):
    """Whether every trial raised or the process died; the untuned rows are not touched."""
    plan = build_plan(request(name, "plain"), registry)
    finished = execute(plan, tmp_path, Inline(dies=frozenset({"shifted"})))
    ends = {case.key: finished.outcomes[case.key] for case in plan.cases if case.method.name == name}
    tuned = [ends[c.key] for c in plan.cases if c.key in ends and "tuned" in c.options]
    assert tunings(finished)[name].status == status
    assert {(o.status, o.phase) for o in tuned} == {(status, "tune")}
    assert all(reason in o.reason for o in tuned)
    assert {finished.outcomes[c.key].status for c in plan.cases if c.method.label == "plain (tuned)"} == {"ok"}


def test_tuning_uses_streams_that_evaluation_does_not(registry, tmp_path):
    """The trial's first `init` number differs from evaluation's, and is the same for every method and point."""
    case = Case(family="toy", task=Instance(name="t", target="a:b"), task_version=1,
                method=Instance(name="m", target="a:b"), stage="tune")  # fmt: skip
    evaluated = Context(replace(case, stage="evaluate")).noise("init").uniform(4)
    tuned = Context(case, seed_path=("tune[0]",)).noise("init").uniform(4)
    other = Context(replace(case, method=Instance(name="n", target="a:b")), seed_path=("tune[0]",))
    assert not (evaluated == tuned).any()
    assert (other.noise("init").uniform(4) == tuned).all()


# -- scheduling -------------------------------------------------------------------------------------------------------


def test_a_tuned_case_runs_after_its_tuning(registry, tmp_path):
    """Every tuning comes before the evaluations that use it."""
    engine = Inline()
    execute(build_plan(request("shifted", "plain", stages=("evaluate", "time")), registry), tmp_path, engine)
    for label in ("shifted (tuned)", "plain (tuned)"):
        stages = [stage for stage, name in engine.seen if name == label]
        assert stages[0] == "tune"
        assert set(stages[1:]) == {"evaluate"}


def test_a_resume_replays_a_tuning_and_feeds_its_choice(registry, tmp_path):
    """With the tuning known and the evaluations not, only the evaluations run, at the stored choice."""
    plan = build_plan(request("shifted"), registry)
    whole = execute(plan, tmp_path)
    known = {c.key: whole.outcomes[c.key] for c in plan.cases if c.stage == "tune"}
    engine = Inline()
    again = execute(plan, tmp_path, engine, previous=known)
    assert "tune" not in {stage for stage, _ in engine.seen}
    assert {key: o.measurements for key, o in again.outcomes.items()} == {
        key: o.measurements for key, o in whole.outcomes.items()
    }


def test_outcomes_do_not_depend_on_the_number_of_workers(registry, tmp_path):
    """One and two processes give the same rows and choices, bit for bit."""
    plan = build_plan(request("shifted", "plain"), registry)
    found = []
    for workers in (1, 2):
        with (
            LocalEngine(workers=workers, isolation="worker", threads=1, preload=()) as engine,
            RunWriter.create(tmp_path, name="toy", plan=plan, environment={}) as writer,
        ):
            run(plan, engine=engine, open_writer=lambda w=writer: w, sys_path=[str(tmp_path / "targets")])
        found.append(
            {k: (o.status, o.reason, o.measurements, o.chosen) for k, o in load_run(writer.path).outcomes.items()}
        )
    assert found[0] == found[1]
    assert {ends[:2] for ends in found[0].values()} == {("ok", "")}


# -- the report -------------------------------------------------------------------------------------------------------


def test_both_rows_are_shown_and_the_edge_is_reported(registry, tmp_path):
    """`method` and `method (tuned)` with the choice below the table; ratios refer to the untuned baseline."""
    finished = execute(build_plan(request("shifted", "plain", tune=8), registry), tmp_path)
    tabulation = read([finished], metrics=registry.metrics, families=registry.families, tasks=registry.tasks)
    (table,) = tabulation.tables
    rows = {row.label: row for row in table.rows}
    assert set(rows) == {"shifted", "shifted (tuned)", "plain", "plain (tuned)"}
    assert table.baseline == "shifted"
    assert dict(rows["shifted (tuned)"].method.params)["width"] == 4.0
    assert dict(rows["shifted"].method.params)["width"] == 1.0
    assert rows["plain (tuned)"].edges == ("task.lr",)
    console = Console(width=120, file=io.StringIO())
    console.print(render(tabulation, width=120))
    text = console.file.getvalue()
    assert "shifted (tuned): width=4, task.lr=0.1 (edge of what was tried), best of 8 trials" in text
    assert "plain (tuned): task.lr=0.1 (edge of what was tried), best of 8 trials" in text


def test_the_frame_tells_tuned_rows_apart(registry, tmp_path):
    """Their method parameters are those they ran with."""
    frame = execute(build_plan(request("shifted", tune=8), registry), tmp_path).to_frame()
    params = frame[(frame["stage"] == "evaluate") & (frame["metric"] == "loss")]["method_params"].unique()
    assert {json.loads(text).get("tuned"): json.loads(text)["width"] for text in params} == {None: 1.0, True: 4.0}


def test_an_outcome_with_a_choice_survives_the_journal(registry, tmp_path):
    """Values keep their types."""
    finished = execute(build_plan(request("shifted", tune=8), registry), tmp_path)
    assert isinstance(tunings(finished)["shifted"], Outcome)
    assert tunings(finished)["shifted"].chosen == {"width": 4.0, "task.lr": 0.1}
