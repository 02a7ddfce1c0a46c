"""Shared by all formats: a DataFrame or rows of mappings as columns and plain cells."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...store import codec
from ..text import visible

if TYPE_CHECKING:
    import pandas as pd

    Rows = pd.DataFrame | Sequence[Mapping[str, object]]
else:
    Rows = object

Plain = bool | int | float | str | Mapping[str, object] | Sequence[object] | None


def columns_and_rows(rows: Rows) -> tuple[list[str], list[list[Plain]]]:
    """Column names in order of appearance, and one list of plain cells per row; missing cells are None.

    Numbers of numpy become Python's; NaN, NaT and `pandas.NA` become None.
    """
    if hasattr(rows, "columns"):
        frame: Any = rows
        names = [str(name) for name in frame.columns]
        columns = [[_plain(value) for value in frame.iloc[:, i].tolist()] for i in range(len(names))]
        return names, [list(row) for row in zip(*columns, strict=True)]
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    return names, [[_plain(row.get(name)) for name in names] for row in rows]


def cell_text(value: Plain, *, digits: int = 0) -> str:
    """A cell as one line of visible text; a mapping or a sequence as JSON.

    Args:
        digits: significant digits of floats; 0 prints them exactly.
    """
    if isinstance(value, str):
        return visible(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(value, f".{digits}g") if digits else repr(value)
    if isinstance(value, int):
        return str(value)
    return visible(json.dumps(codec.encode(value), sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def is_number(value: Plain) -> bool:
    """Whether the cell is a number (a boolean is not)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def numeric_columns(rows: Sequence[Sequence[Plain]], count: int) -> list[bool]:
    """Which columns hold only numbers and empty cells, with at least one number."""
    out = []
    for i in range(count):
        cells = [row[i] for row in rows if row[i] is not None]
        out.append(bool(cells) and all(is_number(cell) for cell in cells))
    return out


def _plain(value: object) -> Plain:
    if value is None or isinstance(value, (str, bool)) or type(value) is int:
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(str(item) for item in value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if callable(item := getattr(value, "item", None)):  # a scalar of numpy
        return _plain(item())
    # pandas' markers of a missing cell (NA, NaT) differ from themselves or refuse to say.
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    return str(value)
