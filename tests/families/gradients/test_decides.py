"""What decides among gradient estimators: no zero, reversed or constant direction wins, and scale is free."""

from __future__ import annotations

import math

import pytest

import kexue_bench

_PLUGIN = """
from dataclasses import dataclass, replace

import torch

from kexue_bench import MethodSpec, hookimpl


@hookimpl
def kexue_methods():
    return [
        MethodSpec(name="scaled", family="gradients", target="decoys:Scaled", summary="a multiple of rloo"),
        MethodSpec(name="constant", family="gradients", target="decoys:Constant", summary="the same vector always"),
    ]


@dataclass(frozen=True, kw_only=True)
class Scaled:
    by: float = 0.5

    def estimate(self, distribution, objective, noise, repeats, state=None):
        from kexue_gradients import Rloo

        sample = Rloo().estimate(distribution, objective, noise, repeats)
        return replace(sample, gradient=self.by * sample.gradient)


@dataclass(frozen=True, kw_only=True)
class Constant:
    size: float = 0.05

    def estimate(self, distribution, objective, noise, repeats, state=None):
        from kexue_gradients import Rloo

        sample = Rloo().estimate(distribution, objective, noise, repeats)
        return replace(sample, gradient=torch.full_like(sample.gradient, self.size))
"""
TASKS = ("qubo", "bernoulli-toy", "bernoulli-toy[t=0.499,bits=200]", "bernoulli-toy[t=0.5]")
METHODS = ("scaled[by=[-1.0,0.0,0.5]]", "constant", "rloo", "disarm", "reinforce", "straight-through", "exact")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Honest methods and decoys on toys, read as `compare` reads them."""
    path = tmp_path_factory.mktemp("plugin") / "decoys.py"
    path.write_text(_PLUGIN)
    return kexue_bench.compare(
        "gradients",
        METHODS,
        TASKS,
        stages="evaluate",
        budget=16384,
        plugins=str(path),
        output=None,
        quiet=True,
        isolation="none",
    )


def rows(found, task):
    table = next(table for table in found.tables if (table.task.label or table.task.name) == task)
    return table, {row.label: row for row in table.rows}


DECOYS = ("scaled[by=-1] (decoys)", "scaled[by=0] (decoys)", "constant (decoys)")


@pytest.mark.parametrize("task", TASKS[:3])
def test_decoys_are_last_and_never_marked(found, task):
    """Zero, reversed and constant directions stand behind every method along the truth, and take no mark."""
    table, row = rows(found, task)
    labels = [row.label for row in table.rows]
    assert set(labels[-3:]) == set(DECOYS)
    assert all(row[label].mark == "" for label in DECOYS)
    assert any(other.mark for other in table.rows)


def test_decoys_are_last_over_tasks(found):
    """The summary lists them last too."""
    (summary,) = found.tabulation.summaries
    assert set(summary.labels[-3:]) == set(DECOYS)
    marks = {row.label: row.mark for table in found.tables if table.primary != "mse" for row in table.rows if row.mark}
    assert not set(DECOYS) & set(marks)


@pytest.mark.parametrize("task", [TASKS[0], TASKS[2]])
def test_half_of_rloo_equals_rloo(found, task):
    """To the last digit, ends included; they share a letter, and both are marked alike."""
    table, row = rows(found, task)
    assert table.primary == "progress-loss[B=16]"
    one, half = row["rloo"], row["scaled[by=0.5] (decoys)"]
    for key in ("progress-loss[B=16]", "progress-loss[B=256]", "progress-loss[B=4096]"):
        ours, theirs = one.cells[key], half.cells[key]
        assert (ours.value, ours.low, ours.high) == (theirs.value, theirs.low, theirs.high)
    assert one.cells[table.primary].rank_group == half.cells[table.primary].rank_group
    assert one.mark == half.mark


def test_length_tells_half_from_whole(found):
    """Its column says 1 and 0.5, marked outside [0.8, 1.25], and the biased one has its mark."""
    _, row = rows(found, "qubo")
    one, half = row["rloo"], row["scaled[by=0.5] (decoys)"]
    assert one.cells["length"].low < 1 < one.cells["length"].high
    assert half.cells["length"].value == pytest.approx(one.cells["length"].value / 2, rel=1e-12)
    assert "off-length" in half.cells["length"].flags
    assert "off-length" not in one.cells["length"].flags
    assert half.biased
    assert not one.biased


def test_one_dimension_is_decided_on_its_own_scale(found):
    """One bit: every constant of the right sign points along the truth, so that length counts; the header says so."""
    table, row = rows(found, "bernoulli-toy")
    assert table.primary == "own-loss[B=16]"
    assert "one dimension" in table.decides
    q = 0.5 * (1 / (1 + math.exp(-0.5))) / (1 + math.exp(0.5)) * 2
    expected = (0.5 - q) / (q * 8 + 0.5 - q)
    cell = row["rloo"].cells[table.primary]
    assert cell.low <= expected <= cell.high
    assert cell.value == pytest.approx(0.1235398963, rel=0.05)
    assert row["scaled[by=0.5] (decoys)"].cells[table.primary].value == pytest.approx(0.3426549222, rel=0.05)


def test_a_truth_of_zero_is_decided_by_the_error(found):
    """At both states f is equal: no direction is right, and the header says that the mse decides."""
    table, row = rows(found, "bernoulli-toy[t=0.5]")
    assert table.primary == "mse"
    assert "the truth is zero" in table.decides
    assert "progress-loss[B=16]" not in row["rloo"].cells


def test_enumeration_of_many_states_is_below_one_draw(tmp_path):
    """256 states cost more than 16 units: no number, no mark, and a number where the budget pays for one draw."""
    found = kexue_bench.compare(
        "gradients", ("exact", "rloo"), "parity", stages="evaluate", budget=8192, output=None, quiet=True,
        isolation="none",
    )  # fmt: skip
    (table,) = found.tables
    exact = next(row for row in table.rows if row.label == "exact")
    assert exact.cells["progress-loss[B=16]"].flags == {"below-one-draw"}
    assert exact.mark == ""
    assert exact.cells["progress-loss[B=256]"].value < 1e-9
    assert "< 1 draw" in str(found)


def test_prices_are_applied_when_results_are_read(tmp_path):
    """A backward pass costs one evaluation, or what the reader says; budgets too; nothing is run again."""
    here = {"stages": "evaluate", "budget": 8192, "output": tmp_path, "quiet": True, "isolation": "none"}
    methods = ("straight-through", "rloo")

    def loss(key, **reading):
        found = kexue_bench.compare("gradients", methods, "qubo", **here, **reading)
        row = next(row for row in found.tables[0].rows if row.label == "straight-through")
        return row.cells[key].value, found.runs[0].plan.cases[0].key

    usual, key = loss("progress-loss[B=16]")
    free, same = loss("progress-loss[B=16]", backward_cost=0.0, resume="latest")
    small, _ = loss("progress-loss[B=8]", budget_of_use=8, backward_cost=0.0, resume="latest")
    assert free < usual
    assert small == usual
    assert key == same
