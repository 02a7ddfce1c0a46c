"""What all formats share: rows of mappings and frames become the same plain cells, in one line each."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from written import HOSTILE, ROW_FORMATS, render_rows, row, write_rows

from kexue_bench.report.export.table import cell_text, columns_and_rows, numeric_columns


@pytest.mark.parametrize("fmt", [fmt for fmt in ROW_FORMATS if fmt != "parquet"])
def test_a_frame_and_its_records_render_alike(fmt):
    """A DataFrame, numpy's scalars and pandas' missing values included, gives the same text as rows of plain values."""
    plain = [
        {"name": "a", "value": 0.1, "step": 3, "claim": "x"},
        {"name": "b", "value": None, "step": None, "claim": ""},
    ]
    frame = pd.DataFrame(plain).astype({"step": "Int64"})
    assert render_rows(frame, fmt) == render_rows(plain, fmt)
    assert render_rows(frame.to_dict("records"), fmt) == render_rows(plain, fmt)


@pytest.mark.parametrize("fmt", ROW_FORMATS)
def test_an_empty_table_is_a_table(fmt, tmp_path):
    """No row, or a frame with columns only, is written without an error."""
    write_rows([], fmt, tmp_path / "a")
    write_rows(pd.DataFrame({"x": []}), fmt, tmp_path / "b")
    assert (tmp_path / "b").exists()


@pytest.mark.parametrize("fmt", [fmt for fmt in ROW_FORMATS if fmt not in {"parquet", "json"}])
@pytest.mark.parametrize("text", HOSTILE)
def test_no_control_character_of_data_comes_out(fmt, text):
    """The output holds printable characters and its own newlines; a text cannot forge a row."""
    one = render_rows([row(reason="plain")], fmt)
    out = render_rows([row(reason=text, method=text)], fmt)
    assert all(line.isprintable() for line in out.split("\n"))
    assert out.count("\n") == one.count("\n")


def test_columns_stand_in_order_of_appearance():
    """A column that a later row adds comes last, and a cell that a row lacks is None."""
    assert columns_and_rows([{"a": 1}, {"b": 2, "a": 3}]) == (["a", "b"], [[1, None], [3, 2]])


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),  # the value under test
        (math.nan, None),
        (np.float64("nan"), None),
        (math.inf, math.inf),
        (pd.NA, None),
        (pd.NaT, None),
        ({"b", "a"}, ["a", "b"]),
        ((1, np.int64(2)), [1, 2]),
        ({1: np.float64(2)}, {"1": 2.0}),
        (Path("x"), "x"),
    ],
    ids=repr,
)
def test_a_cell_is_plain_whatever_it_was(value, plain):
    """Numbers of numpy are Python's, what is missing is None, sets have an order."""
    (_, ((cell,),)) = columns_and_rows([{"x": value}])
    assert cell == plain
    assert type(cell) is type(plain)


def test_a_number_keeps_every_bit_unless_digits_are_asked_for():
    """`repr` for files that are read back, rounded for those that are read."""
    assert cell_text(0.1 + 0.2) == "0.30000000000000004"
    assert cell_text(0.1 + 0.2, digits=3) == "0.3"
    assert [cell_text(v) for v in (True, 3, None, "a\nb")] == ["true", "3", "", r"a\x0ab"]
    assert cell_text({"b": 1, "a": [0.5]}) == '{"a":[0.5],"b":1}'


def test_a_column_of_numbers_holds_nothing_else():
    """Empty cells aside; a truth value is no number, and an empty column is none."""
    rows = [[1, "a", True, None], [None, 2.0, False, None]]
    assert numeric_columns(rows, 4) == [True, False, False, False]
