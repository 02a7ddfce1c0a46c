"""Recommendations: the Pareto set of error and price under claims and budgets, and what would change it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tabled import TASK, cell, row, table

from kexue_bench.analysis.aggregate import summarize
from kexue_bench.analysis.recommend import Limit, Need, Specs, recommend
from kexue_bench.analysis.tables import Tabulation
from kexue_bench.analysis.verdicts import Policy
from kexue_bench.api import Claimed, FamilySpec, MethodSpec, TaskSpec
from kexue_bench.catalog.metrics import CORE_METRICS, keyed
from kexue_bench.errors import UnknownNameError, UsageError

FAMILY = FamilySpec(
    name="toy", title="Toys", summary="", contract="m:C", precision_metric="mse", baseline="a", headline=("mse",),
    work="work",
)  # fmt: skip


def spec(name: str, *claims: str | Claimed, needs: str = "") -> MethodSpec:
    """A method that makes these claims."""
    return MethodSpec(
        name=name, family="toy", target=f"m:{name}", summary="", claims=claims, needs=frozenset(needs.split())
    )


METHODS = {
    ("toy", one.name): one
    for one in (
        spec("a", "unbiased"),
        spec("b", "unbiased", needs="differentiable"),
        spec("c"),
        spec("d", Claimed(name="unbiased", when="task.power == 2")),
        spec("e", Claimed(name="unbiased", when="task.power == 3 or task.classes == 2")),
    )
}


TASKS = {
    ("toy", "task"): TaskSpec(
        name="task", family="toy", target="m:T", summary="", version=1, offers={"power"}, facts={"power": "2 * n"}
    )
}


def task(name: str, *, biased: str = "", **given: tuple[float, float]):
    """A task where methods have (error, work); errors 10 % apart are told apart."""
    rows = [
        row(
            label,
            cell("mse", error, 0.96 * error, 1.04 * error),
            cell("work", work, exact=True),
            biased=label == biased,
        )
        for label, (error, work) in given.items()
    ]  # fmt: skip
    return replace(table(*rows), task=replace(TASK, label=name), columns=("mse", "work"))


def ask(*tables, tasks=(), **need):
    """The answer for these tables."""
    metrics = keyed(CORE_METRICS)
    policy = Policy(margin=0.05, alpha=0.05, correction="holm", metrics=metrics)
    summary = summarize("toy", FAMILY, tables=tables, outcomes=[], policy=policy)
    known = Tabulation(
        runs=("0001-x",), tables=tables, summaries=(summary,), metrics=metrics, margin=0.05, alpha=0.05,
        correction="holm",
    )  # fmt: skip
    return recommend(known, Specs(methods=METHODS, tasks=TASKS), "toy", Need(**need), tasks=tasks)


def labels(found):
    """The Pareto set."""
    return [option.label for option in found.options]


def test_the_pareto_set_is_what_nothing_beats_in_error_and_price():
    """`c` is worse than `a` at a higher price; `a` and `b` trade one for the other."""
    found = ask(task("1", a=(1.0, 2.0), b=(2.0, 1.0), c=(3.0, 3.0)))
    assert labels(found) == ["a", "b"]
    assert found.options[0].best == ("1",)
    assert found.options[1].best == ()


def test_differences_that_are_not_shown_do_not_exclude():
    """Errors of 1 and 1.05 have intervals that meet: the answer is that nothing is known to differ."""
    found = ask(task("1", a=(1.0, 2.0), b=(1.05, 2.0)))
    assert labels(found) == ["a", "b"]
    assert found.indifferent
    assert not ask(task("1", a=(1.0, 2.0), b=(2.0, 1.0))).indifferent


def test_a_budget_excludes_and_says_what_it_costs():
    """Without the limit `a` would be in the set."""
    found = ask(task("1", a=(1.0, 2.0), b=(2.0, 1.0)), limits=(Limit(column="work", most=1.5, text="1.5 work"),))
    assert labels(found) == ["b"]
    assert found.excluded == {"costs more than 1.5 work": ("a",)}
    assert found.gained == {"costs more than 1.5 work": ("a",)}


def test_needed_claims_must_be_made_and_not_be_seen_broken():
    """`c` does not claim it, `b` was seen to be biased, `d` claims it under a condition that is told."""
    found = ask(
        task("1", biased="b", a=(1.0, 2.0), b=(0.1, 1.0), c=(0.1, 1.0), d=(2.0, 1.0)), claims=("unbiased",)
    )  # fmt: skip
    assert labels(found) == ["a", "d"]
    assert found.conditions["d"] == ("unbiased when task.power == 2",)
    assert found.excluded["does not claim unbiased"] == ("c",)
    assert found.excluded["claims unbiased, and was seen to be biased"] == ("b",)


def test_without_derivatives_only_values_are_used():
    """`b` needs a differentiable function."""
    assert labels(ask(task("1", a=(1.0, 1.0), b=(0.5, 1.0)), have="values")) == ["a"]


def test_tasks_narrow_the_answer():
    """Each task has its own winner."""
    tables = (task("1", a=(1.0, 1.0), b=(2.0, 1.0)), task("2", a=(2.0, 1.0), b=(1.0, 1.0)))
    assert labels(ask(*tables)) == ["a", "b"]
    assert labels(ask(*tables, tasks=["2"])) == ["b"]
    with pytest.raises(UnknownNameError, match="task"):
        ask(*tables, tasks=["3"])


def test_an_unknown_claim_is_refused():
    """With the nearest one."""
    with pytest.raises(UnknownNameError, match="unbiased"):
        ask(task("1", a=(1.0, 1.0)), claims=("unbised",))


@pytest.mark.parametrize(
    ("text", "column", "most"),
    [("64 work", "work", 64.0), ("50 ms", "time", 0.05), ("5ms", "time", 0.005), ("2 GB", "memory", 2e9)],
)
def test_budgets_are_read_with_their_unit(text, column, most):
    """Work of the family, seconds and bytes."""
    limit = Limit.of(text, ["work"])
    assert (limit.column, limit.most) == (column, pytest.approx(most))


@pytest.mark.parametrize("text", ["64", "work", "-1 ms", "0 ms", "1.2.3 ms", "nan ms", "5 parsecs", ""])
def test_a_budget_without_sense_is_refused(text):
    """No number, no unit, or one that nothing is counted in."""
    with pytest.raises(UsageError, match="positive number with a unit"):
        Limit.of(text, ["work"])


def test_a_claim_counts_where_its_condition_holds():
    """On a task of power 2: a method that claims to be unbiased at power 3 is not, and the reason says when it is."""
    found = ask(task("1", a=(1.0, 2.0), d=(0.9, 2.0), e=(0.1, 1.0)), claims=("unbiased",))
    assert "e" not in labels(found)
    assert found.excluded["claims unbiased only when task.power == 3 or task.classes == 2"] == ("e",)
