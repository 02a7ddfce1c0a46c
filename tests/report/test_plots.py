"""Drawings take any name and any run, and the same picture is the same file."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from pages import words
from tabled import estimator, table

from kexue_bench.errors import UsageError
from kexue_bench.report import plots
from kexue_bench.report.curves import Curve, Gap

NASTY = ["<script>alert(1)</script>", "a & b", "$x_1^2$", "_hidden", "q\"u'o", "tab\tbreak\n\x1b[31m", "%s {} \\"]


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
