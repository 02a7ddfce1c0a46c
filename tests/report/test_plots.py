"""Pictures: the numbers behind them against brute force, and drawings that take any name and any run."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kexue_bench.analysis.tables import Cell, Row, Table
from kexue_bench.api import Case, Instance, Job, Measurement, Outcome, Plan
from kexue_bench.cli.main import main
from kexue_bench.errors import UsageError
from kexue_bench.report import plots
from kexue_bench.report.curves import Curve, Estimator, Gap, estimators, gaps, leads, priced, trails

TASK = Instance(name="task", params={"n": 1}, target="m:T", label="task[n=1]")


def cell(metric, value, low=None, high=None, flags=()):
    return Cell(
        key=metric, metric=metric, value=value, low=low, high=high, n=9, unit="", flags=frozenset(flags),
        stage="evaluate", case_key="k", exact=False,
    )  # fmt: skip


def row(label, *cells):
    method = Instance(name=label, target="m:M", label=label)
    return Row(method=method, label=label, run="r", status="ok", reason="", key="k", cells={c.key: c for c in cells})


def table(*rows):
    return Table(
        family="toy", task=TASK, summary="", device="cpu", dtype="float32", threads=(1,), seeds=(0,), primary="mse",
        columns=(), baseline="", rows=rows, control=None, timed=False, tests=0, detectable={},
    )  # fmt: skip


def estimator(label, bias=0.0, variance=1.0, work=1.0, seconds=None, bias_high=None):
    return Estimator(
        label=label, bias=bias, bias_low=bias, bias_high=bias if bias_high is None else bias_high, variance=variance,
        variance_low=variance, variance_high=variance, work=work, seconds=seconds,
    )  # fmt: skip


# -- numbers ----------------------------------------------------------------------------------------------------------


def test_a_bias_that_is_not_told_apart_from_zero_counts_as_zero():
    """Its interval holds 0 or it is a bound; rows without spread, cost or bias are left out."""
    variance, work = cell("variance", 2.0, 1.9, 2.1), cell("evaluations", 3.0)
    found = estimators(
        table(
            row("clear", cell("bias", 0.5, 0.4, 0.6), variance, work),
            row("bound", cell("bias", 0.01, 0.0, 0.02, {"bound"}), variance, work),
            row("exact", cell("bias", 0.0, 0.0, 0.0), cell("variance", 0.0), work),
            row("failed"),
        ),
        "evaluations",
    )
    assert [(e.label, e.bias, e.bias_high, e.work) for e in found] == [
        ("bound", 0.0, 0.02, 3.0),
        ("clear", 0.5, 0.6, 3.0),
    ]


def test_the_error_is_squared_bias_plus_the_variance_of_what_the_budget_buys():
    """100 units at 4 a draw are 25 draws: .5^2 + 2 / 25, as a simulated mean of 25 draws has it.

    Monte Carlo: 2e5 means, tolerance 5 standard errors (false alarm 6e-7).
    """
    e = estimator("a", bias=0.5, variance=2.0, work=4.0)
    assert e.mse(100, e.work) == pytest.approx(0.25 + 2 / 25)
    means = 0.5 + np.random.default_rng(0).normal(0, math.sqrt(2), (200_000, 25)).mean(1)
    squares = means**2
    assert abs(squares.mean() - e.mse(100, 4.0)) < 5 * squares.std() / math.sqrt(200_000)


positive = st.floats(1e-3, 1e3)


@given(st.lists(st.tuples(st.one_of(st.just(0.0), positive), positive, positive), min_size=1, max_size=8))
def test_the_lead_is_with_the_smallest_error_at_every_budget(parts):
    """Against brute force on a grid of budgets; the budgets at which the lead changes increase."""
    found = [estimator(f"m{i}", bias=b, variance=v, work=c) for i, (b, v, c) in enumerate(parts)]
    changes = leads(found, "work")
    budgets = [lead.budget for lead in changes]
    assert budgets == sorted(set(budgets))
    assert budgets[0] == 0
    by_label = {e.label: e for e in found}
    for budget in np.geomspace(1e-8, 1e12, 101):
        leader = by_label[[lead.label for lead in changes if lead.budget <= budget][-1]]
        best = min(e.mse(budget, e.work) for e in found)
        assert leader.mse(budget, leader.work) == pytest.approx(best, rel=1e-6)


def test_both_axes_have_their_own_leads():
    """Cheap in seconds and dear in evaluations; an untimed method has no place on the axis of seconds."""
    found = [estimator("a", work=1, seconds=4.0), estimator("b", work=2, seconds=1.0), estimator("c", work=0.1)]
    assert [lead.label for lead in leads(found, "work")] == ["c"]
    assert [lead.label for lead in leads(found, "time")] == ["b"]
    assert leads([estimator("c")], "time") == ()


def curve_plan(curves, *, task=TASK):
    """A plan and outcomes from label -> {step: values of the replicates}."""
    cases, outcomes = [], {}
    for label, points in curves.items():
        case = Case(
            family="toy", task=task, task_version=1, method=Instance(name=label, target="m:M", label=label),
            stage="evaluate", replicates=(0, 1, 2),
        )  # fmt: skip
        rows = tuple(
            Measurement(metric="elbo", value=value, replicate=r, point=step)
            for step, values in points.items()
            for r, value in enumerate(values)
        )
        cases.append(case)
        outcomes[case.key] = Outcome(key=case.key, status="ok", measurements=rows)
    return Plan(jobs=tuple(Job(cases=(case,)) for case in cases)), outcomes


def test_a_gap_is_the_paired_difference_with_its_t_interval():
    """Against scipy's paired t; a diverged replicate leaves its pair out; other tasks do not mix in."""
    exact, other = [-20.0, -21.0, -22.5], [-20.5, -21.2, -23.5]
    plan, outcomes = curve_plan({"exact": {0: exact, 10: exact}, "rloo": {0: exact, 10: other, 20: other}})
    far, more = curve_plan({"rloo": {10: [0.0, 0.0, 0.0]}}, task=replace(TASK, params={"n": 2}))
    plan = Plan(jobs=plan.jobs + far.jobs)
    (gap,) = gaps(plan, outcomes | more, table(), metric="elbo", against="exact", higher=True)
    assert (gap.label, gap.steps, gap.replicates) == ("rloo", (0, 10), 3)
    truth = stats.ttest_rel(exact, other).confidence_interval()
    assert gap.values[1] == pytest.approx(np.mean(np.subtract(exact, other)))
    assert (gap.low[1], gap.high[1]) == pytest.approx((truth.low, truth.high))
    (lost,) = gaps(*curve_plan({"exact": {5: exact}, "rloo": {5: [*other[:2], None]}}), table(), metric="elbo",
                   against="exact", higher=True)  # fmt: skip
    assert lost.replicates == 2
    assert gaps(plan, outcomes, table(), metric="elbo", against="nobody", higher=True) == ()


def test_a_curve_is_the_mean_over_replicates_with_its_t_interval():
    """Against scipy's t; a lone measurement keeps its own interval; a reference is one curve, whoever recorded it, and
    no part of a gap; the threshold is the row's.
    """
    plan, outcomes = curve_plan({"a": {1: [2.0, 3.0, 7.0], 4: [1.0]}, "b": {1: [5.0]}})
    known = tuple(
        Measurement(metric="elbo", value=9.0 - p, point=p, labels={"reference": "law"}, flags=frozenset({"exact"}))
        for p in (4, 1)
    )
    own = (Measurement(metric="elbo", value=4.0, low=3.0, high=6.0, point=2), *known)
    outcomes = {key: replace(o, measurements=o.measurements + own) for key, o in outcomes.items()}
    found = trails(plan, outcomes, table(row("a", cell("threshold", 3.0))), metric="elbo")
    assert [(c.label, c.reference, c.threshold) for c in found] == [
        ("a", False, 3.0), ("b", False, None), ("law", True, None),
    ]  # fmt: skip
    first, _, law = found
    assert (first.points, law.points, law.values) == ((1, 2, 4), (1, 4), (8.0, 5.0))
    ends = stats.t.interval(0.95, 2, loc=4.0, scale=math.sqrt(7 / 3))
    assert (first.values[0], first.low[0], first.high[0]) == pytest.approx((4.0, *ends))
    assert (first.values[1], first.low[1], first.high[1]) == (4.0, 3.0, 6.0)
    assert not any(gap.label == "law" for gap in gaps(plan, outcomes, table(), metric="elbo", against="a", higher=True))


def test_a_curve_over_a_cost_has_its_points_multiplied():
    """Each by the cost of its own method's step; a method without that cost, and the law, are left out."""
    found = [
        Curve(label=label, points=(0, 10), values=(2.0, 1.0), low=(2.0, 1.0), high=(2.0, 1.0), reference=label == "law")
        for label in ("a", "b", "law")
    ]
    (only,) = priced(found, table(row("a", cell("time", 0.5)), row("b", cell("flops", 7.0))), "time")
    assert (only.label, only.points, only.values) == ("a", (0.0, 5.0), (2.0, 1.0))


# -- drawings ---------------------------------------------------------------------------------------------------------

NASTY = ["<script>alert(1)</script>", "a & b", "$x_1^2$", "_hidden", "q\"u'o", "tab\tbreak\n\x1b[31m", "%s {} \\"]


def words(path):
    """Every text of an SVG, which must be valid XML."""
    root = ET.parse(path).getroot()
    assert not root.findall(".//{http://www.w3.org/2000/svg}script")
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def sampling_figure(kind, labels=("a", "b", "c")):
    found = [
        estimator(label, bias=0.3 * (i % 2), variance=2.0**i, work=i + 1, seconds=1e-6 * (i + 2), bias_high=0.4)
        for i, label in enumerate(labels)
    ]
    panels = [(table(), found), (table(), found[:2])]
    if kind == "mse-budget":
        return plots.mse_budget(panels, work="evaluations")
    return plots.bias_variance(panels, work="evaluations", budget=100)


def path_figure(labels=("a", "b")):
    found = [
        Gap(label=label, steps=(0, 1, 10), values=(0, 1, 2), low=(0, 0, 1), high=(0, 2, 3), replicates=3)
        for label in labels
    ]
    return plots.path([(table(), found)], metric="elbo", unit="nats", against="exact")


def curve_figure(labels=("a", "b"), values=(3.0, 1.0, 0.2)):
    found = [
        Curve(
            label=label, points=(10, 20, 40), values=values, low=(0.0, 0.0, 0.0), high=(4.0, 2.0, 1.0), threshold=15.0
        )
        for label in labels
    ]
    law = Curve(label="law", points=(10, 40), values=values[:2], low=values[:2], high=values[:2], reference=True)
    return plots.curve([(table(), [*found, law])], metric="error", unit="nats", over="products")


@pytest.mark.parametrize("kind", plots.KINDS)
def test_names_stand_in_the_picture_as_they_are(kind, tmp_path):
    """Markup, formulas, leading underscores and control characters of a plugin's names are text and nothing else."""
    drawn = {"path": path_figure, "curve": curve_figure}
    figure = drawn[kind](NASTY) if kind in drawn else sampling_figure(kind, NASTY)
    plots.save(figure, tmp_path / "f.svg")
    found = words(tmp_path / "f.svg")
    for name in NASTY:
        assert name.replace("\t", r"\x09").replace("\n", r"\x0a").replace("\x1b", r"\x1b") in found


@pytest.mark.parametrize("kind", ["bias-variance", "path"])
def test_the_same_picture_is_the_same_file(kind, tmp_path):
    """No date and no random identifiers: a picture in a repository changes only with its numbers."""
    for name in ("one.svg", "two.svg"):
        plots.save(path_figure() if kind == "path" else sampling_figure(kind), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_every_line_of_equal_error_is_one():
    """On each grey line, squared bias + variance is one power of ten."""
    figure = sampling_figure("bias-variance")
    lines = [line for line in figure.axes[0].get_lines() if line.get_color() == "#c3c8cf"]
    assert lines
    for line in lines:
        total = np.add(line.get_xdata(), line.get_ydata())
        assert total == pytest.approx(np.full_like(total, total[0]))
        assert math.log10(total[0]) == pytest.approx(round(math.log10(total[0])))


def test_a_curve_draws_its_reference_and_its_thresholds():
    """Logarithmic while every value is positive; the dashed line is named below, and thresholds are dotted."""
    axes = curve_figure().axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert curve_figure(values=(3.0, 1.0, -0.2)).axes[0].get_yscale() == "linear"
    styles = [line.get_linestyle() for line in axes.get_lines()]
    assert (styles.count("--"), styles.count(":")) == (1, 2)
    assert all(line.get_xdata()[0] == 15 for line in axes.get_lines() if line.get_linestyle() == ":")


def test_an_unknown_ending_and_an_unwritable_place_are_usage_errors(tmp_path):
    """Three parts, no traceback."""
    for path in (tmp_path / "f.nonsense", tmp_path / "no" / "such" / "f.svg"):
        with pytest.raises(UsageError, match="cannot be written"):
            plots.save(path_figure(), path)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    """It is an optional extra."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"kexue-bench\[plots\]"):
        plots.library()


def test_the_command_draws_a_stored_run(tmp_path, monkeypatch, capsys):
    """From a run to a file; a kind that the run has nothing for is refused with the reason."""
    monkeypatch.chdir(tmp_path)
    run = ["run", "gradients", "-t", "bernoulli-toy[power=3]", "-m", "rloo,straight-through", "--budget", "4096"]
    assert main([*run, "--stage", "evaluate", "--isolation", "none", "-j", "1"]) == 0
    for kind in ("bias-variance", "mse-budget"):
        assert main(["plot", "latest", "--kind", kind, "--to", f"{kind}.svg"]) == 0
        assert {"rloo", "straight-through", "gradients / bernoulli-toy[power=3]"} <= set(
            words(tmp_path / f"{kind}.svg")
        )
    assert main(["plot", "--kind", "mse-budget", "--to", "one.svg", "-m", "rloo"]) == 0
    assert "straight-through" not in words(tmp_path / "one.svg")
    assert main(["plot", "--kind", "path", "--to", "path.svg"]) == 2
    assert "nothing to draw" in capsys.readouterr().err
    assert main(["plot", "--kind", "curve", "--to", "curve.svg"]) == 2
    assert "several points" in capsys.readouterr().err


def test_the_command_draws_a_training_over_its_cost(tmp_path, monkeypatch, capsys):
    """The same curve over steps and over operations; a cost that nobody counted is refused with what there is."""
    monkeypatch.chdir(tmp_path)
    run = ["run", "orthogonality", "-t", "digits-mlp[steps=2,width=8]", "-m", "none,soft", "-r", "2"]
    assert main([*run, "--stage", "evaluate", "--isolation", "none", "-j", "1"]) == 0
    for over, axis in (("", "steps"), ("flops", "flops")):
        assert main(["plot", "--kind", "curve", "--over", over, "--to", "digits.svg"]) == 0
        assert {"none", "soft", axis, "test-nll (nats)"} <= set(words(tmp_path / "digits.svg"))
    assert main(["plot", "--kind", "curve", "--over", "time", "--to", "digits.svg"]) == 2
    assert "with a time a step" in capsys.readouterr().err
    assert main(["plot", "--kind", "curve", "--over", "joules", "--to", "digits.svg"]) == 2
    assert "got joules" in capsys.readouterr().err


def test_the_command_draws_a_sweep(tmp_path, monkeypatch):
    """Errors over products, with the law beside them and the axis named by the task."""
    monkeypatch.chdir(tmp_path)
    task = "budget-sweep[name=bigstep,n=40,first=8,last=16,trials=20]"
    run = ["run", "logdet", "-t", task, "-m", "xtrace,hutchinson", "--stage", "evaluate", "--isolation", "none"]
    assert main([*run, "-j", "1"]) == 0
    assert main(["plot", "--kind", "curve", "--to", "sweep.svg"]) == 0
    found = words(tmp_path / "sweep.svg")
    assert {"xtrace", "hutchinson", "products", "relative-error"} <= set(found)
    assert any("dashed: Hutchinson, closed form" in text for text in found)
