"""Columns are padded, cut and wrapped by display width."""

from __future__ import annotations

from rich.cells import cell_len

from kexue_bench.report.layout import Column, Part, clip, clip_middle, wrap


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
