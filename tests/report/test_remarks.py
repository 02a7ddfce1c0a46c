"""What stands under a table."""

from __future__ import annotations

import re

import stored
from printed import show
from stored import read

from kexue_bench.api import Instance


def test_the_report_says_what_it_could_have_found(tabulation):
    """Detectable effects in the primary column and in time, the control, and the rule behind the letters."""
    text = " ".join(show(tabulation, 160).split())
    assert re.search(r"would have found with 90 %: 4 to 14 % in mse, 5 % in time \(\d+ tests\)", text)
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
