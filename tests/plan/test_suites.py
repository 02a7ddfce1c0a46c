"""Who runs in a suite if the user names no method: the family's list, guests that fit, and what a method asks for."""

from dataclasses import replace
from itertools import pairwise

import pytest

from kexue_bench.api import MethodSpec
from kexue_bench.catalog.plugins import PluginRecord
from kexue_bench.catalog.registry import Registry
from kexue_bench.plan.plan import Request, build_plan
from kexue_bench.plan.suites import told


def guest(registry, **more):
    """The registry with a method of another plugin."""
    spec = MethodSpec(name="guest", family="toy", target="plan_targets:M", summary="", **more)
    return Registry([*registry.records, PluginRecord(name="acme", origin="acme", specs={MethodSpec: (spec,)})])


def planned(registry, **request):
    """Task -> labels of the methods that run there."""
    plan = build_plan(Request(stages=("evaluate",), **request), registry)
    found = {}
    for case in plan.cases:
        found.setdefault(case.task.label, set()).add(case.method.label)
    return plan, found


def test_a_method_of_another_plugin_runs_wherever_it_fits(registry):
    """Also where the family's plugin lists its own methods; its label names its plugin."""
    _, found = planned(guest(registry), families=("toy",), suite="standard", tasks=("dear", "choosy"))
    assert found["dear"] == {"base", "good[n=8]", "picky", "guest (acme)"}
    assert "guest (acme)" in found["choosy"]
    picky = guest(registry, needs="gradient")
    _, found = planned(picky, families=("toy",), suite="standard", tasks=("dear", "choosy"))
    assert found["dear"] == {"base", "good[n=8]", "picky"}
    assert "guest (acme)" in found["choosy"]


@pytest.mark.parametrize(
    ("wanted", "tasks"),
    [
        (("sample",), {"sample", "sample[d=2]"}),
        (("sample[d=2]",), {"sample[d=2]"}),
        (("s*", "train"), {"sample", "sample[d=2]", "train"}),
        ((), set()),
    ],
)
def test_a_method_says_which_tasks_of_a_suite_it_wants(registry, wanted, tasks):
    """A name stands for every instance of the task, written parameters for those that have them."""
    _, found = planned(guest(registry, suites={"quick": wanted}), families=("toy",), suite="quick")
    assert {task for task, labels in found.items() if "guest (acme)" in labels} == tasks
    _, found = planned(guest(registry, suites={"full": wanted}), families=("toy",), suite="quick")
    assert all("guest (acme)" in labels for labels in found.values())


def test_a_method_that_the_user_names_runs_everywhere(registry):
    """Whatever its `suites` say; nothing is left out then."""
    plan, found = planned(guest(registry, suites={"quick": ()}), families=("toy",), methods=("guest",), suite="quick")
    assert all("guest (acme)" in labels for labels in found.values())
    assert told(plan) == ""


def test_what_a_method_says_goes_before_the_list_of_the_family(registry):
    """For a method of the family's own plugin as for any other."""
    (record,) = registry.records
    specs = {kind: list(found) for kind, found in record.specs.items()}
    for name, wanted in (("exact", ("dear",)), ("good", ())):
        place = next(i for i, spec in enumerate(specs[MethodSpec]) if spec.name == name)
        specs[MethodSpec][place] = replace(specs[MethodSpec][place], suites={"standard": wanted})
    changed = Registry([replace(record, specs=specs)])
    _, found = planned(changed, families=("toy",), suite="standard", tasks=("dear",))
    assert found["dear"] == {"base", "picky", "exact"}


def test_what_is_left_out_is_one_line_with_its_command(registry):
    """Methods that could run there and do not; those that do not fit, or are not installed, are not left out."""
    plan, _ = planned(registry, families=("toy",), suite="standard", tasks=("dear",))
    assert plan.left_out == {"toy/dear": ("good", "good[n=4]", "exact")}
    assert told(plan) == (
        "left out by the suite: good, good[n=4], exact on dear (3 in all); to run them: "
        "kexue-bench compare toy --suite standard -t dear -m 'good,good[n=4],exact'"
    )
    acme = guest(registry, suites={"quick": ()}, variants=tuple(f"guest[n={n}]" for n in range(13)))
    plan, _ = planned(acme, families=("toy",), suite="quick")
    assert told(plan) == (
        "left out by the suite: 13 methods on sample, sample[d=2], train (39 in all); to run them: "
        "kexue-bench compare toy --suite quick -t sample -t 'sample[d=2]' -t train -m '*'"
    )


def test_the_command_runs_what_was_left_out(registry):
    """Parsed as the shell would, it plans every pair that the line counts."""
    plan, _ = planned(registry, families=("toy",), suite="standard", tasks=("dear",))
    words = told(plan).partition("kexue-bench compare ")[2].replace("'", "").split()
    methods = tuple(value for flag, value in pairwise(words) if flag == "-m")
    _, found = planned(registry, families=("toy",), suite="standard", tasks=("dear",), methods=methods)
    assert {"good", "good[n=4]", "exact"} <= found["dear"]
