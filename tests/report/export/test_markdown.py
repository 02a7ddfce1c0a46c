"""markdown: aligned columns, and nothing in a text acts as markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from written import HOSTILE, render_rows


def unescaped(text: str, signs: str) -> list[str]:
    """Signs of `signs` that no backslash stands before."""
    return re.findall(f"[{re.escape(signs)}]", re.sub(r"\\.", "", text))


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_has_no_markup_from_data(text):
    """Of a text, no bracket, quote, star, bar or tag is left without a backslash, and no address is a link."""
    line = render_rows([{"reason": text}], "md").splitlines()[2]
    cell = line.removeprefix("| ").removesuffix(" |")
    assert not unescaped(cell, "`*_[]<>|&~$#!{}")
    assert not re.search(r"[a-z]://|www\.|mailto:", cell)


def test_markdown_aligns_and_shortens_numbers():
    """Numbers stand to the right with six digits, texts to the left; the golden text shows the shape."""
    rows = [{"method": "rloo", "variance": 1.23456789e-7, "n": 2}, {"method": "reinforce", "variance": None, "n": 10}]
    assert render_rows(rows, "md") == (
        "| method    |    variance |   n |\n"
        "| --------- | ----------: | --: |\n"
        "| rloo      | 1.23457e-07 |   2 |\n"
        "| reinforce |             |  10 |\n"
    )


def test_markdown_read_by_a_stranger_has_no_tags():
    """A parser of HTML finds no element in the text: every `<` stands behind a backslash."""

    class Tags(HTMLParser):
        found: list[str]

        def handle_starttag(self, tag, attrs):
            self.found.append(tag)

    parser = Tags()
    parser.found = []
    parser.feed(re.sub(r"\\<", "&lt;", render_rows([{"reason": text} for text in HOSTILE], "md")))
    assert parser.found == []
