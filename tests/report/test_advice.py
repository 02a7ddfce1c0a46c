"""A recommendation in words."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from kexue_bench.analysis.recommend import Limit, Need, Specs, recommend
from kexue_bench.report.advice import render_advice


def show(tabulation, width=100, *, unicode=True, tasks=(), **need):
    """The answer as text."""
    asked = Need(**need)
    found = recommend(tabulation, Specs(), "gradients", asked, tasks=tasks)
    out = io.StringIO()
    Console(file=out, width=width).print(
        render_advice(found, asked, tabulation, width=width, unicode=unicode), crop=False
    )
    return out.getvalue()


def test_one_task_has_error_price_and_a_warning(tabulation):
    """Value with its spread, counters and seconds, and that one task is one task."""
    text = " ".join(show(tabulation, tasks=["toy[bits=200]"]).split())
    assert text.startswith("gradients: no constraint; measured on toy[bits=200]")
    assert "disarm: less exact than the others, and cheaper; mse 3.2e-7 ±4 %; 2 evals" in text
    assert "exact: no smaller error was shown; mse 0; 400 evals" in text
    assert "another problem may order them otherwise" in text


def test_a_limit_is_repeated_and_what_it_leaves_out_is_named(tabulation):
    """The exact method costs 400 evaluations."""
    limit = Limit.of("10 evaluations", ["evaluations"])
    text = " ".join(show(tabulation, tasks=["toy[bits=200]"], limits=(limit,)).split())
    assert "at most 10 evaluations; measured on" in text
    assert "this would change it: exact (costs more than 10 evaluations)" in text


def test_nothing_may_fulfil_it(tabulation):
    """Said in one line."""
    limit = Limit.of("0.5 evaluations", ["evaluations"])
    assert "no method fulfils this" in show(tabulation, tasks=["toy[bits=200]"], limits=(limit,))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_wider_than_the_terminal(tabulation, width):
    """Sentences are wrapped; names are not broken."""
    assert max(cell_len(line) for line in show(tabulation, width).splitlines()) <= width


def test_ascii_output_is_ascii(tabulation):
    """Where the encoding has no signs, every one has a replacement."""
    assert show(tabulation, unicode=False, tasks=["toy[bits=1]"]).isascii()
