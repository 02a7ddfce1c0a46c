"""What all formats share: rows of mappings and frames become the same plain cells, in one line each."""

from __future__ import annotations

import pandas as pd
import pytest
from written import HOSTILE, ROW_FORMATS, render_rows, row, write_rows


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
