"""A cell as text: exact zeros, bounds, ratios, and what pairing can have removed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tabled import cell, row

from kexue_bench.analysis.tables import Aggregate
from kexue_bench.analysis.verdicts import Effect
from kexue_bench.report.cells import (
    effect_size,
    has_spread,
    is_counted,
    is_seconds,
    is_truth,
    over_tasks,
    smallest_seen,
    value_and_spread,
    verdict_and_size,
)


def test_what_is_exact_up_to_rounding_is_zero_with_the_rounding():
    """3e-9 known to 4e-8 is 0; what is exact and larger than rounding stands as it is, and so does what was sampled."""
    assert value_and_spread(cell("bias", 3e-9, 0.0, 4e-8, exact=True), relative=False) == ("0", "±4e-8")
    assert value_and_spread(cell("bias", 0.0, 0.0, 0.0, exact=True), relative=False) == ("0", "")
    assert value_and_spread(cell("bias", 0.5, 0.5 - 1e-9, 0.5 + 1e-9, exact=True), relative=False)[0] == "0.500000"
    assert value_and_spread(cell("bias", 3e-9, 0.0, 4e-8), relative=False) == ("|b|<4e-8", "")
    cancelled = cell("bias", 5e-9, 1e-9, 9e-9, exact=True)
    assert value_and_spread(cancelled, relative=False)[0] == "5e-9"
    assert value_and_spread(cancelled, relative=False, truth=True) == ("0", "±9e-9")


def test_gains_of_pairing_are_those_of_sampled_pairs(tabulation):
    """Exact rows and rows equal for every draw say nothing about what pairing saves."""
    toy = tabulation.tables[0]
    by_name = {row.method.name: row.cells["mse"] for row in toy.rows if "mse" in row.cells}
    assert has_spread(by_name["rloo"])
    assert not has_spread(by_name["exact"])
    assert not has_spread(replace(by_name["rloo"], flags=frozenset({"degenerate"})))


def against(value, low, high, *, kind="ratio", verdict="better", **fields):
    return Effect(kind=kind, value=value, low=low, high=high, verdict=verdict, **fields)


@pytest.mark.parametrize(
    ("of", "texts"),
    [
        (cell("time", 1.5e-6, 1.4e-6, 1.6e-6, unit="s"), ("1.5 µs", "±7 %")),
        (cell("time-variance", 1.5e-6, 1.4e-6, 1.6e-6, unit="s"), ("1.5e-6", "±7 %")),
        (cell("memory", 2e6, unit="B", exact=True), ("2 MB", "")),
        (cell("mse", 0.5, 0.4, 0.6, {"bound"}), ("<0.6", "")),
        (cell("bias", 0.5, 0.4, 0.6, {"bound"}), ("|b|<0.6", "")),
        (cell("mse", 0.5), ("0.500", "")),
    ],
    ids=lambda of: "" if isinstance(of, tuple) else of.metric,
)
def test_a_value_has_the_form_of_its_kind(of, texts):
    """Seconds with a prefix, sizes in bytes, bounds as bounds, and no spread where there is no interval."""
    assert value_and_spread(of, relative=True) == texts


def test_a_duration_times_an_error_is_no_duration():
    """`time-variance` is in seconds, but 1.5 µs of it would mean nothing."""
    assert is_seconds("time", "s")
    assert is_seconds("first-call", "s")
    assert not is_seconds("time-variance", "s")
    assert not is_seconds("memory", "B")


def test_an_effect_below_one_hundred_per_cent_is_a_per_cent_and_a_factor_beyond():
    """250 % more is ×3.5."""
    assert effect_size(0.04) == "4 %"
    assert effect_size(2.5) == "×3.5"


def test_an_effect_is_told_as_a_ratio_or_with_its_sign():
    """A factor with its interval, a difference with a plus where it is positive, nothing where nothing was tested."""
    ratio = cell("mse", 1.0, effect=against(0.22, 0.21, 0.23))
    assert verdict_and_size(ratio) == ("better", "×0.22", "[0.21, 0.23]")
    for value, text in ((1.0, "+1.0"), (-1.0, "-1.0")):
        found = cell("elbo", 1.0, effect=against(value, value - 0.5, value + 0.5, kind="difference"))
        assert verdict_and_size(found)[1] == text
    untested = cell("mse", 1.0, effect=against(math.nan, math.nan, math.nan, verdict="untestable"))
    assert verdict_and_size(untested) == ("untestable", "", "")
    assert verdict_and_size(cell("mse", 1.0)) == ("", "", "")


def test_an_exact_zero_has_no_factor():
    """How often rounding goes into the error of a rival says nothing."""
    exact = cell("mse", 1e-17, exact=True, effect=against(1e-14, 1e-14, 1e-14))
    assert exact.zero
    assert verdict_and_size(exact) == ("better", "exact", "")
    assert not cell("mse", 1e-17, effect=against(1e-14, 1e-14, 1e-14)).zero


def test_a_method_is_right_where_its_error_is_zero():
    """A zero bias is not enough: an unbiased method has an error still."""
    zero = {"bias": cell("bias", 0.0, exact=True), "mse": cell("mse", 1.0)}
    assert not is_truth(zero)
    assert is_truth(zero | {"mse": cell("mse", 0.0, exact=True)})


def test_a_column_of_counts_is_one_without_any_sampled_value():
    """A missing cell decides nothing."""
    assert is_counted([cell("evaluations", 2.0, exact=True), None])
    assert not is_counted([cell("evaluations", 2.0, exact=True), cell("evaluations", 2.5)])


def test_an_undecided_row_says_what_would_have_been_seen():
    """In per cent for ratios, in the unit of the metric for differences; other rows say nothing."""
    known = cell("mse", 1.0)
    assert smallest_seen(row("a", known, mark="undecided", seen=0.041), "log") == "4 %"
    assert smallest_seen(row("a", known, mark="undecided", seen=0.041), "linear") == "0.04"
    assert smallest_seen(row("a", known, mark="undecided"), "log") == ""
    assert smallest_seen(row("a", known, mark="best"), "log") == ""


@pytest.mark.parametrize(
    ("ratio", "least", "most", "text"),
    [
        (0.25, 0.2, 0.3, ("×0.25", "[0.22, 0.28]")),
        (None, 1.1e-8, 2e3, ("×1.1e-8 to ×2000", "")),
        (None, 0.0, 1e-14, ("exact", "")),
        (None, 1.0, 1.0, ("×1", "")),
        (None, None, None, ("2 of 3 tasks", "")),
    ],
)
def test_a_summary_shows_a_mean_or_else_the_range_of_its_ratios(ratio, least, most, text):
    """Never `×1.1e-8 [7e-90, 2e73]`: the two ratios at the ends say how the tasks differ."""
    low, high = (0.22, 0.28) if ratio else (None, None)
    found = Aggregate(label="a", metric="mse", ratio=ratio, low=low, high=high, least=least, most=most, tasks=2, of=3)
    assert tuple(text for text, _ in over_tasks(found)) == text
    assert over_tasks(None)[0][0] == "-"
