"""A comparison as flat rows of plain data."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest
from stored import BASE, RIVAL, TOY, VAE, Book, only, read

from kexue_bench.analysis.tables import Summary


def test_rows_hold_plain_json_with_the_documented_columns(study):
    """Strict JSON, one row for each method and metric, one for each method without a result."""
    rows = study.rows()
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    documented = (
        "run key family task task_params method method_params stage claim replicate copy labels device dtype threads "
        "metric value ci_low ci_high n unit flags status reason verdict ratio ratio_low ratio_high rank_group"
    )
    assert set(documented.split()) <= set(rows[0])
    keys = Counter((r["task"], str(r["task_params"]), r["label"], r["metric"]) for r in rows)
    assert set(keys.values()) == {1}
    assert [r["metric"] for r in rows if r["method"] == "my-estimator"] == ["", ""]


def test_what_is_not_finite_is_null_in_a_row():
    """JSON has no NaN and no infinity: an exact method beside a baseline of 0 has neither ratio nor interval there."""
    book = Book(baseline=BASE)
    book.sampled(TOY, BASE, [0.0], stop="exact", bias=(0.0, 0.0, 0.0))
    book.sampled(TOY, RIVAL, [1.0, 1.1, 0.9, 1.05])
    tabulation = read(book.run())
    effect = only(tabulation)[1]["rloo"].cells["mse"].effect
    assert effect.value == math.inf
    (row,) = [r for r in tabulation.rows() if (r["method"], r["metric"]) == ("rloo", "mse")]
    assert (row["ratio"], row["ratio_high"], row["verdict"]) == (None, None, "worse")
    assert row["value"] == pytest.approx(1.0, rel=0.02)


def test_a_row_holds_a_ratio_or_a_difference():
    """As its metric is compared; the other three columns are empty."""
    book = Book(baseline=BASE)
    book.trained(VAE, BASE, [-100.0, -101.0, -102.0])
    book.trained(VAE, RIVAL, [-99.0, -100.1, -100.9])
    (row,) = [r for r in read(book.run()).rows() if (r["method"], r["metric"]) == ("rloo", "elbo")]
    assert row["difference"] == pytest.approx(1.0)
    assert (row["ratio"], row["ratio_low"], row["ratio_high"]) == (None, None, None)


def test_a_method_without_a_result_is_one_row_with_its_reason():
    """It would vanish from a frame otherwise."""
    book = Book(baseline=BASE)
    book.sampled(TOY, BASE, [1.0, 1.1])
    book.outcome(book.case(TOY, RIVAL), status="crashed", phase="evaluate", reason="SIGSEGV")
    (row,) = [r for r in read(book.run()).rows() if r["method"] == "rloo"]
    assert (row["status"], row["reason"], row["metric"], row["value"]) == ("crashed", "SIGSEGV", "", None)
    assert row["n"] == 0


def test_tasks_that_a_method_was_never_meant_for_do_not_count():
    """An empty verdict is that of a task where the method was left out."""
    summary = Summary(
        family="f", title="", tasks=3, planned=3, statuses={}, labels=("a",), aggregates=(), stars={}, unsettled={},
        verdicts={"a": {"better": 1, "untestable": 1, "": 1}},
    )  # fmt: skip
    assert summary.met("a") == 2
