"""csv: numbers survive exactly, and no text becomes a formula."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written import HOSTILE, render_rows, row

floats = st.floats(allow_nan=False)


def read_csv(text: str) -> list[dict[str, str]]:
    """What the standard library reads."""
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("text", HOSTILE)
def test_csv_has_no_formula_cell(text):
    """Whatever the text, no cell of it or of a header begins like a formula, blanks aside."""
    out = list(csv.reader(io.StringIO(render_rows([{text: text, "value": -1.5}], "csv"))))
    assert len(out) == 2
    cells = [out[0][0], out[1][0]]
    assert not any(re.match(r"\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]", cell) for cell in cells)
    assert out[1][1] == "-1.5"


@given(floats)
def test_csv_keeps_every_bit_of_a_number(value):
    """A float, negative or infinite ones too, is read back as it was; an apostrophe never touches it."""
    assert float(read_csv(render_rows([{"value": value}], "csv"))[0]["value"]) == value


def test_csv_writes_structures_as_json():
    """Parameters are JSON objects with sorted keys, flags a JSON list, missing values nothing."""
    out = read_csv(render_rows([row(task_params={"t": 0.5, "bits": 1})], "csv"))[0]
    assert json.loads(out["task_params"]) == {"bits": 1, "t": 0.5}
    assert json.loads(out["flags"]) == ["heavy-tail"]
    assert out["ci_high"] == ""
