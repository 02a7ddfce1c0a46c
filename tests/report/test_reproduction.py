"""Published figures under the table of their task, each beside ours."""

from __future__ import annotations

import pytest
from rich.console import Console
from stored import BASE, RIVAL, SOURCE, TOY, Book, figure, gamma, method, read

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
