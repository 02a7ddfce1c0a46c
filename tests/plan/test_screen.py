"""screen: what specs say decides which cases do not run, and every one of them has its reason."""

import pytest

from kexue_bench.api import FamilySpec, Knob, MethodSpec, TaskSpec, Unless
from kexue_bench.catalog.hookspecs import hookimpl
from kexue_bench.catalog.plugins import Hooks, PluginRecord, _load
from kexue_bench.catalog.registry import Registry
from kexue_bench.errors import PluginError
from kexue_bench.plan.cases import Request
from kexue_bench.plan.plan import build_plan

ALLOWED = Unless(
    when="cost > task.allowed and claim not in ('exact-at',)",
    because="an estimate costs {cost} products, and the task allows {task.allowed}",
)


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Plan one method on one task: label and stage -> (status, reason) of every case that does not run."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "screen_targets.py").write_text(
        "class M:\n    n: int = 2\nclass T:\n    side: int = 4\n    budget: int = 0\n"
    )

    def plan(method=None, task=None, hooks=None, problems=(), **request):
        family = FamilySpec(
            name="f", title="f", summary="", contract="", precision_metric="mse", baseline="m", headline=("mse",)
        )
        methods = MethodSpec(name="m", family="f", summary="", **{"target": "screen_targets:M", **(method or {})})
        tasks = TaskSpec(
            name="t",
            family="f",
            summary="",
            version=1,
            budgets={"quick": 10},
            suites={"quick": ("t",)},
            timed=frozenset(),
            **{"target": "screen_targets:T", **(task or {})},
        )
        specs = {FamilySpec: (family,), MethodSpec: (methods,), TaskSpec: (tasks,)}
        registry = Registry([PluginRecord(name="p", origin="p", specs=specs)])
        assert registry.problems.get("p", []) == list(problems)
        found = build_plan(Request(**{"methods": ("m[n=[2,20]]",), **request}), registry, hooks)
        told = {
            (case.method.label, case.stage): (outcome.status, outcome.reason)
            for case, outcome in zip(found.settled_cases, found.settled, strict=True)
        }
        assert {outcome.phase for outcome in found.settled} <= {"plan"}
        return told

    return plan


FACTS = {"rows": "side ** 2", "allowed": "budget if budget > 0 else rows"}


def test_a_condition_that_does_not_hold_is_unsupported(planned):
    """The reason names the condition; the instance that meets it runs."""
    told = planned(method={"when": "n <= task.side"})
    assert told == {("m[n=20]", "evaluate"): ("unsupported", "runs only if n <= task.side")}


def test_a_condition_on_what_the_task_lacks_is_unsupported(planned):
    """A comparison with an unknown parameter is false."""
    told = planned(method={"when": "task.classes <= 64"})
    assert {status for status, _ in told.values()} == {"unsupported"}


@pytest.mark.parametrize("owner", ["method", "task"])
def test_a_rule_that_holds_skips_the_case_with_its_sentence(planned, owner):
    """Rules of methods and of tasks alike; cost and facts are names in them."""
    specs = {"method": {"cost": "n"}, "task": {"facts": FACTS}}
    specs[owner] = {**specs[owner], "unless": (ALLOWED,)}
    told = planned(**specs)
    assert told == {
        ("m[n=20]", "evaluate"): ("skipped", "an estimate costs 20 products, and the task allows 16"),
    }


def test_the_rule_of_the_method_goes_first(planned):
    """One reason a case: the first that holds."""
    told = planned(
        method={"unless": (Unless(when="n > 2", because="mine"), Unless(when="n > 1", because="also mine"))},
        task={"unless": (Unless(when="dtype == 'float32'", because="the task's"),)},
    )
    assert {label: reason for (label, _), (_, reason) in told.items()} == {"m[n=20]": "mine", "m[n=2]": "also mine"}


def test_a_rule_may_read_the_dtype_of_the_case(planned):
    """`--dtype` decides, not only the task."""
    rule = {"unless": (Unless(when="dtype != 'float32'", because="computes in float32 only"),)}
    assert not planned(method=rule)
    assert len(planned(method=rule, dtype="float64")) == 2


def test_a_claim_may_be_exempt_from_a_rule(planned):
    """`claim` is the claim of a verified case."""
    rule = Unless(when="claim == 'finite'", because="no")
    told = planned(method={"unless": (rule,)}, stages=("verify",))
    assert set(told.values()) == {("skipped", "no")}
    assert len(told) == 2


def test_a_missing_word_is_said_before_a_condition_and_a_rule(planned):
    """Conditions may read what only a fitting task has."""
    told = planned(
        method={"needs": "spd", "when": "n > 100", "unless": (Unless(when="n > 1", because="no"),)},
        problems=["method 'm': needs 'spd', which no task of 'f' offers"],
    )
    assert set(told.values()) == {("unsupported", "needs a task that offers: spd")}


@pytest.mark.parametrize(("target", "reason"), [("nowhere.at:All", "'nowhere.at' cannot"), ("math:M", "cannot be")])
@pytest.mark.parametrize("owner", ["method", "task"])
def test_a_target_that_cannot_be_read_is_a_failed_row_that_names_its_plugin(planned, owner, target, reason):
    """It costs itself, of a method or of a task; what it would have been asked for is not known."""
    told = planned(**{owner: {"target": target}}, methods=("m",))
    ((_, (status, why)),) = told.items()
    assert status == "failed"
    assert why.startswith("plugin p: ")
    assert reason in why


def test_an_absent_package_is_unsupported_whatever_the_rules(planned):
    """Its reason says how to install it."""
    told = planned(
        method={"requires": "no_such_package", "install": "pip install it", "unless": (ALLOWED,), "cost": "n * n"},
        task={"facts": FACTS},
    )
    assert set(told.values()) == {
        ("unsupported", "needs the package no_such_package, which is not installed: pip install it")
    }


def test_hooks_are_asked_last(planned):
    """A plugin's `kexue_skip` is asked about what no spec refuses."""

    class Plugin:
        def __init__(self):
            self.asked = []

        @hookimpl
        def kexue_skip(self, case):
            self.asked.append(case.method.params["n"])
            return "no file"

    plugin = Plugin()
    hooks = Hooks([_load(lambda: plugin, PluginRecord(name="q", origin="q"))])
    told = planned(method={"unless": (Unless(when="n > 2", because="too many"),)}, hooks=hooks)
    assert {label: reason for (label, _), (_, reason) in told.items()} == {
        "m[n=20]": "too many",
        "m[n=2]": "no file (plugin q)",
    }
    assert plugin.asked == [2]


def test_tuning_obeys_conditions_and_rules(planned):
    """No search where the condition does not hold; a search that a rule forbids is skipped with its reason."""
    knobs = {"knobs": (Knob(field="n", grid=(2, 4)),)}
    told = planned(method={**knobs, "when": "task.side > 4"}, tune=2)
    assert {stage for _, stage in told} == {"evaluate"}
    told = planned(method={**knobs, "unless": (Unless(when="task.side == 4", because="no"),)}, tune=2)
    assert {stage for _, stage in told} == {"evaluate", "tune"}


def test_a_condition_with_an_unknown_name_names_its_method(planned):
    """Even where the part that reads it would not be evaluated."""
    with pytest.raises(PluginError, match=r"condition of method 'm'.*'temprature'"):
        planned(method={"when": "n > 0 or temprature > 1"})
