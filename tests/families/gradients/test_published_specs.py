"""Published figures are those that were read, and accepted ranges are those fixed with the reading.

`published.json` states how each figure was read, its protocol and its tolerance.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import installed
import pytest

from kexue_bench.analysis.published import figures
from kexue_bench.catalog import selectors
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry
from kexue_bench.plan.plan import Request, build_plan

ENTRIES = {
    entry["id"]: entry for entry in json.loads((Path(__file__).parent / "published.json").read_text())["entries"]
}
PUBLISHED = installed.published("gradients")
FIGURES = {spec.name: spec for spec in PUBLISHED}
CURVES = {
    "score_function": "score",
    "score_function_opt_baseline": "score-optimal",
    "pathwise": "pathwise",
    "measure_valued_coupled": "measure-valued",
}
NAMES = {"LOORF": "rloo", "RLOO": "rloo", "ARM": "arm", "DisARM": "disarm", "ARMS-D": "arms", "Double CV": "double-cv"}
NAMES |= {"R*": "exact-baseline", "REINFORCE": "reinforce", "MuProp": "muprop"}
ZERO = (0.0, 1e-12)


def around(value, tolerance):
    return (value * (1 - tolerance), value * (1 + tolerance)) if value else ZERO


def mc_gradients():
    for key, prefix in (("fig2-mu", "2-mu"), ("fig2-sigma", "2-sigma"), ("fig3-exp-mu", "3-mu")):
        values = ENTRIES[f"grad-mcg-{key}"]["values"]
        for curve, name in CURVES.items():
            for k, value in zip(values["k"], values[curve], strict=True):
                within = {"<1": (None, 1.0), ">1000": (1000.0, None)}.get(value) or around(value, 0.08)
                printed = None if isinstance(value, str) else value
                yield f"mc-gradients-{prefix}-{name}-k={k:g}", printed, within


def shared_bits():
    found = ENTRIES["grad-liu-fig2-eta0"]["values"]
    for k, value in zip(found["k"], found["variance"], strict=True):
        # The ranges over ties are recomputed below.
        yield f"liu-logit-0-k={k}", value, around(value, 0.04) if k in (0, 7, 8) else None
    found = ENTRIES["grad-liu-fig2-eta-4"]["values"]
    for k in (0, 1, 4, 7, 8):
        value = found["variance"][found["k"].index(k)]
        yield f"liu-logit-minus-4-k={k}", value, around(value, 0.06)
    for key, name, most in (("eta0", "0", 8), ("eta-4", "minus-4", 4)):
        values = ENTRIES[f"grad-kool-{key}"]["values"]
        for k, value in zip(values["k"], values["variance"], strict=True):
            if k <= most:
                within = around(value, 0.15) if name == "0" else (value / 1.3, value * 1.3)
                yield f"kool-logit-{name}-k={k}", value, within
        yield f"kool-logit-{name}-k=8", values["k=8"], ZERO


def arms():
    values = ENTRIES["grad-arms-toy"]["values"]
    for key, points in (("n=2 at p=.5", [0.5]), ("n=4 at p=.5", [0.5]), ("n=10 at p=.5", [0.5])):
        yield from _arms(values[key], key, points)
    yield from _arms(values["n=4 near p=.2 and .8"], "n=4 ", [0.2, 0.8])


def _arms(heights, key, points):
    n = key.split()[0].removeprefix("n=")
    for name, value in heights.items():
        for p in points:
            # The normal copula is not among the methods.
            if name != "ARMS-N":
                yield f"arms-p={p:g}-n={n}-{NAMES[name]}", value, around(value, 0.1)


def double_cv():
    for name, value in ENTRIES["grad-dcv-obj"]["values"].items():
        yield f"double-cv-objective-{NAMES[name]}", value, (value - 3e-5, value + 3e-5)
    values = ENTRIES["grad-dcv-var"]["values"]
    for name, value in values["start"].items():
        yield f"double-cv-start-{NAMES[name]}", 200 * value, around(200 * value, 0.05)
    for name, value in values["step 2000"].items():
        within = around(value, 0.1) if value else (0.0, 0.05 * values["step 2000"]["RLOO"])
        yield f"double-cv-end-{NAMES[name]}", value, within


NUMBERS = {name: (value, within) for name, value, within in (*mc_gradients(), *shared_bits(), *arms(), *double_cv())}


@pytest.fixture(scope="module")
def registry():
    return Registry(load_plugins([]))


def test_every_number_read_is_printed_and_no_other():
    """Figures with a number are those of `published.json`; the rest are statements without one."""
    printed = {name for name, spec in FIGURES.items() if spec.value is not None}
    off_axis = {name for name, (value, _) in NUMBERS.items() if value is None}
    assert printed | off_axis == set(NUMBERS)
    assert all(FIGURES[name].statement for name in FIGURES.keys() - printed)


@pytest.mark.parametrize("name", NUMBERS)
def test_values_and_ranges_are_those_that_were_read(name):
    """The value as printed, and its stated tolerance."""
    value, within = NUMBERS[name]
    spec = FIGURES[name]
    assert spec.value == (None if value is None else pytest.approx(value, rel=1e-12))
    if within is not None:
        for mine, theirs in zip((spec.low, spec.high), within, strict=True):
            assert mine == (None if theirs is None else pytest.approx(theirs, rel=1e-12))


def test_heights_that_are_no_independent_evidence_are_marked():
    """Read before the exact values were known: mu at k = 1 in figure 2, and the unordered set at logit 0, and k = 2."""
    unmarked = {name for name, spec in FIGURES.items() if "seen with the exact value" not in spec.source}
    plots = {name for name in unmarked if name.startswith(("mc-gradients", "kool", "arms-p"))}
    mu = {f"mc-gradients-2-mu-{curve}-k=1" for curve in ("score", "score-optimal", "pathwise")}
    kool = {f"kool-logit-0-k={k}" for k in range(2, 9)} | {"kool-logit-minus-4-k=2"}
    assert plots == mu | kool


def test_sources_are_those_of_the_entries():
    """Each arXiv id of `published.json` is cited by a figure, and no other id; the polynomial one has no figure."""
    cited = {spec.source.partition("arXiv ")[2].split(",")[0].split()[0] for spec in PUBLISHED}
    read = {entry["source"]["ref"].split()[1] for entry in ENTRIES.values()}
    assert cited == read - {"2304.08612"}


def test_every_figure_is_measured_by_the_standard_suite(registry):
    """Its task, method and divisor each resolve to one instance, and all are planned together."""
    resolved, notes = figures(registry)
    assert not notes
    plan = build_plan(Request(families=("gradients",), suite="standard", stages=("evaluate",)), registry)
    planned = [(case.task, case.method) for job in plan.jobs for case in job.cases]
    for figure in (item for item in resolved if item.spec.family == "gradients"):
        for method in filter(None, (figure.method, figure.against)):
            assert any(
                selectors.same(task, figure.task) and selectors.same(other, method) for task, other in planned
            ), figure.spec.name


def test_metrics_exist(registry):
    """Every figure names a registered column."""
    assert all(registry.metric(spec.family, spec.metric) for spec in PUBLISHED)


def test_no_range_is_empty_or_unbounded():
    """A range that contains everything would reproduce anything."""
    for spec in PUBLISHED:
        low, high = (-math.inf if spec.low is None else spec.low), (math.inf if spec.high is None else spec.high)
        assert low < high
        assert math.isfinite(low) or math.isfinite(high)
