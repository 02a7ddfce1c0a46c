"""text: nothing from data acts on the terminal, and nothing is hidden."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexue_bench.report.text import visible


@pytest.mark.parametrize("text", ["rloo[n=2]", "µs ±2 %", "科学", "é", "a  b", "\\x1b", "🙂"])
def test_what_can_be_seen_stands_as_it_is(text):
    """Letters of any script, signs and plain blanks are not touched."""
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x1b]52;c;cm0=\x07", r"\x1b]52;c;cm0=\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("a\rb\x08\x7f", r"a\x0db\x08\x7f"),
        ("one\ntwo\tthree", r"one\x0atwo\x09three"),
        ("\u202efdp.exe", r"\u202efdp.exe"),
        ("rl\u200boo", r"rl\u200boo"),
        ("a\u2028b\ufeff", r"a\u2028b\ufeff"),
        ("\ud800", r"\ud800"),
        ("\U000e0041\U000e0100", r"\U000e0041\U000e0100"),
        ("\u3164\u115f\ufe0f", r"\u3164\u115f\ufe0f"),
        ("a\xa0b", r"a\xa0b"),
    ],
)
def test_what_acts_or_hides_becomes_its_escape(text, expected):
    """Escape sequences, overrides, zero-width, surrogates, tags, fillers and strange blanks can be read."""
    assert visible(text) == expected


def test_no_character_of_a_harmful_category_survives():
    """Over all of Unicode: controls, formats, surrogates, private, unassigned, separators never come out."""
    harmful = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    assert {unicodedata.category(c) for c in set(visible(everything))}.isdisjoint(harmful)


@given(st.text())
def test_visible_is_one_printable_line_and_idempotent(text):
    """The result is printable, encodable, and stays itself when made visible again."""
    out = visible(text)
    assert out.isprintable()
    assert out.encode("utf-8").decode("utf-8") == out
    assert visible(out) == out


def test_paragraphs_keep_their_newlines_only_when_asked():
    """A traceback is many lines; nothing but its newlines is let through."""
    assert visible("a\n\x1bb\r\n", keep_newlines=True) == "a\n\\x1bb\\x0d\n"
