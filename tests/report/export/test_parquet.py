"""parquet: types and numbers come back as they were."""

from __future__ import annotations

import json
import math
import sys

import pandas as pd
import pyarrow.parquet as pq
import pytest
from written import row, write_rows

from kexue_bench.errors import UsageError
from kexue_bench.report.export.parquet import render_parquet


def test_parquet_keeps_types_and_numbers(tmp_path):
    """Read by pyarrow: floats, whole numbers and texts of a frame come back equal, without pandas' own metadata."""
    frame = pd.DataFrame({"value": [0.1, math.nan], "n": [1, 2], "flags": ["", "exact"], "step": [1, None]})
    frame = frame.astype({"step": "Int64"})
    write_rows(frame, "parquet", tmp_path / "t.parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    assert table.schema.metadata is None
    assert table.column("step").to_pylist() == [1, None]
    assert table.column("flags").to_pylist() == ["", "exact"]
    assert table.column("value").to_pylist()[0] == 0.1


def test_parquet_holds_structures_as_json(tmp_path):
    """Rows of mappings: parameters become JSON text, mixed numbers floats."""
    write_rows([row(value=1), row(value=0.5)], "parquet", tmp_path / "t.parquet")
    columns = pq.read_table(tmp_path / "t.parquet").to_pydict()
    assert columns["value"] == [1.0, 0.5]
    assert json.loads(columns["task_params"][0]) == {"bits": 200, "t": 0.45}


@pytest.mark.parametrize(
    ("cells", "stored"),
    [
        ([1, 0.5], [1.0, 0.5]),
        ([1, None], [1, None]),
        ([1, "a", None], ["1", "a", None]),
        ([True, "a"], ["true", "a"]),
        ([{"b": 1, "a": 2}, None], ['{"a":2,"b":1}', None]),
    ],
    ids=repr,
)
def test_a_column_has_one_type(cells, stored, tmp_path):
    """Whole numbers beside fractions are floats, anything beside a text is text, and what is missing stays missing."""
    write_rows([{"x": cell} for cell in cells], "parquet", tmp_path / "t.parquet")
    found = pq.read_table(tmp_path / "t.parquet").column("x").to_pylist()
    assert list(map(repr, found)) == list(map(repr, stored))


def test_without_pyarrow_the_error_says_what_to_install(monkeypatch):
    """It is read by other tools, so not every installation can write it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="pip install pandas pyarrow"):
        render_parquet([{"x": 1}])
