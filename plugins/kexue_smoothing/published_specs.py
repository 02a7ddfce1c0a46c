"""Figures that were printed about these operators, and the tasks that are their protocols. Nothing imports torch."""

from __future__ import annotations

from kexue_bench.api import MetricSpec, PublishedSpec, TaskSpec

from .method_specs import FAMILY

_TASKS = "kexue_smoothing.tasks"
_ENTMAX = "entmax, repository deep-spin/entmax, README"
_FAST = "Blondel et al. 2020, arXiv:2002.08871 (ICML 2020), repository google-research/fast-soft-sort, README"
_TORCHSORT = "torchsort, repository teddykoker/torchsort, README"
_NEURALSORT = "Grover et al. 2019, arXiv:1903.08850 (ICLR 2019), table 2, row Constant (Simulated)"
_SOFTSORT = (
    "Prillo and Eisenschlos 2020, arXiv:2006.16038 (ICML 2020), repository sprillo/softsort, figure "
    "Pytorch_CPU_softsort.png, read by eye"
)


def _printed(kind: str, cls: str, selectors: tuple[str, ...], methods: tuple[str, ...], what: str) -> TaskSpec:
    return TaskSpec(
        name=f"printed-{kind}",
        family=FAMILY,
        target=f"{_TASKS}.printed:{cls}",
        summary=f"{what} of rows that were printed, entry by entry.",
        version=1,
        kind="record",
        offers=frozenset({kind}),
        suites=dict.fromkeys(("standard", "full"), selectors),
        methods=dict.fromkeys(("standard", "full"), methods),
        timed=frozenset(),
        dtype="float64",
        primary="soft-slope",
        headline=(*(f"soft-value[entry={i}]" for i in range(9)), "soft-slope"),
    )


TASKS = (
    _printed(
        "one-hot", "PrintedOneHot", ("printed-one-hot[row=[first,second,third]]",),
        ("sparsemax", "entmax[alpha=[1.5,1.33]]"), "Soft indicators",
    ),
    _printed(
        "sort", "PrintedSort", ("printed-sort[row=[three,nine],softness=[1.0,0.1]]",), ("fast-soft-sort",),
        "Soft orders",
    ),
    _printed(
        "rank", "PrintedRank",
        ("printed-rank[row=[three,turned,nine]]", "printed-rank[row=[three,turned],softness=2.0]"),
        ("fast-soft-rank",), "Soft ranks",
    ),
    TaskSpec(
        name="constant-median",
        family=FAMILY,
        target=f"{_TASKS}.median:ConstantMedian",
        summary="Squared error of 4999.5 for the median of n labels, times 1e-4; exact expectation.",
        version=1,
        kind="record",
        offers=frozenset({"sort"}),
        suites=dict.fromkeys(("standard", "full"), ("constant-median[n=[5,9,15]]",)),
        methods=dict.fromkeys(("standard", "full"), ("hard",)),
        timed=frozenset(),
        dtype="float64",
        primary="estimate",
        headline=("estimate", "memory"),
    ),
    TaskSpec(
        name="sort-speed",
        family=FAMILY,
        target=f"{_TASKS}.speed:SortSpeed",
        summary="One step on 20 soft permutations of n scores, forwards and backwards: seconds and memory.",
        version=1,
        kind="record",
        offers=frozenset({"sort"}),
        suites={"full": ("sort-speed[n=[500,2000]]",)},
        methods=dict.fromkeys(("quick", "standard", "full"), ("softsort", "neuralsort")),
        primary="time",
        headline=("time", "memory"),
    ),
)  # fmt: skip

METRICS = (
    MetricSpec(
        name="soft-value", heading="value", direction="target", scale="linear", summary="one entry of a soft value",
    ),
    MetricSpec(
        name="soft-slope", heading="slope", direction="target", scale="linear",
        summary="derivative of the first entry of a soft value by the first of x",
    ),
)  # fmt: skip


def _entries(
    name: str, task: str, method: str, values: tuple[float, ...], source: str, tolerance: float
) -> tuple[PublishedSpec, ...]:
    """One figure for each printed entry."""
    return tuple(
        PublishedSpec(
            name=f"{name}-{entry}",
            family=FAMILY,
            task=task,
            method=method,
            metric=f"soft-value[entry={entry}]",
            value=value,
            low=value - tolerance,
            high=value + tolerance,
            source=source,
        )
        for entry, value in enumerate(values)
    )


_NINE = "printed-sort[row=nine,softness={}]"
PUBLISHED = (
    *_entries("entmax-softmax", "printed-one-hot", "softmax", (0.0486, 0.3592, 0.5922), _ENTMAX, 5.001e-5),
    *_entries("entmax-sparsemax", "printed-one-hot", "sparsemax", (0.0, 0.25, 0.75), _ENTMAX, 5.001e-5),
    *_entries("entmax-15", "printed-one-hot", "entmax[alpha=1.5]", (0.0, 0.326, 0.674), _ENTMAX, 5.001e-5),
    *_entries(
        "entmax-133-second", "printed-one-hot[row=second]", "entmax[alpha=1.33]", (0.046, 0.3276, 0.6264), _ENTMAX,
        5.001e-5,
    ),
    *_entries(
        "entmax-133-third", "printed-one-hot[row=third]", "entmax[alpha=1.33]", (0.0026, 0.1012, 0.8963), _ENTMAX,
        5.001e-5,
    ),
    *_entries(
        "fast-sort-1", "printed-sort", "fast-soft-sort", (1.66666667, 2.66666667, 3.66666667), _FAST, 1e-7,
    ),
    *_entries("fast-sort-01", "printed-sort[softness=0.1]", "fast-soft-sort", (1.0, 2.0, 5.0), _FAST, 1e-7),
    *_entries("fast-rank-1", "printed-rank", "fast-soft-rank", (3.0, 1.0, 2.0), _FAST, 1e-7),
    *_entries("fast-rank-1-turned", "printed-rank[row=turned]", "fast-soft-rank", (2.0, 1.0, 3.0), _FAST, 1e-7),
    *_entries("fast-rank-2", "printed-rank[softness=2.0]", "fast-soft-rank", (3.0, 1.25, 1.75), _FAST, 1e-7),
    *_entries(
        "fast-rank-2-turned", "printed-rank[row=turned,softness=2.0]", "fast-soft-rank", (1.75, 1.25, 3.0), _FAST, 1e-7,
    ),
    *_entries(
        "torchsort-sort-1", _NINE.format("1.0"), "fast-soft-sort",
        tuple(i + 0.5556 for i in range(9)), _TORCHSORT, 5.001e-5,
    ),
    *_entries(
        "torchsort-sort-01", _NINE.format("0.1"), "fast-soft-sort",
        (0.0, 1.0, 2.0, 3.0, 5.0, 6.0, 7.0, 8.0, 9.0), _TORCHSORT, 5.001e-5,
    ),
    *_entries(
        "torchsort-rank", "printed-rank[row=nine]", "fast-soft-rank",
        (8.0, 1.0, 5.0, 4.0, 3.0, 2.0, 6.0, 7.0, 9.0), _TORCHSORT, 5.001e-5,
    ),
    PublishedSpec(
        name="torchsort-slope", family=FAMILY, task=_NINE.format("1.0"), method="fast-soft-sort", metric="soft-slope",
        value=0.1111, low=0.1111 - 5.001e-5, high=0.1111 + 5.001e-5, source=_TORCHSORT,
    ),
    *(
        PublishedSpec(
            name=f"neuralsort-constant-{n}", family=FAMILY, task=f"constant-median[n={n}]", method="hard",
            metric="estimate", value=value, low=0.995 * value, high=1.005 * value, source=_NEURALSORT,
        )
        for n, value in ((5, 356.79), (9, 227.31), (15, 146.94))
    ),
    PublishedSpec(
        name="softsort-speed", family=FAMILY, task="sort-speed[n=2000]", method="neuralsort", against="softsort",
        metric="time", value=1.93, low=1.0, high=10.0, source=_SOFTSORT,
        statement="NeuralSort, in its improved form, takes longer than SoftSort at n = 2000",
    ),
)  # fmt: skip
