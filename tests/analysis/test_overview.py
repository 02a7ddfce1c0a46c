"""What to use: methods that cover the tasks, effects over the tasks that both have, and prices."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tabled import TASK, cell, row, table

from kexue_bench.analysis.aggregate import summarize
from kexue_bench.analysis.overview import Shortcut, overviews, shortcut, size_over
from kexue_bench.analysis.tables import Tabulation
from kexue_bench.analysis.verdicts import Effect, Policy
from kexue_bench.api import FamilySpec
from kexue_bench.catalog.metrics import CORE_METRICS, keyed

FAMILY = FamilySpec(
    name="toy", title="Toys", summary="", contract="m:C", precision_metric="mse", baseline="base", headline=("mse",),
    work="work",
)  # fmt: skip


def against(ratio: float, verdict: str = "better") -> Effect:
    """A ratio to the baseline, within a tenth."""
    return Effect(kind="ratio", value=ratio, low=0.9 * ratio, high=1.1 * ratio, verdict=verdict)


BASE = Effect(kind="ratio", value=1.0, low=1.0, high=1.0, verdict="baseline")


def contest(name: str, work: float = 2.0, **rivals):
    """A task: the baseline with error 1 and work 1, and rivals given as (ratio, mark), or None where not meant."""
    rows = [row("base", cell("mse", 1.0, effect=BASE), cell("work", 1.0, exact=True), is_baseline=True)]
    for label, given in rivals.items():
        if given is None:
            rows.append(row(label, status="unsupported"))
            continue
        ratio, mark = given
        effect = against(ratio, "better" if ratio < 1 else "worse")
        rows.append(row(label, cell("mse", ratio, effect=effect), cell("work", work, exact=True), mark=mark))
    made = table(*rows, baseline="base")
    return replace(made, task=replace(TASK, label=name), columns=("mse", "work"))


def read(*tables):
    """The overview of these tables."""
    metrics = keyed(CORE_METRICS)
    policy = Policy(margin=0.05, alpha=0.05, correction="holm", metrics=metrics)
    summary = summarize("toy", FAMILY, tables=tables, outcomes=[], policy=policy)
    (found,) = overviews(
        Tabulation(
            runs=("0001-x",), tables=tables, summaries=(summary,), metrics=metrics, margin=0.05, alpha=0.05,
            correction="holm",
        )
    )  # fmt: skip
    return found


def test_few_methods_cover_all_tasks():
    """The one that is best on most tasks comes first; a second one where it is not; nothing covers a task twice."""
    found = read(
        contest("1", a=(0.5, "best"), b=(0.9, "")),
        contest("2", a=(0.5, "best"), b=(0.5, "best")),
        contest("3", a=(0.9, ""), b=(0.5, "best")),
        contest("4", a=(0.5, "best"), b=None),
    )
    assert [(choice.label, choice.best) for choice in found.choices] == [("a", ("1", "2", "4")), ("b", ("3",))]


def test_methods_that_do_as_well_everywhere_are_equals():
    """`b` is equivalent to `a` on both tasks, `c` on one."""
    found = read(
        contest("1", a=(0.5, "best"), b=(0.5, "best"), c=(0.5, "best")),
        contest("2", a=(0.5, "best"), b=(0.5, "best"), c=(0.9, "")),
    )
    (choice,) = found.choices
    assert (choice.label, choice.equals) == ("a", ("b",))


def test_an_undecided_task_has_no_winner():
    """It is covered by a chosen method that may be the best there, and counted apart."""
    found = read(
        contest("1", a=(0.5, "best"), b=(0.9, "")),
        contest("2", a=(0.5, "undecided"), b=(0.49, "undecided")),
    )
    (choice,) = found.choices
    assert (choice.label, choice.best, choice.unsettled) == ("a", ("1",), ("2",))


def test_what_is_exact_somewhere_is_not_recommended():
    """An enumeration is a reference: it comes last, though its error is 0."""
    exact = row("exact", cell("mse", 0.0, exact=True))
    made, trained = contest("1", a=(0.5, "best")), contest("2", a=(0.5, "best"), exact=(0.5, "best"))
    found = read(replace(made, rows=(*made.rows, exact)), trained)
    assert [(choice.label, choice.equals) for choice in found.choices] == [("a", ())]
    assert found.labels[-1] == "exact" == found.exact[0]


def test_the_effect_is_a_mean_over_the_tasks_that_both_have():
    """Three of four ratios, one tenth apart on the log scale: the geometric mean with its t interval, counted."""
    step = 0.1
    ratios = [0.5 * math.exp(step * i) for i in (-1, 0, 1)]
    tables = [*(contest(str(i), a=(ratio, "best")) for i, ratio in enumerate(ratios)), contest("no", a=None)]
    size = size_over(tables, "a")
    half = 4.3026527 * step / math.sqrt(3)
    assert (size.tasks, size.of) == (3, 4)
    assert size.value == pytest.approx(0.5)
    assert (size.low, size.high) == pytest.approx((0.5 * math.exp(-half), 0.5 * math.exp(half)))


@pytest.mark.parametrize("ratios", [(0.5, 0.25), (1e-9, 1.0, 1e3)])
def test_too_few_tasks_or_unlike_ones_have_no_mean(ratios):
    """The range says what was seen."""
    size = size_over([contest(str(i), a=(ratio, "best")) for i, ratio in enumerate(ratios)], "a")
    assert (size.value, size.low, size.high) == (None, None, None)
    assert (size.least, size.most) == (min(ratios), max(ratios))


def test_the_baseline_has_no_effect_against_itself():
    """Nothing to say, instead of a ratio of 1."""
    assert size_over([contest("1", a=(0.5, "best"))], "base") is None


def test_a_price_is_a_number_on_one_task_and_a_range_of_ratios_on_several():
    """Work of 2 and 3 for the method, 1 for the baseline."""
    (one,) = read(contest("1", a=(0.5, "best"))).choices
    assert [(price.column, price.cell.value) for price in one.prices] == [("work", 2.0)]
    (several,) = read(contest("1", a=(0.5, "best")), contest("2", work=3.0, a=(0.5, "best"))).choices
    assert [(price.cell, price.least, price.most) for price in several.prices] == [(None, 2.0, 3.0)]


def test_every_method_has_a_sign_on_every_task():
    """Best, worse than the baseline, not meant; failed where a result is missing."""
    failed = contest("3", a=(0.5, "best"))
    failed = replace(failed, rows=(*failed.rows, row("b", status="failed")))
    found = read(contest("1", a=(0.5, "best"), b=(2.0, "")), contest("2", a=(0.5, "best"), b=None), failed)
    assert found.signs["b"] == ("worse", "not meant", "failed")
    assert found.signs["base"] == ("baseline",) * 3
    assert found.signs["a"] == ("best",) * 3


def timed(exact_seconds: float, *, labels=True, work=2.0, baseline_seconds=1.0):
    """An exact method and an estimator, judged at 10 units of work."""
    of = replace(cell("mse", 0.5), labels={"B": "10"} if labels else {})
    truth = row("exact", cell("mse", 0.0, 0.0, 1e-12, exact=True), cell("time", exact_seconds, unit="s"))
    rival = row("rival", of, cell("work", work, exact=True), cell("time", baseline_seconds, unit="s"))
    return table(truth, rival)


def test_an_exact_method_is_a_shortcut_if_it_takes_less_than_the_draws_that_decide():
    """Five draws of one second each; not beside six seconds, nor where no budget of work decides."""
    assert shortcut(timed(4.0), "work") == Shortcut(label="exact", seconds=4.0, other="rival", draws=5.0, spent=5.0)
    assert shortcut(timed(6.0), "work") is None
    assert shortcut(timed(4.0, labels=False), "work") is None
    assert shortcut(timed(4.0), "") is None
    assert shortcut(contest("a", rival=(0.5, "best")), "work") is None
