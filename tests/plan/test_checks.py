"""Where claims are checked: each where its task has what the check is given, promises in one place that fits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from kexue_bench.api import ClaimSpec, FamilySpec, MethodSpec, TaskSpec
from kexue_bench.catalog.plugins import PluginRecord, load_plugins
from kexue_bench.catalog.registry import Registry
from kexue_bench.errors import UsageError
from kexue_bench.plan.cases import Request
from kexue_bench.plan.checks import none_was_checked
from kexue_bench.plan.plan import build_plan

PLUGINS = Path(__file__).parents[1] / "plugins"
TARGET = "kexue_bench.selfcheck.work:Nothing"
TRAINING = ["repeatable", "own-stream", "pure", "finite", "stacked"]
SUBJECT = ["repeatable", "own-stream", "pure", "finite"]


@pytest.fixture
def plan(monkeypatch):
    """The plan of `verify` over a third party's two families."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    registry = Registry(load_plugins(["promising.plugin"]))
    assert not registry.problems.get("promising.plugin")

    def make(*families, **request):
        return build_plan(Request(families=families, stages=("verify",), **request), registry)

    return make


def toy(*tasks, checks=(), **method):
    """A family of these tasks, these checks and one method."""
    family = FamilySpec(
        name="toy", title="t", summary="s", contract="c", precision_metric="mse", baseline="m", headline=()
    )
    specs = {
        FamilySpec: (family,),
        MethodSpec: (MethodSpec(name="m", family="toy", target=TARGET, summary="s", **method),),
        TaskSpec: tasks,
        ClaimSpec: checks,
    }
    return Registry([PluginRecord(name="toy", origin="toy", specs=specs)])


def task(name="t", kind="trained", **fields):
    return TaskSpec(
        **{"name": name, "family": "toy", "target": TARGET, "summary": "s", "version": 1, "kind": kind} | fields
    )


def verified(registry, **request):
    return build_plan(Request(stages=("verify",), **request), registry)


def placed(plan):
    """Task and claims of each job."""
    return [(job.cases[0].task.label, [case.claim for case in job.cases]) for job in plan.jobs]


def test_a_family_of_trainings_is_verified_in_the_place_it_names(plan):
    """One job a method, on the instance under `verify`, with what it declares and what all keep."""
    made = plan("lines")
    assert {job.cases[0].task.label for job in made.jobs} == {"line[steps=3]"}
    assert len(made.jobs) == len({job.cases[0].method.label for job in made.jobs})
    (honest,) = [job for job in made.jobs if job.cases[0].method.name == "honest"]
    assert [case.claim for case in honest.cases] == ["descends", *TRAINING]
    assert {case.of for case in honest.cases} == {"training"}
    assert {case.replicates for case in honest.cases} == {(0, 1)}
    assert {tuple(case.options) for case in honest.cases} == {("check",)}


def test_a_family_of_subjects_is_verified_in_the_place_it_names(plan):
    """The same; a check of a subject has a budget, as its evaluation has."""
    (sine,) = [job for job in plan("waves").jobs if job.cases[0].method.name == "sine"]
    assert [case.claim for case in sine.cases] == ["odd", *SUBJECT]
    assert {case.of for case in sine.cases} == {"subject"}
    assert {"check", "budget"} <= set(sine.cases[0].options)


def test_larger_suites_and_named_tasks_are_checked_whole(plan):
    """Every instance of the suite, or that is named, has every promise."""
    standard = plan("lines", methods=("honest",), suite="standard")
    assert placed(standard) == [(f"line[features={n}]", ["descends", *TRAINING]) for n in (2, 4)]
    named = plan("lines", methods=("honest",), tasks=("line[features=[1,3]]",))
    assert placed(named) == [(f"line[features={n}]", ["descends", *TRAINING]) for n in (1, 3)]


def test_a_single_training_has_no_stack_to_compare(plan):
    """Where the task trains one replicate at a time, `stacked` has no case, and one replicate is built."""
    ((label, claims),) = placed(plan("lines", methods=("honest",), tasks=("single-line",)))
    assert (label, claims) == ("single-line", ["descends", *TRAINING[:-1]])
    assert plan("lines", tasks=("single-line",)).cases[0].replicates == (0,)


def test_without_a_place_of_its_own_the_first_task_of_the_smallest_suite_is_taken():
    """In order of registration: of quick, else of standard, else of full."""
    tasks = (
        task("big", suites={"full": ("big",)}),
        task("other", suites={"standard": ("other",), "full": ("other",)}),
        task("late", suites={"standard": ("late",)}),
    )
    assert placed(verified(toy(*tasks)))[0][0] == "other"
    quick = task("small", suites={"quick": ("small",)})
    assert placed(verified(toy(*tasks, quick)))[0][0] == "small"
    named = task("named", suites={"verify": ("named",)})
    assert placed(verified(toy(*tasks, quick, named)))[0][0] == "named"


def test_each_kind_of_a_family_has_its_place():
    """Trainings and subjects of one family are two places; the sampling tasks of the suite stay as they are."""
    tasks = (
        task("train", suites={"quick": ("train",)}),
        task("again", suites={"quick": ("again",)}),
        task("look", kind="subject", suites={"full": ("look",)}),
        task("draw", kind="sampling", suites={"quick": ("draw",)}),
        task("note", kind="record", suites={"quick": ("note",)}),
    )
    labels = [label for label, _ in placed(verified(toy(*tasks)))]
    assert labels == ["draw", "train", "look"]


def test_claims_of_draws_are_checked_at_the_verification_points():
    """In quick they replace the instances of their task, in the other suites they join them; a named task stays."""
    known = Registry(load_plugins([]))

    def labels(**request):
        asked = Request(families=("gradients",), methods=("reinforce",), stages=("verify",), **request)
        plan = build_plan(asked, known)
        return {case.task.label for case in plan.cases if case.task.name == "gamma-cost"}

    assert labels() == {"gamma-cost[function=square,shape=2.3]"}
    assert labels(suite="standard") == {f"gamma-cost[shape={n}]" for n in ("0.7", "2.5")} | labels()
    assert labels(tasks=("gamma-cost[shape=3.0]",)) == {"gamma-cost[shape=3]"}


def test_a_method_is_checked_in_the_first_place_that_it_fits():
    """What the cheapest place does not offer, another does; where none does, there is no case."""
    tasks = (task("first", suites={"quick": ("first",)}), task("second", offers={"bits"}, suites={"full": ("second",)}))
    assert placed(verified(toy(*tasks, needs={"bits"})))[0][0] == "second"
    sampling = task("draw", kind="sampling", offers={"names"}, suites={"quick": ("draw",)})
    made = verified(toy(*tasks, sampling, needs={"names"}))
    assert {case.task.label for case in made.cases} == {"draw"}
    assert made.settled == ()


def test_declared_claims_are_checked_on_every_task_of_the_suite():
    """Only promises are checked in one place; nothing is checked twice."""
    checks = (ClaimSpec(name="calm", family="toy", of="training", target="m:f", summary=""),)
    tasks = (task("one", suites={"quick": ("one",)}), task("two", suites={"quick": ("two",)}))
    made = verified(toy(*tasks, checks=checks, claims=("calm",)))
    assert placed(made) == [("one", ["calm"]), ("two", ["calm"]), ("one", TRAINING[:-1])]
    assert len(made.by_key) == len(made.cases)


def test_a_claim_for_something_else_does_not_apply_and_one_that_none_checks_is_an_error(plan):
    """`unbiased` is a claim of draws: on trainings it has no case. A claim without any check is refused."""
    assert "unbiased" not in Counter(case.claim for case in plan("lines").cases)
    with pytest.raises(UsageError, match="'magic'"):
        verified(toy(task(suites={"quick": ("t",)}), claims=("unbiased", "magic")))


def test_on_a_sampling_task_a_family_may_claim_things_of_its_subject():
    """Its own claims of subjects run there, always ones too; the core's promises there are those of draws."""
    checks = (
        ClaimSpec(name="calm", family="toy", of="subject", target="m:calm", summary="", always=True),
        ClaimSpec(name="warm", family="toy", of="training", target="m:warm", summary="", always=True),
    )
    made = verified(toy(task(kind="sampling", suites={"quick": ("t",)}), checks=checks))
    found = {case.claim: case.of for case in made.cases}
    assert found["calm"] == "subject"
    assert "warm" not in found
    assert Counter(found.values()) == {"draws": 6, "subject": 1}


@pytest.mark.parametrize(
    ("tasks", "request_", "said"),
    [
        ((task(kind="record", suites={"quick": ("t",)}),), {}, r"only tasks of kind 'record' \(t\)"),
        ((task(),), {}, "family 'toy' without a task in any suite"),
        ((task(kind="sampling", suites={"full": ("t",)}),), {}, "without a task in the suite 'quick'"),
        ((task(kind="record"),), {"tasks": ("t",)}, r"only tasks of kind 'record' \(t\)"),
    ],
)
def test_nothing_to_verify_is_an_error_that_says_why(tasks, request_, said):
    """Which family, which tasks and of what kind, and what to do; exit code 2."""
    with pytest.raises(UsageError, match=said) as error:
        verified(toy(*tasks), **request_)
    assert "there is nothing to verify" in str(error.value)
    assert "name one with -t, or write --suite standard" in str(error.value)
    assert error.value.exit_code == 2


def test_claims_that_all_fail_to_fit_are_an_error_with_their_reasons():
    """The words that are missing, and how many claims they cost."""
    for kind in ("sampling", "trained"):
        registry = toy(task(kind=kind, suites={"quick": ("t",)}), needs={"bits"})
        with pytest.raises(UsageError, match=r"none of the \d claims can be checked here, got .*bits \(\d\)"):
            verified(registry)
    said = str(none_was_checked(["a", "b", "b", "c", "d"]))
    assert "none of the 5 claims can be checked here, got b (2); a (1); c (1); ...; name a task that fits" in said


def test_other_stages_beside_verify_are_not_refused():
    """A request that also evaluates has something to do."""
    registry = toy(task(kind="record", suites={"quick": ("t",)}))
    made = build_plan(Request(stages=("verify", "evaluate")), registry)
    assert [case.stage for case in made.cases] == ["evaluate"]
