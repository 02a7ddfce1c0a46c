"""parquet: types and numbers come back as they were."""

from __future__ import annotations

import json
import math

import pandas as pd
import pyarrow.parquet as pq
from written import row, write_rows


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
