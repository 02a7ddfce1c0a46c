"""Parquet, written for other tools; kexue-bench itself never reads it back."""

from __future__ import annotations

import io

from ...errors import UsageError
from .table import Rows, cell_text, columns_and_rows


def render_parquet(rows: Rows) -> bytes:
    """The table as a Parquet file; a frame keeps its types, mappings and lists become JSON text.

    Raises:
        UsageError: pandas or pyarrow is not installed.
    """
    try:
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UsageError("parquet needs pandas and pyarrow", got=str(error), do="pip install pandas pyarrow") from error
    if isinstance(rows, pd.DataFrame):
        table = pa.Table.from_pandas(rows, preserve_index=False)
    else:
        names, cells = columns_and_rows(rows)
        plain = [[c if c is None or isinstance(c, (bool, int, float, str)) else cell_text(c) for c in r] for r in cells]
        table = pa.table({name: _column([row[i] for row in plain]) for i, name in enumerate(names)})
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), out)
    return out.getvalue()


def _column(cells: list[bool | int | float | str | None]) -> list[object]:
    """Cells of one type: integers mixed with floats become floats, any other mixture becomes text."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds <= {int, float}:
        return [float(c) if c is not None and float in kinds else c for c in cells]
    if len(kinds) > 1:
        return [None if c is None else cell_text(c) for c in cells]
    return list(cells)
