"""Published figures are those that were read, and accepted ranges are those of the reading or of the sampling error.

`published.json` states how each figure was read, its protocol and its tolerance.
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import installed
import numpy as np
import pytest
from scipy import stats

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


def around(value, tolerance):
    return value * (1 - tolerance), value * (1 + tolerance)


def mc_gradients():
    for key, prefix in (("fig2-mu", "2-mu"), ("fig2-sigma", "2-sigma"), ("fig3-exp-mu", "3-mu")):
        values = ENTRIES[f"grad-mcg-{key}"]["values"]
        for curve, name in CURVES.items():
            for k, value in zip(values["k"], values[curve], strict=True):
                within = {"<1": (None, 1.0), ">1000": (1000.0, None)}.get(value) or around(value, 0.08)
                printed = None if isinstance(value, str) else value
                yield f"mc-gradients-{prefix}-{name}-k={k:g}", printed, within


def shared_bits():
    # How far a variance of 10,000 draws lies from its expectation is recomputed below.
    for key, name, ks in (("eta0", "0", (0, 7, 8)), ("eta-4", "minus-4", (0, 1, 4, 7, 8))):
        found = ENTRIES[f"grad-liu-fig2-{key}"]["values"]
        for k in ks:
            yield f"liu-logit-{name}-k={k}", found["variance"][found["k"].index(k)], None
    for key, name, most in (("eta0", "0", 7), ("eta-4", "minus-4", 4)):
        values = ENTRIES[f"grad-kool-{key}"]["values"]
        for k, value in zip(values["k"], values["variance"], strict=True):
            if k <= most:
                within = around(value, 0.15) if name == "0" else (value / 1.3, value * 1.3)
                yield f"kool-logit-{name}-k={k}", value, within


def arms():
    values = ENTRIES["grad-arms-toy"]["values"]
    for key, points in (("n=2 at p=.5", [0.5]), ("n=4 at p=.5", [0.5]), ("n=10 at p=.5", [0.5])):
        yield from _arms(values[key], key, points)
    yield from _arms(values["n=4 near p=.2 and .8"], "n=4 ", [0.2, 0.8])


def _arms(heights, key, points):
    n = key.split()[0].removeprefix("n=")
    for name, value in heights.items():
        for p in points:
            # The normal copula is not among the methods; a height of 0 is a theorem.
            if name != "ARMS-N" and value:
                yield f"arms-p={p:g}-n={n}-{NAMES[name]}", value, around(value, 0.1)


def double_cv():
    for name, value in ENTRIES["grad-dcv-obj"]["values"].items():
        yield f"double-cv-objective-{NAMES[name]}", value, (value - 3e-5, value + 3e-5)
    values = ENTRIES["grad-dcv-var"]["values"]
    for name, value in values["start"].items():
        yield f"double-cv-start-{NAMES[name]}", 200 * value, around(200 * value, 0.05)
    for name, value in values["step 2000"].items():
        most = 0.05 * values["step 2000"]["RLOO"]
        yield f"double-cv-end-{NAMES[name]}", value or None, around(value, 0.1) if value else (None, most)


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
    assert spec.kind == ("order" if value is None else "number" if name.startswith("liu") else "reading")
    if within is not None:
        for mine, theirs in zip((spec.low, spec.high), within, strict=True):
            assert mine == (None if theirs is None else pytest.approx(theirs, rel=1e-5))


@pytest.mark.parametrize(
    ("phi", "name", "ks", "tied"), [(0.0, "0", (0, 7, 8), range(8)), (-4.0, "minus-4", (0, 1, 4, 7, 8), None)]
)
def test_the_range_of_a_printed_variance_is_its_sampling_error(phi, name, ks, tied):
    """99 % of variances of 10,000 draws: the fourth cumulant of the estimate, exactly, by adding up those of its
    independent terms (the states that are summed with a baseline each, and one draw of the rest with its own).
    """
    p1 = 1 / (1 + math.exp(-phi))
    bits = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
    p, f = np.where(bits > 0, p1, 1 - p1).prod(1), ((bits - (0.6, 0.51, 0.48)) ** 2).sum(1)
    score = bits.sum(1) - 3 * p1
    order = np.array(tied or np.argsort(bits.sum(1), kind="stable"))
    for k in ks:
        rest = order[k:]
        terms = [(p[i] * score[i] * (f[i] - f), p) for i in order[:k]]
        if len(rest):
            left = p[rest].sum()
            drawn = left * score[rest][:, None] * (f[rest][:, None] - f)
            terms.append((drawn.ravel(), (p[rest][:, None] / left * p).ravel()))
        centred = [(values - weights @ values, weights) for values, weights in terms]
        variance = sum(weights @ values**2 for values, weights in centred)
        fourth = sum(weights @ values**4 - 3 * (weights @ values**2) ** 2 for values, weights in centred)
        half = stats.norm.ppf(0.995) * math.sqrt((2 + fourth / variance**2) / 1e4)
        spec = FIGURES[f"liu-logit-{name}-k={k}"]
        assert (spec.low / spec.value, spec.high / spec.value) == pytest.approx((1 - half, 1 + half), abs=0.005)


def test_heights_that_are_not_independent_evidence_are_marked():
    """Read before the exact values were known: mu at k = 1 in figure 2, the unordered set at logit 0, and k = 2."""
    blind = {name for name, spec in FIGURES.items() if spec.kind == "reading" and spec.blind}
    plots = {name for name in blind if name.startswith(("mc-gradients", "kool", "arms-p"))}
    mu = {f"mc-gradients-2-mu-{curve}-k=1" for curve in ("score", "score-optimal", "pathwise")}
    kool = {f"kool-logit-0-k={k}" for k in range(2, 8)} | {"kool-logit-minus-4-k=2"}
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
