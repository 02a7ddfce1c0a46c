"""Columns are padded, cut and wrapped by display width."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from kexue_bench.report.layout import GAP, Column, Part, ascii_only, clip, clip_middle, line, total_width, wrap


def test_wide_characters_keep_columns_aligned():
    """Display width, not length, decides padding."""
    column = Column(header="m", align="lr", cells=[(Part("方法"), Part("1")), (Part("ab"), Part("20"))])
    assert {cell_len(column.render(i).plain) for i in range(2)} == {7}
    assert cell_len(clip("方法方法", 5, "…")) <= 5


def test_long_labels_keep_both_ends():
    """Name and last parameter tell labels apart, so the middle goes."""
    assert clip_middle("gumbel-softmax[temperature=0.5]", 20, "…") == "gumbel-sof…ture=0.5]"
    assert clip_middle("short", 20, "…") == "short"


def test_remarks_break_between_words_and_not_inside_intervals():
    """An interval and a per cent stay on one line."""
    lines = [line.plain for line in wrap("aaaa ×1.00 [0.995, 1.010] bbbb 5 % cc", 18, indent="")]
    assert lines == ["aaaa ×1.00", "[0.995, 1.010]", "bbbb 5 % cc"]


TEXTS = st.text("ab方… [0]%", max_size=40)


@given(TEXTS, st.integers(1, 30))
def test_what_is_cut_fits_and_says_so(text, width):
    """Whole where it fits, else within the width and with the sign of what is missing."""
    for cut in (clip, clip_middle):
        out = cut(text, width, "…")
        assert cell_len(out) <= width
        assert out == text if cell_len(text) <= width else "…" in out


@given(st.lists(st.text("ab方", min_size=1, max_size=8), max_size=12), st.integers(10, 30))
def test_wrapping_loses_no_word_and_fills_no_line_beyond_its_width(words, width):
    """Only a word that is longer than a line stands over its end."""
    lines = [line.plain for line in wrap(" ".join(words), width, indent="  ")]
    assert " ".join(line.removeprefix("  ") for line in lines) == " ".join(words)
    assert all(cell_len(line) <= width or " " not in line.removeprefix("  ") for line in lines)


def test_columns_side_by_side_are_as_wide_as_they_say():
    """Heading and rows of one width, two blanks apart; blanks at the end are cut."""
    columns = [
        Column(header="long heading", align="l", cells=[(Part("a"),), (Part("b"),)]),
        Column(header="n", align="r", cells=[(Part("7"),), (Part("12345"),)]),
    ]
    assert [column.width for column in columns] == [12, 5]
    assert total_width(columns) == 12 + GAP + 5
    assert line([column.heading() for column in columns]).plain == "long heading  n"
    rows = [line([column.render(i) for column in columns]).plain for i in range(2)]
    assert rows == ["a                 7", "b             12345"]


def test_parts_of_a_column_line_up():
    """Numbers under numbers and spreads under spreads; a first part that stands alone may spill over the second."""
    cells = [(Part("1.5"), Part("±2 %")), (Part("10"), Part("±10 %")), (Part("no interval here"), Part())]
    column = Column(header="", align="rl", cells=cells)
    assert [column.render(i).plain.rstrip() for i in range(3)] == ["1.5 ±2 %", " 10 ±10 %", "no interval here"]
    assert {column.render(i).cell_len for i in range(3)} == {len("no interval here")}


def test_every_sign_of_the_report_has_an_ascii_form():
    """None of them becomes an escape; a foreign letter does."""
    signs = "★×±µ…—∞≤╰·─"
    assert ascii_only(signs).isascii()
    assert "\\u" not in ascii_only(signs)
    assert "\\x" not in ascii_only(signs)
    assert ascii_only("方") == "\\u65b9"
