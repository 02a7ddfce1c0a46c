"""plan: every planned cell has its case, identity is content, and order never matters."""

import importlib.util
from collections import Counter

import pytest

from kexue_bench.api import Claimed, FamilySpec, MethodSpec, TaskSpec
from kexue_bench.catalog.plugins import PluginRecord
from kexue_bench.catalog.registry import Registry
from kexue_bench.errors import UnknownNameError, UsageError
from kexue_bench.plan.plan import PROCESSES, ROUNDS, Request, build_plan


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Two families: `toy` with a sampling and a trained task, `other` with one of each."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "plan_targets.py").write_text("class M:\n    n: int = 2\nclass T:\n    d: float = 1.0\n")

    def method(name, family="toy", **more):
        return MethodSpec(name=name, family=family, target="plan_targets:M", summary="", **more)

    def task(name, family="toy", **more):
        return TaskSpec(name=name, family=family, target="plan_targets:T", summary="", version=1, **more)

    def family(name, baseline):
        return FamilySpec(
            name=name,
            title=name,
            summary="",
            contract="",
            precision_metric="mse",
            baseline=baseline,
            headline=("mse",),
            work="evaluations",
        )

    specs = {}
    specs[FamilySpec] = (family("toy", "base"), family("other", "mine"))
    specs[MethodSpec] = (
        method("base"),
        method("good", variants=("good", "good[n=4]")),
        method("picky", needs=frozenset({"gradient"})),
        method("exact", claims=(Claimed(name="deterministic"),)),
        method("mine", family="other"),
        method("foreign", requires="no_such_package", install="pip install it"),
    )
    specs[TaskSpec] = (
        task(
            "sample", suites={"quick": ("sample", "sample[d=2]")}, budgets={"quick": 1000}, timed=frozenset({"quick"})
        ),
        task("train", suites={"quick": ("train",)}, replicates={"quick": 7}, stack=5, timed=frozenset()),
        task(
            "dear",
            suites={"full": ("dear",), "standard": ("dear",)},
            methods={"standard": ("good[n=8]", "picky")},
            budgets={"full": 10, "standard": 10},
            timed=frozenset(),
        ),
        task(
            "choosy",
            offers=frozenset({"gradient"}),
            methods={"standard": "fitting", "full": "good[n=8]"},
            timed=frozenset(),
            budgets={"full": 10, "standard": 10},
        ),
        task(
            "plain",
            methods={"standard": "fitting", "full": ("good[n=8]", "fitting")},
            timed=frozenset(),
            budgets={"standard": 10, "full": 10},
        ),
        task("own", baseline="good[n=4]", timed=frozenset(), budgets={"full": 10}),
        task("lost", suites={"full": ("lost",)}, methods={"standard": ("godo",)}, timed=frozenset()),
        task("elsewhere", family="other", suites={"quick": ("elsewhere",)}, budgets={"quick": 10}, timed=frozenset()),
    )
    return Registry([PluginRecord(name="p", origin="p", specs=specs)])


def test_every_cell_is_planned_in_every_stage(registry):
    """(method, stage) counts: 5 instances on 2 sampling tasks and a trained one in two blocks, 5 processes each."""
    plan = build_plan(Request(families=("toy",)), registry)
    counts = Counter((case.method.label, case.stage) for case in plan.cases)
    processes = PROCESSES["quick"]
    for label in ("good", "good[n=4]", "picky", "exact"):
        assert counts[label, "evaluate"] == 2 + 2
        assert counts[label, "time"] == 2 * processes
    assert counts["base", "time"] == 2 * 2 * processes  # its A/A copy stands in every group
    assert len(plan.by_key) == len(plan.cases)


def _labels(registry, **request):
    plan = build_plan(Request(tasks=("dear",), stages=("evaluate",), **request), registry)
    return {case.method.label for case in plan.cases}


def test_a_dear_task_runs_its_own_methods_in_a_suite(registry):
    """Those that it lists for the suite, with the family's baseline; in a suite that it does not list, every method."""
    assert _labels(registry, suite="standard") == {"base", "good[n=8]", "picky"}
    assert _labels(registry, suite="full") == {"base", "good", "good[n=4]", "picky", "exact"}


def test_a_task_may_run_every_method_that_fits_it(registry):
    """Those whose needs it meets, in order and with their variants, the baseline first; none that is not installed."""
    third = MethodSpec(name="third", family="toy", target="plan_targets:M", summary="", needs="gradient")
    more = Registry([*registry.records, PluginRecord(name="q", origin="q", specs={MethodSpec: (third,)})])
    for task, baseline, expected in (
        ("choosy", "", ["base", "good", "good[n=4]", "picky", "exact", "third"]),
        ("plain", "", ["base", "good", "good[n=4]", "exact"]),
        ("plain", "exact", ["exact", "base", "good", "good[n=4]"]),
    ):
        plan = build_plan(Request(tasks=(task,), suite="standard", stages=("evaluate",), baseline=baseline), more)
        assert [case.method.label for case in plan.cases] == expected
        assert plan.settled == ()


def test_a_task_may_list_one_method_as_a_plain_string(registry):
    """A selector, not its characters."""
    plan = build_plan(Request(tasks=("choosy",), suite="full", stages=("evaluate",)), registry)
    assert [case.method.label for case in plan.cases] == ["base", "good[n=8]"]


def test_a_list_of_methods_may_hold_every_one_that_fits(registry):
    """Further instances of some of them stand beside it, in the order of the list."""
    plan = build_plan(Request(tasks=("plain",), suite="full", stages=("evaluate",)), registry)
    assert [case.method.label for case in plan.cases] == ["base", "good[n=8]", "good", "good[n=4]", "exact"]


def test_methods_that_the_user_names_run_on_a_dear_task(registry):
    """What a task lists is for suites only."""
    assert _labels(registry, suite="standard", methods=("exact",)) == {"base", "exact"}


def test_a_task_that_lists_an_unknown_method_is_refused(registry):
    """A misspelt name in a plugin does not silently run nothing."""
    with pytest.raises(UnknownNameError, match="did you mean good"):
        build_plan(Request(tasks=("lost",), suite="standard"), registry)


def test_what_a_task_does_not_offer_is_unsupported_in_every_stage(registry):
    """An outcome for each planned case, with the missing word in its reason."""
    plan = build_plan(Request(families=("toy",), methods=("picky",)), registry)
    outcomes = {case.stage: outcome for case, outcome in zip(plan.settled_cases, plan.settled, strict=True)}
    assert {outcome.status for outcome in outcomes.values()} == {"unsupported"}
    assert "gradient" in outcomes["evaluate"].reason
    assert "time" in outcomes


def test_replicates_are_stacked_in_blocks(registry):
    """Seven seeds of a task that stacks five make blocks of five and two."""
    plan = build_plan(Request(tasks=("train",), methods=("base",), stages=("evaluate",)), registry)
    assert sorted(case.replicates for case in plan.cases) == [(0, 1, 2, 3, 4), (5, 6)]


def test_a_left_out_baseline_is_added_and_marked(registry):
    """Ratios need it."""
    plan = build_plan(Request(methods=("good",), tasks=("sample",)), registry)
    assert plan.added == ("base",)
    assert plan.baselines["toy"].name == "base"
    assert set(plan.baselines) == {"toy"}


def test_a_task_may_name_its_own_baseline(registry):
    """It is added and timed twice where the family's would be; what the user names goes before both."""

    def twice(**more):
        plan = build_plan(Request(tasks=("own",), methods=("exact",), suite="full", **more), registry)
        return plan.added, {case.method.label for case in plan.cases if case.copy == 1}

    assert twice() == (("good[n=4]",), {"good[n=4]"})
    assert twice(baseline="good") == (("good",), {"good"})


def test_keys_do_not_depend_on_order_or_labels(registry):
    """`-m a -m b[n=2]` and `-m b -m a` are the same cases."""
    one = build_plan(Request(methods=("base", "good[n=2]"), tasks=("sample",)), registry)
    two = build_plan(Request(methods=("good", "base"), tasks=("sample[d=1]",)), registry)
    assert set(one.by_key) == set(two.by_key)


def test_a_key_holds_only_the_options_of_its_stage(registry):
    """Asking for another precision reruns evaluation and leaves timing alone."""
    one = build_plan(Request(methods=("base",), tasks=("sample",)), registry)
    two = build_plan(Request(methods=("base",), tasks=("sample",), precision=0.01), registry)
    shared = set(one.by_key) & set(two.by_key)
    assert {one.by_key[key].stage for key in shared} == {"time"}
    assert len(shared) == 2 * PROCESSES["quick"]


def test_rigorous_timing_has_twice_the_processes_and_rounds(registry):
    """Twice the suite's figures; a number of processes that the user gives stands; evaluation is not touched."""
    request = {"methods": ("base",), "tasks": ("sample",)}
    plain = build_plan(Request(**request), registry)
    rigorous = build_plan(Request(**request, rigorous=True), registry)
    timed = [case for case in rigorous.cases if case.stage == "time"]
    assert len({case.replicates for case in timed}) == 2 * PROCESSES["quick"]
    assert {case.options["rounds"] for case in timed} == {2 * ROUNDS["quick"]}
    given = build_plan(Request(**request, rigorous=True, processes=3), registry)
    assert len({case.replicates for case in given.cases if case.stage == "time"}) == 3
    shared = set(plain.by_key) & set(rigorous.by_key)
    assert shared == {case.key for case in plain.cases if case.stage == "evaluate"}


def test_a_named_task_is_always_timed(registry):
    """Suites time a few tasks; a task that the user names is timed."""
    by_suite = build_plan(Request(families=("toy",)), registry)
    named = build_plan(Request(tasks=("train",)), registry)
    assert not any(case.stage == "time" and case.task.name == "train" for case in by_suite.cases)
    assert any(case.stage == "time" for case in named.cases)


def test_deterministic_methods_and_work_are_told_to_the_worker(registry):
    """The evaluate options carry what the lab needs to know."""
    plan = build_plan(Request(methods=("exact",), tasks=("sample",), stages=("evaluate",)), registry)
    options = next(case.options for case in plan.cases if case.method.name == "exact")
    assert (options["deterministic"], options["work"], options["budget"]) == (True, "evaluations", 1000)


def test_a_method_name_chooses_its_family(registry):
    """`-m mine` runs the family that has it, and no other."""
    plan = build_plan(Request(methods=("mine",)), registry)
    assert {case.family for case in plan.cases} == {"other"}


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ({"families": ("toyy",)}, UnknownNameError, "did you mean toy"),
        ({"methods": ("goood",)}, UnknownNameError, "did you mean good"),
        ({"tasks": ("smple",)}, UnknownNameError, "did you mean sample"),
        ({"methods": ("toy/mine",)}, UnknownNameError, "unknown method"),
        ({"methods": ("nowhere/good",)}, UnknownNameError, "unknown family"),
        ({"methods": ("good[k=1]",)}, UnknownNameError, "unknown parameter"),
        ({"methods": ("good",), "tasks": ("elsewhere",)}, UsageError, "nothing is selected"),
        ({"baseline": "nobody"}, UnknownNameError, "unknown baseline"),
        ({"families": ("toy",), "baseline": "good[n=[2,4]]"}, UsageError, "must be one method"),
    ],
)
def test_requests_that_make_no_sense_are_usage_errors(registry, request_, error, message):
    """Each names what is wrong and, where it can, what was meant."""
    with pytest.raises(error, match=message):
        build_plan(Request(**request_), registry)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"suite": "huge"}, "--suite"),
        ({"replicates": 0}, "--replicates"),
        ({"budget": 1}, "at least 2 draws"),
        ({"precision": 1.5}, "between 0 and 1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    """Before any name is resolved."""
    with pytest.raises(UsageError, match=message):
        Request(**options)


def test_a_method_of_a_package_that_is_missing_runs_in_no_suite(registry, monkeypatch):
    """Named, its cases are unsupported with the way to install it; where the package is found it is like any other."""
    assert not any(case.method.name == "foreign" for case in build_plan(Request(families=("toy",)), registry).cases)
    plan = build_plan(Request(families=("toy",), methods=("foreign",), tasks=("sample",)), registry)
    reasons = {o.reason for o in plan.settled if o.status == "unsupported"}
    assert reasons == {"needs the package no_such_package, which is not installed: pip install it"}
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name == "no_such_package" else found(name))
    plan = build_plan(Request(families=("toy",)), registry)
    assert any(case.method.name == "foreign" for job in plan.jobs for case in job.cases)


def test_skips_are_outcomes_with_a_reason(registry):
    """What a plugin skips is a row that says why and by whom."""

    class Hooks:
        def call(self, hook, *, case):
            return [("p", "no GPU here" if case.stage == "time" else None)]

    plan = build_plan(Request(methods=("base",), tasks=("sample",)), registry, Hooks())
    assert {(case.stage, outcome.reason) for case, outcome in zip(plan.settled_cases, plan.settled, strict=True)} == {
        ("time", "no GPU here (plugin p)")
    }


def test_a_request_parses_its_selectors_once_and_records_them_as_they_were_written():
    """Texts of a script become selectors; what a run stores of its request is the text."""
    request = Request(methods=("good[n=[2,4]],exact",), tasks=("sample",), baseline="base", tune=0)
    assert [selector.name for selector in request.methods] == ["good", "exact"]
    assert request.baseline is not None
    assert request.record() == {
        "methods": ("good[n=[2,4]]", "exact"),
        "tasks": ("sample",),
        "suite": "quick",
        "stages": ("evaluate", "time"),
        "device": "cpu",
        "threads": 1,
        "baseline": "base",
    }


def test_a_selector_that_cannot_be_parsed_is_refused_at_the_door():
    """Before any plugin is asked."""
    with pytest.raises(UsageError, match="brackets or quotes do not match"):
        Request(methods=("good[n=2",))
