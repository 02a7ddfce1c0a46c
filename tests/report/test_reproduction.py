"""Published figures under the table of their task, each beside ours."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console
from stored import BASE, RIVAL, SOURCE, TOY, Book, figure, gamma, method, read
from tabled import table

from kexue_bench.analysis.tables import Reproduction
from kexue_bench.report.reproduction import accepted, beside, count, here, subject, there
from kexue_bench.report.terminal import render


def quarter():
    """A run in which the rival's mse is a quarter of the baseline's."""
    book = Book(baseline=BASE)
    units = gamma(1)
    book.sampled(TOY, BASE, units)
    book.sampled(TOY, RIVAL, 0.25 * units)
    return book.run()


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_report_shows_there_and_here(width):
    """Under the table: the method, the printed figure, ours, the verdict, the source; no line beyond the width."""
    console = Console(width=width, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(render(read(quarter(), published=[figure()]), width=width))
    text = captured.get()
    assert max(map(len, text.splitlines())) <= width
    below = text[text.index("published") :]
    assert "0.25" in below
    assert "reproduced" in below
    assert SOURCE in below


@pytest.mark.parametrize("width", [60, 80])
def test_long_names_give_way_to_the_verdict(width):
    """A label and a statement longer than a line are cropped; what is here and what it means stand whole."""
    long = method("an-estimator-with-a-long-name", parameter=1234567, other=7654321)
    book = Book(baseline=BASE)
    book.sampled(TOY, BASE, [2.0, 2.2, 2.1, 2.0])
    book.sampled(TOY, long, [1.0, 1.1, 1.0, 1.2])
    known = figure(of=long, against=BASE, value=None, low=0.1, high=0.9, statement="lower at every point " * 4)
    lines = [Text.plain for Text in render(read(book.run(), published=[known]), width=width).renderables]
    assert max(map(len, lines)) <= width
    assert any(line.endswith("reproduced") for line in lines)


def item(value=None, low=None, high=None, *, against=None, spec=None):
    """Ours and the printed figure, the latter changed by `spec`."""
    known = figure(against=against, **(spec or {})).spec
    return Reproduction(spec=known, run="r", label="rloo[n=2]", value=value, low=low, high=high)


def test_the_accepted_range_may_be_open():
    """One end, the other, both or none."""

    def of(low, high):
        return accepted(item(spec={"low": low, "high": high}))

    assert of(0.24, 0.26) == "[0.24, 0.26]"
    assert of(0.5, None) == "≥ 0.5"
    assert of(None, 2.0) == "≤ 2"
    assert of(None, None) == ""


def test_a_statement_stands_where_no_number_was_printed():
    """An order or a rate is quoted; a number is printed as it was read."""
    assert there(item()) == "0.25"
    assert there(item(spec={"statement": "lower at every k"})) == "0.25"
    assert there(item(spec={"value": None, "statement": "lower at every k"})) == "lower at every k"


def test_ours_is_printed_with_its_spread():
    """An exact value has none, and what was not measured is a dash."""
    assert here(item(0.25, 0.24, 0.26)) == "0.25 ±4 %"
    assert here(item(2.0, 2.0, 2.0)) == "2"
    assert here(item()) == "-"


def test_a_ratio_names_both_methods():
    """A figure of two methods would read as one of the first."""
    assert subject(item()) == "rloo[n=2]"
    assert subject(item(against=BASE)) == "rloo[n=2] against reinforce"


def test_a_table_without_published_figures_has_no_lines():
    """Not even a heading."""
    assert beside(table(), 100, str) == []


def test_narrow_terminals_lose_the_metric_first():
    """Then the accepted range, then the printed figure; method, ours and verdict stay."""
    found = table(published=(item(0.25, 0.24, 0.26),))
    seen = []
    for width in range(100, 20, -1):
        head = beside(found, width, str)[1].plain.split()
        seen += [head] if head not in seen else []
    assert seen == [
        ["published", "kind", "metric", "paper", "accepted", "ours"],
        ["published", "kind", "paper", "accepted", "ours"],
        ["published", "kind", "paper", "ours"],
        ["published", "paper", "ours"],
        ["published", "ours"],
    ]


def test_kinds_are_counted_apart():
    """Numbers, readings and orders are not added up, and readings that are not independent evidence are told apart."""
    kinds = [("number", True), ("number", True), ("reading", True), ("reading", False), ("order", True)]
    items = [
        replace(item(0.25, 0.25, 0.25, spec={"kind": kind, "blind": blind}), verdict="reproduced")
        for kind, blind in kinds
    ]
    items[0] = replace(items[0], verdict="undecided")
    assert count(items) == "numbers 1 of 2, readings 2 of 2 (1 read blind), orders 1 of 1"
    assert count(items[3:4]) == "readings 1 of 1 (none read blind)"
    lines = [text.plain for text in beside(table(published=tuple(items)), 100, str)]
    assert f"reproduced: {count(items)}" in map(str.strip, lines)


def test_a_vector_shows_its_length_and_its_largest_distance():
    """Its entries would fill the table; the accepted range is a distance."""
    known = {"kind": "vector", "value": None, "low": None, "high": None, "within": 5e-5}
    of = item(2e-6, 2e-6, 2e-6, spec={**known, "entries": {"entry=0": 1.0, "entry=1": 2.0}})
    assert (there(of), accepted(of), here(of)) == ("2 values", "within 5e-05", "2e-6")
