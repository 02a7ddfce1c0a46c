"""What stands under a table."""

from __future__ import annotations

import re
from dataclasses import replace

import stored
from printed import show
from stored import read
from tabled import cell, row, table

from kexue_bench.analysis.overview import Shortcut
from kexue_bench.analysis.seeds import populations
from kexue_bench.analysis.tables import Tabulation
from kexue_bench.analysis.verdicts import Effect
from kexue_bench.api import Instance, MetricSpec
from kexue_bench.catalog.metrics import CORE_METRICS, keyed
from kexue_bench.report.remarks import faster, remarks


def test_the_report_says_what_it_could_have_found(tabulation):
    """Detectable effects in the primary column and in time, the control, and the rule behind the letters."""
    text = " ".join(show(tabulation, 160).split())
    tests = r"4 to 12 % in mse, 5 % in time \(10 tests, and 19 exploratory ones\)"
    assert re.search(r"smallest detectable effect \(90 % power\): " + tests, text)
    assert re.search(r"A/A control: time ×1\.\d+ \[[^]]+\] over 5 processes", text)
    assert "Holm, alpha 5 %, margin 5 %" in text


def test_a_flag_of_a_task_is_named_with_the_methods_that_have_it():
    """`empty batches` on one row stands once under the table with that row's label; the core's own signs do not."""
    toy, base, rival = Instance(name="toy", target="x:Y"), stored.method("reinforce"), stored.method("rloo", n=2)
    book = stored.Book(baseline=base)
    book.sampled(toy, base, [1.0, 1.1], flags=frozenset({"heavy-tail"}))
    book.sampled(toy, rival, [1.0, 1.2], flags=frozenset({"empty batches"}))
    text = show(read(book.run()), 100)
    assert "empty batches: rloo[n=2]" in text
    assert "heavy-tail:" not in text


def said(*rows, dropped=(), **fields):
    """The remarks under one table."""
    found = table(*rows, **fields)
    whole = Tabulation(
        runs=(), tables=(found,), summaries=(), margin=0.05, alpha=0.05, correction="holm",
        metrics=keyed([*CORE_METRICS, MetricSpec(name="elbo", unit="nats", scale="linear", family="toy")]),
    )  # fmt: skip
    return remarks(found, whole, dropped=dropped, width=72)


def test_detectable_effects_have_the_scale_of_their_metric():
    """Per cents and factors for ratios, the metric's own unit for differences; one figure where both ends agree."""
    (both,) = [text for text in said(detectable={"mse": (0.04, 0.14)}, baseline="a") if "mse" in text]
    assert "4 to 14 % in mse" in both
    (wide,) = [text for text in said(detectable={"mse": (0.5, 1.5)}, baseline="a") if "mse" in text]
    assert "50 % to ×2.5 in mse" in wide
    (same,) = [text for text in said(detectable={"elbo": (0.2, 0.2)}, primary="elbo", baseline="a") if "elbo" in text]
    assert "0.2 nats in elbo" in same.replace("0.20", "0.2")
    assert " to " not in same


def test_equal_draws_say_which_events_they_exclude():
    """The rule of three: none in 2,048 draws, so rarer than 3 / 2,048 = 0.0015 at 95 %, rounded up."""
    still = [row(name, replace(cell("mse", 0.0), n=n), stops=("degenerate",)) for name, n in (("a", 2048), ("b", 96))]
    found = [text for text in said(*still, row("c", cell("mse", 1.0))) if "same value" in text]
    assert found == [
        "same value in 96 draws: events rarer than 0.04 are not excluded: b",
        "same value in 2048 draws: events rarer than 0.002 are not excluded: a",
    ]


def test_two_groups_of_seeds_are_counted_and_the_others_have_their_own_mean():
    """The share with its exact interval, the mean without the collapse, and what ten seeds cannot show."""
    values = (0.6, 0.61, 0.605, 0.59, 0.6, 0.602, 0.61, 0.6, 0.603, 0.01)
    split = replace(cell("mse", 0.54), n=10, seeds=True, populations=populations(values, "higher"))
    usual = replace(cell("mse", 0.6), n=10, seeds=True)
    texts = said(row("a", split), row("b", usual))
    assert (
        "two groups of seeds: a: 1 of 10 near 0.0100 (share 0.100 [0.00253, 0.445]), the others 0.602 ±0.005" in texts
    )
    assert "10 seeds may show no sign of what happens to up to 26 % of all seeds" in texts
    assert not any("seeds" in text for text in said(row("a", cell("mse", 0.6))))


def test_a_clock_without_a_control_is_remarked_on_where_something_was_timed():
    """Then no method may be called faster; a table without seconds needs no control."""
    assert any("A/A" in text for text in said(timed=True, baseline="a"))
    assert not any("A/A" in text for text in said(timed=False, baseline="a"))


def test_a_baseline_without_a_result_is_the_reason_for_missing_ratios():
    """Named with its status and its reason; nothing is said where it was measured."""
    failed = replace(row("a"), is_baseline=True, status="failed", reason="BudgetError: a repeat may spend 50 products")
    said_ = said(failed, row("b", cell("mse", 1.0)), baseline="a")
    assert "no ratios: the baseline a is failed (BudgetError: a repeat may spend 50 products)" in said_
    assert not any("no ratios" in text for text in said(row("b", cell("mse", 1.0)), baseline="b"))


def test_what_pairing_gained_is_the_median_with_its_range():
    """Up to a thousandfold as a factor; beyond, two methods are functions of each other. A gain below 1 is a cost."""

    def gains(*values):
        pairs = [
            Effect(kind="ratio", value=0.5, low=0.4, high=0.6, verdict="better", p=0.01, paired=True, gain=gain)
            for gain in values
        ]
        rows = [row(f"m{i}", cell("mse", 1.0, effect=effect)) for i, effect in enumerate(pairs)]
        return [text for text in said(*rows, baseline="m0") if "pairing" in text]

    assert gains(1.5, 1.9) == []
    assert "pairing: ×12 fewer" in gains(12.0)[0]
    assert "median ×2.0 (×0.61 to ×12)" in gains(2.0, 0.61, 12.0)[0]
    assert "(×0.80 to ×1.5)" in gains(0.8, 1.5)[0]
    assert "to over ×1000)" in gains(1.5, 1e9)[0]


def test_a_mark_of_every_method_names_none():
    """A list of all labels says less than `every method`; a single method is named."""
    rows = [row(label, cell("mse", 1.0, flags={"odd"})) for label in ("a", "b")]
    assert "odd: every method" in said(*rows, baseline="a")
    assert "odd: a" in said(rows[0], row("b", cell("mse", 1.0)), baseline="a")
    assert "odd: a" in said(rows[0], baseline="a")


def test_a_choice_at_the_edge_of_its_grid_is_marked():
    """A better value may lie outside; one inside the grid has no mark."""
    tuned = row("a", cell("mse", 1.0), chosen={"lr": 0.1, "n": 4}, edges=("lr",), trials=12)
    (text,) = [text for text in said(tuned, baseline="a") if "lr" in text]
    assert "12 trials" in text
    at_lr, at_n = text.split(", ")[:2]
    assert "lr=0.1 (edge" in at_lr
    assert at_n == "n=4"


def test_what_did_not_fit_is_named_with_the_width():
    """A reader knows what a wider terminal would show."""
    (text,) = [text for text in said(dropped=("bias", "memory"), baseline="a") if "bias" in text]
    assert "72" in text
    assert "bias, memory" in text


def test_names_of_plugins_are_shown_as_they_are():
    """An escape sequence in a label or in a flag is printed as its escape."""
    evil = "\x1b[31m"
    rows = [row(f"a{evil}", cell("mse", 1.0, flags={f"odd{evil}"})), row("b", cell("mse", 1.0))]
    texts = said(*rows, row(f"c{evil}", cell("mse", 1.0), incomparable="seed 1 against 0"), baseline="b")
    assert not any("\x1b" in text for text in texts)
    assert sum("\\x1b[31m" in text for text in texts) == 2


def test_an_exact_method_that_is_simply_faster_is_named():
    """With its seconds, and those of the draws on which the best estimator is judged."""
    found = Shortcut(label="exact", seconds=2.2, other="slq", draws=17.07, spent=12.8)
    assert faster(found) == (
        "exact is simply faster: 2.20 s a call, where the 17 draws of slq that the budget buys take 12.8 s"
    )
