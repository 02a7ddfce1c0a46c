"""Runs as one tidy pandas frame, built column by column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..api import Case, Evidence, Measurement, Outcome, RunLike
from . import codec

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: tuple[str, ...] = (
    *("run", "key", "family", "task", "task_params", "method", "method_params", "stage", "claim", "replicate", "copy"),
    *("labels", "device", "dtype", "threads", "metric", "value", "ci_low", "ci_high", "n", "unit", "flags"),
    *("status", "reason", "step", "seconds"),
)

_SAME_METHOD = ["run", "family", "task", "task_params", "method", "method_params", "device", "dtype", "threads"]


class _CaseColumns(NamedTuple):
    """Values that all rows of a case share."""

    run: str
    key: str
    family: str
    task: str
    task_params: str
    method: str
    method_params: str
    stage: str
    claim: str
    copy: int
    device: str
    dtype: str
    threads: int
    status: str
    reason: str


def to_frame(runs: Sequence[RunLike]) -> pd.DataFrame:
    """The rows of several runs in one frame; columns and types as in `Run.to_frame`."""
    import numpy as np
    import pandas as pd

    shared: list[_CaseColumns] = []
    counts: list[int] = []
    rows: list[Measurement] = []
    replicates: list[int | None] = []
    nothing = Measurement(metric="", value=None, n=0)
    for run in runs:
        for key, outcome in run.outcomes.items():
            case = run.plan.by_key[key]
            measured = outcome.measurements or (nothing,)
            own = case.replicates[0] if len(case.replicates) == 1 else None
            shared.append(_shared(run.path.name, case, outcome))
            counts.append(len(measured))
            rows.extend(measured)
            replicates.extend(own if m.replicate is None else m.replicate for m in measured)

    repeat = np.repeat(np.arange(len(shared)), counts)
    columns: dict[str, Any] = {}
    for name, values in zip(_CaseColumns._fields, zip(*shared, strict=True) if shared else [()] * 15, strict=True):
        kind = np.dtype("int64") if name in {"copy", "threads"} else "str"
        texts = values if name in {"copy", "threads"} else list(map(_encodable, values))
        columns[name] = pd.array(texts, dtype=kind).take(repeat)
    if any(isinstance(m, Evidence) for m in rows):
        claims = [m.claim if isinstance(m, Evidence) else "" for m in rows]
        columns["claim"] = pd.array(
            [_encodable(c or own) for c, own in zip(claims, columns["claim"], strict=True)], dtype="str"
        )
    columns |= {
        "replicate": pd.array(replicates, dtype="Int64"),
        "labels": pd.array([_encodable(params_text(m.labels)) for m in rows], dtype="str"),
        "metric": pd.array([_encodable(m.metric) for m in rows], dtype="str"),
        "value": np.array([m.value for m in rows], dtype="float64"),
        "ci_low": np.array([m.low for m in rows], dtype="float64"),
        "ci_high": np.array([m.high for m in rows], dtype="float64"),
        "n": np.array([m.n for m in rows], dtype="int64"),
        "unit": pd.array([_encodable(m.unit) for m in rows], dtype="str"),
        "flags": pd.array([_encodable(" ".join(sorted(m.flags))) for m in rows], dtype="str"),
        "step": pd.array([m.point for m in rows], dtype="Int64"),
        "seconds": np.full(len(rows), np.nan),
    }
    frame = pd.DataFrame({name: columns[name] for name in COLUMNS})
    return _with_seconds(frame) if any(m.point is not None for m in rows) else frame


def _encodable(text: str) -> str:
    """`text` with lone surrogates, which cannot be encoded, replaced by their escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def params_text(params: Mapping[str, object]) -> str:
    """Parameters or labels as a JSON object in text, keys sorted, so that equal objects are equal texts."""
    if not params:
        return "{}"
    return json.dumps(codec.encode(params), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _shared(run: str, case: Case, outcome: Outcome) -> _CaseColumns:
    return _CaseColumns(
        run=run,
        key=case.key,
        family=case.family,
        task=case.task.name,
        task_params=params_text(case.task.params),
        method=case.method.name,
        method_params=params_text(_method_params(case, outcome)),
        stage=case.stage,
        claim=case.claim,
        copy=case.copy,
        device=case.device,
        dtype=case.dtype,
        threads=case.threads,
        status=outcome.status,
        reason=outcome.reason,
    )


def _method_params(case: Case, outcome: Outcome) -> Mapping[str, object]:
    """Parameters that the method ran with: those requested, `tuned`, and those chosen by tuning."""
    if "tuned" not in case.options:
        return case.method.params
    return {**case.method.params, **outcome.chosen, "tuned": True}


def _with_seconds(frame: pd.DataFrame) -> pd.DataFrame:
    """Curves over seconds are derived from the measured time of one step, never timed themselves."""
    import numpy as np

    timed: Any = frame[(frame["metric"] == "time") & (frame["stage"] == "time") & (frame["copy"] == 0)]
    one_step = timed.groupby(_SAME_METHOD, as_index=False)["value"].median()
    points: Any = frame[frame["step"].notna()]
    joined = points[_SAME_METHOD].merge(one_step, on=_SAME_METHOD, how="left")
    # Third-party steps times seconds may overflow.
    with np.errstate(all="ignore"):
        frame.loc[points.index, "seconds"] = points["step"].to_numpy(dtype="float64") * joined["value"].to_numpy()
    return frame
