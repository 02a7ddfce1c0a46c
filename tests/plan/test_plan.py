"""plan: every planned cell has its case, identity is content, and order never matters."""

import importlib.util
import json
from collections import Counter

import pytest

from kexue_bench.api import Claimed, FamilySpec, MethodSpec, TaskSpec
from kexue_bench.catalog.plugins import PluginRecord
from kexue_bench.catalog.registry import Registry
from kexue_bench.errors import UnknownNameError, UsageError
from kexue_bench.plan.plan import PROCESSES, Request, build_plan


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
        ("choosy", "", ["base", "good", "good[n=4]", "picky", "exact", "third (q)"]),
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


def _late(*methods):
    """A family whose baseline needs what its task lacks, beside these methods."""
    family = FamilySpec(
        name="late", title="", summary="", contract="", precision_metric="mse", baseline="needy", headline=("mse",)
    )
    needy = MethodSpec(name="needy", family="late", target="plan_targets:M", summary="", needs=frozenset({"gradient"}))
    bare = TaskSpec(name="bare", family="late", target="plan_targets:T", summary="", version=1)
    rest = tuple(
        MethodSpec(name=name, family="late", target="plan_targets:M", summary="", claims=claims)
        for name, claims in methods
    )
    specs = {FamilySpec: (family,), MethodSpec: (needy, *rest), TaskSpec: (bare,)}
    return Registry([PluginRecord(name="late", origin="late", specs=specs)])


SURE = ("sure", (Claimed(name="deterministic"),))


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(("methods", "chosen"), [((SURE, ("fair", ())), "fair"), ((SURE,), "sure")])
def test_a_baseline_that_does_not_fit_is_replaced(methods, chosen):
    """By the first method that does, one with noise if there is one; it is timed against its copy, and the declared
    baseline keeps its row with the reason.
    """
    plan = build_plan(Request(tasks=("bare",)), _late(*methods))
    assert {place: method.label for place, method in plan.baselines.items()} == {"late": "needy", "late/bare": chosen}
    assert {case.method.label for case in plan.cases if case.copy} == {chosen}
    assert {case.method.label for case in plan.settled_cases} == {"needy"}
    assert {outcome.reason for outcome in plan.settled} == {"needs a task that offers: gradient"}


@pytest.mark.usefixtures("registry")
def test_a_baseline_that_is_named_is_not_replaced():
    """What the user names stands, and its row says why there are no ratios; nor is one if nothing fits."""
    named = build_plan(Request(tasks=("bare",), baseline="needy"), _late(SURE))
    alone = build_plan(Request(tasks=("bare",)), _late())
    for plan in (named, alone):
        assert [method.label for method in plan.baselines.values()] == ["needy"]


@pytest.mark.usefixtures("registry")
def test_a_named_task_has_the_budgets_of_its_own_suite():
    """In a suite that does not run it: replicates and draws of the smallest suite that does."""
    registry = _late(("fair", ()))
    common = {"family": "late", "target": "plan_targets:T", "summary": "", "version": 1, "timed": frozenset()}
    tasks = (
        TaskSpec(name="seeds", kind="trained", suites={"full": ("seeds",)}, replicates={"full": 4}, **common),
        TaskSpec(name="one", kind="trained", suites={"quick": ("one",)}, replicates={"full": 4}, **common),
        TaskSpec(name="draws", suites={"standard": ("draws",)}, **common),
        TaskSpec(name="loose", **common),
    )
    more = Registry([*registry.records, PluginRecord(name="q", origin="q", specs={TaskSpec: tasks})])
    cases = build_plan(
        Request(tasks=[task.name for task in tasks], stages=("evaluate",), methods=("fair",)), more
    ).cases
    mine = [case for case in cases if case.method.name == "fair"]
    seeds = Counter(case.task.name for case in mine)
    assert seeds == {"seeds": 4, "one": 1, "draws": 1, "loose": 1}
    budgets = {case.task.name: case.options.get("budget") for case in mine}
    assert budgets == {"seeds": None, "one": None, "draws": 2**16, "loose": 2**14}


def test_keys_do_not_depend_on_order_or_labels(registry):
    """`-m a -m b[n=2]` and `-m b -m a` are the same cases."""
    one = build_plan(Request(methods=("base", "good[n=2]"), tasks=("sample",)), registry)
    two = build_plan(Request(methods=("good", "base"), tasks=("sample[d=1]",)), registry)
    assert set(one.by_key) == set(two.by_key)


def test_a_named_task_is_always_timed(registry):
    """Suites time a few tasks; a task that the user names is timed."""
    by_suite = build_plan(Request(families=("toy",)), registry)
    named = build_plan(Request(tasks=("train",)), registry)
    assert not any(case.stage == "time" and case.task.name == "train" for case in by_suite.cases)
    assert any(case.stage == "time" for case in named.cases)


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


def test_a_stored_request_is_the_request():
    """Through JSON and back, with every option given and with none."""
    whole = Request(
        families=("toy",), methods=("good[n=[2,4]]",), tasks=("sample",), suite="full", stages=("evaluate",),
        replicates=3, seed=7, device="cuda:0", dtype="float64", threads=2, precision=0.5, budget=10, processes=3,
        rigorous=True, baseline="base", tune=4,
    )  # fmt: skip
    for request in (whole, Request()):
        assert Request.of(json.loads(json.dumps(request.record()))) == request


@pytest.mark.parametrize(
    "record", [{"new": 1}, {"seed": "1"}, {"seed": True}, {"methods": "rloo"}, {"tasks": [1]}, {"stages": ["mine"]}]
)
def test_a_stored_request_of_another_version_is_refused(record):
    """An unknown option, a value of another type, an unknown stage: named, with what to do."""
    with pytest.raises(UsageError, match="the stored request cannot be taken over"):
        Request.of(record)


def test_a_selector_that_cannot_be_parsed_is_refused_at_the_door():
    """Before any plugin is asked."""
    with pytest.raises(UsageError, match="brackets or quotes do not match"):
        Request(methods=("good[n=2",))
