"""The columns at a budget: prices, budgets that pay no draw, and what decides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from progressing import known

from kexue_bench.analysis.progress import own_scale, progress
from kexue_bench.analysis.units import Entry
from kexue_bench.analysis.uses import BELOW, Judged, decider, explained, judge_draws
from kexue_bench.api import Case, FamilySpec, Instance, Measurement, MetricSpec, Outcome

FAMILY = FamilySpec(
    name="gradients", title="", summary="", contract="", precision_metric="mse", baseline="", headline=(),
    work="evaluations", judged_by="progress-loss", uses=(16, 256),
)  # fmt: skip
PLANE = known([3, 4], [1, 2], 6)


def judged(moments=PLANE, family=FAMILY, backward=1.0, **cost):
    place = Instance(name="x", target="a:B")
    case = Case(family="gradients", task=place, task_version=1, method=place, stage="evaluate")
    row = Measurement(metric="mse", value=1.0, moments=moments)
    outcome = Outcome(key=case.key, status="ok", measurements=(row,), cost=cost)
    entry = Entry(run=0, case=case, outcome=outcome, measurement=row)
    return judge_draws([entry], family, spec=lambda name: MetricSpec(name=name), backward=backward)


@pytest.mark.parametrize(("backward", "n"), [(1.0, 4.0), (0.0, 8.0), (3.0, 2.0)])
def test_a_draw_is_priced_when_results_are_read(backward, n):
    """16 units buy 16 / (evaluations + price * backwards) draws."""
    found = judged(evaluations=2.0, backwards=2.0, backward=backward)
    assert found.units["progress-loss[B=16]"].value == progress(PLANE, n).loss
    assert found.units["own-loss[B=16]"].value == own_scale(PLANE, n).loss


def test_a_budget_that_pays_no_draw_has_a_mark_and_no_number():
    """256 states cost more than 16 units; 256 pay for one draw."""
    found = judged(evaluations=256.0)
    assert found.below["progress-loss[B=16]"].flags == {BELOW}
    assert "progress-loss[B=16]" not in found.units
    assert found.units["progress-loss[B=256]"].value == progress(PLANE, 1.0).loss


def test_runs_without_moments_say_why_their_columns_are_empty():
    """An older measurement has no columns at a budget, and a reason; the table still waits for them to decide."""
    found = judged(moments=None, evaluations=1.0)
    assert not found.units
    assert "did not record moments" in found.reason
    assert decider("progress-loss", FAMILY, [found]) == "progress-loss[B=16]"


def test_what_decides_depends_on_the_truth():
    """One dimension: the own-scale loss; none: the mse; else the loss at the first budget."""
    plain = judged(evaluations=1.0)
    line = judged(moments=known([2], [1], 1), evaluations=1.0)
    nought = judged(moments=replace(PLANE, norm=0.0, along=(0.0, 0.0)), evaluations=1.0)
    assert decider("progress-loss", FAMILY, [plain]) == "progress-loss[B=16]"
    assert decider("progress-loss", FAMILY, [line]) == "own-loss[B=16]"
    assert decider("progress-loss", FAMILY, [nought]) == "mse"
    assert decider("bias", FAMILY, [plain]) == "bias"
    assert decider("elbo", FAMILY, [Judged()]) == "elbo"
    assert not nought.units


def test_the_sentence_names_the_unit_of_work():
    """With its price, and what is ignored."""
    text = explained("progress-loss[B=16]", FAMILY, [judged(evaluations=1.0)], backward=1.0)
    assert "1 unit = one f or one gradient of f" in text
    assert "length of the estimate is ignored" in text
    assert "gradients of f are free" in explained("own-loss[B=16]", FAMILY, [], backward=0.0)


def test_values_are_judged_by_their_error():
    """Log-determinants: root mean square error of the mean, about a truth of zero too."""
    family = replace(FAMILY, work="products", judged_by="budget-error", uses=(24,))
    assert judged(family=family, products=6.0).units["budget-error[B=24]"].value == pytest.approx((8 + 6 / 4) ** 0.5)
    nought = replace(PLANE, norm=0.0, along=(0.0, 0.0), across=(5.0, 5.0))
    found = judged(moments=nought, family=family, products=6.0)
    assert found.units["budget-error[B=24]"].value == pytest.approx((5 + 6 / 4) ** 0.5)
    assert decider("budget-error", family, [found]) == "budget-error[B=24]"
