"""Tables and logits from files of the user's, read without running anything and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kexue_bench.lab.own import RefusedError, content

if TYPE_CHECKING:
    import pandas as pd

MOST = 10_000_000
"""Numbers in the largest table: five splits are trained side by side."""
FEWEST = 5
"""Items with each value of a label: a fifth of the items tests, and another fifth validates."""


def read_table(place: str) -> pd.DataFrame:
    """A table `.csv` (with a line of names) or `.parquet`.

    Raises:
        ValueError: the file is of another kind, damaged, empty or too large.
    """
    path = Path(place)
    table = content(place, {".csv": _csv, ".parquet": _parquet}, what="a table")
    if not len(table):
        raise ValueError(f"{path.name} must have rows, got none")
    _limit(path.name, *table.shape)
    return table


def _csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(path)


def _parquet(path: Path) -> pd.DataFrame:
    import pandas as pd
    from pyarrow import parquet

    # The size of the contents stands at the end of the file, so that a small file with a huge table is refused unread.
    with parquet.ParquetFile(path) as file:
        rows, columns = file.metadata.num_rows, file.metadata.num_columns
    if rows * columns > MOST:
        raise RefusedError(f"must have at most {MOST:,} numbers, got {rows:,} x {columns}")
    return pd.read_parquet(path)


def _limit(name: str, rows: int, columns: int) -> None:
    if rows * columns > MOST:
        raise ValueError(f"{name} must have at most {MOST:,} numbers, got {rows:,} x {columns}; take a part of it")


def columns_of(text: str) -> tuple[str, ...]:
    """Column names written with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def split(
    table: pd.DataFrame, name: str, *, labels: Sequence[str], drop: Sequence[str], positive: str
) -> tuple[Tensor, Tensor]:
    """Items `[n, d]` and targets `[n, C]`, float64.

    Args:
        table: the whole table.
        name: the file's name, for messages.
        labels: columns that are predicted.
        drop: columns that are left out.
        positive: value that counts as 1; empty for columns of 0 and 1, or of truth values.

    Raises:
        ValueError: a column is missing, holds text or missing values, or a label has not both values often enough.
    """
    for column in (*labels, *drop):
        if column not in table.columns:
            from kexue_bench.errors import UnknownNameError

            raise ValueError(f"{name}: {UnknownNameError('column', column, map(str, table.columns))}")
    rest = table.drop(columns=[*labels, *drop])
    if not len(rest.columns):
        raise ValueError(f"{name} must have columns besides {', '.join(labels)}, got none")
    _refuse_text(rest, name)
    _refuse_missing(table.drop(columns=list(drop)), name)
    x = torch.from_numpy(rest.to_numpy(dtype=np.float64, copy=True))
    if not bool(x.isfinite().all()):
        bad = [str(column) for column, fine in zip(rest.columns, x.isfinite().all(0).tolist(), strict=True) if not fine]
        raise ValueError(f"{name} must hold finite numbers, got infinite ones in {_listed(bad)}")
    y = torch.stack([_target(table.loc[:, label], name, label, positive) for label in labels], dim=1)
    return x, y


def _refuse_text(table: pd.DataFrame, name: str) -> None:
    from pandas.api import types

    text = [str(column) for column in table.columns if not types.is_numeric_dtype(table[column].dtype)]
    if text:
        example = next((value for value in table[text[0]] if isinstance(value, str)), table[text[0]].iloc[0])
        raise ValueError(
            f"{name} must hold numbers, got {table[text[0]].dtype} in {_listed(text)} (such as {str(example)[:20]!r}); "
            f"encode them, or leave them out with drop='{','.join(text[:3])}'"
        )


def _refuse_missing(table: pd.DataFrame, name: str) -> None:
    lacking = table.isna().sum()
    bad = [f"{column} ({count})" for column, count in lacking.items() if count]
    if bad:
        raise ValueError(
            f"{name} must have no missing values, got some in {_listed(bad)} of {len(table)} rows; fill them or leave "
            "out the rows or, with drop=..., the columns"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _target(column: pd.Series, name: str, label: str, positive: str) -> Tensor:
    values = [str(value) for value in column.unique()]
    if positive:
        hits = column.astype(str) == positive
        if positive not in values:
            raise ValueError(f"{name}: no {label} is {positive!r}, got {_listed(sorted(values))}")
    else:
        if not set(values) <= {"0", "1", "0.0", "1.0", "True", "False"}:
            raise ValueError(
                f"{name}: {label} must be 0 or 1, got {_listed(sorted(values))}; say with positive=... which value is "
                "the positive one"
            )
        hits = column.astype(float) == 1
    return checked_target(torch.from_numpy(hits.to_numpy(dtype=np.float64, copy=True)), name, label)


def checked_target(target: Tensor, name: str, label: str) -> Tensor:
    """The target `[n]`, refused if one of its values is too rare to be split.

    Raises:
        ValueError: fewer than `FEWEST` items have one of the two values.
    """
    hits = int(target.sum())
    if min(hits, len(target) - hits) < FEWEST:
        raise ValueError(
            f"{name}: {label} must be 1 for at least {FEWEST} items and 0 for as many, got {hits} of {len(target)}"
        )
    return target


def read_logits(place: str) -> tuple[Tensor, Tensor]:
    """Logits and labels, `[n, C]` each: `.npz` with `logits` and `labels` of one shape, or a table with the columns
    `logit` and `label`.

    Raises:
        ValueError: the file holds something else, logits that are not finite, or labels other than 0 and 1.
    """
    path = Path(place)
    if path.suffix == ".npz":
        found = content(place, {".npz": _arrays}, what="an archive")
    else:
        table = read_table(place)
        lacking = [name for name in ("logit", "label") if name not in table.columns]
        if lacking:
            raise ValueError(
                f"{path.name} must have the columns logit and label, got {_listed(list(map(str, table.columns)))}"
            )
        table = table.loc[:, ["logit", "label"]]
        _refuse_text(table, path.name)
        _refuse_missing(table, path.name)
        found = table["logit"].to_numpy(), table["label"].to_numpy()
    logits, labels = (array[:, None] if array.ndim == 1 else array for array in found)
    if logits.shape != labels.shape or logits.ndim != 2 or not logits.size:
        raise ValueError(f"{path.name}: logits and labels must have one shape, got {logits.shape} and {labels.shape}")
    if logits.dtype.kind not in "fiu" or labels.dtype.kind not in "fiub":
        raise ValueError(f"{path.name} must hold numbers, got {logits.dtype} and {labels.dtype}")
    _limit(path.name, *logits.shape)
    if not np.isfinite(logits).all():
        raise ValueError(
            f"{path.name}: logits must be finite, got {np.count_nonzero(~np.isfinite(logits))} that are not"
        )
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"{path.name}: labels must be 0 or 1, got {_listed([str(v) for v in np.unique(labels)])}")
    z, y = (torch.from_numpy(np.array(array, dtype=np.float64)) for array in (logits, labels))
    for column in range(y.shape[1]):
        checked_target(y[:, column], path.name, f"label {column}")
    return z, y


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        if {"logits", "labels"} <= set(arrays.files):
            return arrays["logits"], arrays["labels"]
        raise RefusedError(f"must hold the arrays logits and labels, got {_listed(arrays.files) or 'none'}")
