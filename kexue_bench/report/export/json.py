"""JSON: the document of `--format json`, described by `schemas/rows.schema.json`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from ...api import SCHEMA
from ...errors import ResultsError
from ...store import codec
from .table import Plain, Rows, columns_and_rows

# Columns that the tidy frame holds as text, because cells of a frame must be comparable.
_OBJECTS = frozenset({"task_params", "method_params", "labels"})
_ENCODER = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def render_json(rows: Rows, *, run: Sequence[str] = (), head: Mapping[str, object] | None = None) -> str:
    """`{"schema": ..., "run": [...], "rows": [...]}`, strict ASCII JSON with one row a line.

    Missing numbers are null, infinite ones `{"$f": "inf"}`; parameters and labels are objects and flags a list, from a
    frame too. Control characters are kept as their JSON escapes, which are harmless.

    Args:
        run: names of the runs that the rows come from.
        head: further entries, before the rows.
    """
    names, cells = columns_and_rows(rows)
    entries = {"schema": SCHEMA, "run": list(run), **(head or {})}
    start = _line(entries)[:-1] + ',"rows":['
    parse = cache(_object)
    lines = [_line({n: _structured(n, c, parse) for n, c in zip(names, row, strict=True)}) for row in cells]
    return start + ("\n" + ",\n".join(lines) + "\n" if lines else "") + "]}\n"


def _line(row: Mapping[str, object]) -> str:
    try:
        return _ENCODER.encode(row)
    except ValueError:  # an infinity, which needs its tag
        return codec.dumps(row)


def _structured(name: str, cell: Plain, parse: Callable[[str], object]) -> object:
    if name == "flags" and isinstance(cell, str):
        return cell.split()
    return parse(cell) if name in _OBJECTS and isinstance(cell, str) else cell


def _object(text: str) -> object:
    try:
        # As plain JSON, so that a tagged number is kept.
        return json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise ResultsError("parameters and labels must be JSON objects", got=repr(text[:40])) from error
