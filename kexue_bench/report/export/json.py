"""JSON: the document of `--format json`, described by `schemas/rows.schema.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ... import codec
from ...api import SCHEMA
from ...errors import ResultsError
from .table import Plain, Rows, columns_and_rows

# Columns that the tidy frame holds as text, because cells of a frame must be comparable.
_OBJECTS = frozenset({"task_params", "method_params", "labels"})


def render_json(rows: Rows, *, run: Sequence[str] = ()) -> str:
    """`{"schema": ..., "run": [...], "rows": [...]}`, strict ASCII JSON with one row a line.

    Missing numbers are null, infinite ones `{"$f": "inf"}`; parameters and labels are objects and flags a list, from a
    frame too. A control character is harmless here and stays itself, as its JSON escape.
    """
    names, cells = columns_and_rows(rows)
    head = f'{{"schema":{json.dumps(SCHEMA)},"run":{json.dumps(list(run))},"rows":['
    lines = [
        codec.dumps({name: _structured(name, cell) for name, cell in zip(names, row, strict=True)}) for row in cells
    ]
    return head + ("\n" + ",\n".join(lines) + "\n" if lines else "") + "]}\n"


def _structured(name: str, cell: Plain) -> object:
    if name == "flags" and isinstance(cell, str):
        return cell.split()
    if name in _OBJECTS and isinstance(cell, str):
        try:
            return codec.loads(cell or "{}")
        except codec.CodecError as error:
            raise ResultsError(f"the column {name} must hold JSON objects", got=repr(cell[:40])) from error
    return cell
