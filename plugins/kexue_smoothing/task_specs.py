"""What the family says of its tasks: one for each hard function, so that a table holds comparable rows only."""

from __future__ import annotations

from kexue_bench.api import MetricSpec, TaskSpec

from .method_specs import FAMILY, names_for

_TASKS = "kexue_smoothing.tasks.operators"
_BUDGETS = {"quick": 2048, "standard": 16384, "full": 262144}
_HEADLINE = ("gradient-gap", "smooth-error", "dead-share", "wrong-sign", "softness", "time", "memory")


def _task(
    name: str,
    cls: str,
    summary: str,
    offers: frozenset[str],
    *,
    levels: tuple[float, float],
    sizes: tuple[int, ...] = (),
    quick: bool = True,
    timed: str = "full",
) -> TaskSpec:
    """A task; `levels` are the harder ones of full, `sizes` the longer rows of full."""
    suites = {
        "standard": (f"{name}[curve=true]",),
        "full": (
            f"{name}[curve=true]",
            f"{name}[level=[{levels[0]},{levels[1]}],curve=true]",
            *(f"{name}[n={n},curve=true]" for n in sizes),
        ),
    }
    gradient = name.endswith("-at-gradient")
    short = f"{name}[n=8]" if name == "sort" else name  # networks of 16 layers are dear
    return TaskSpec(
        name=name,
        family=FAMILY,
        target=f"{_TASKS}:{cls}",
        summary=summary,
        version=1,
        offers=offers,
        suites=suites | ({"quick": (short,)} if quick else {}),
        methods=dict.fromkeys(("quick", "standard", "full"), names_for(offers)),
        timed=frozenset(timed.split()),
        budgets=_BUDGETS,
        dtype="float64",
        primary="smooth-error" if gradient else "gradient-gap",
        headline=("smooth-error", "gradient-gap", *_HEADLINE[2:]) if gradient else _HEADLINE,
    )


_MAX, _PAIR = frozenset({"max", "nonnegative"}), frozenset({"max", "nonnegative", "pair"})
_LINEAR = {kind: frozenset({kind, "linear"}) for kind in ("one-hot", "top-k", "rank")}
_SAME = "at one mean"

TASKS = (
    _task(
        "max", "Max", f"Largest of n uniform entries, {_SAME} absolute error.", _MAX, levels=(0.01, 0.002),
        sizes=(256,),
    ),
    _task(
        "pair-max", "MaxOfTwo", f"Larger of two uniform entries, {_SAME} absolute error.", _PAIR,
        levels=(0.005, 0.001), quick=False,
    ),
    _task(
        "argmax", "Argmax", f"Index of the largest of n normal entries, {_SAME} error in places.",
        frozenset({"argmax"}), levels=(0.1, 0.02), sizes=(256,),
    ),
    _task(
        "one-hot", "OneHot", f"Indicator of the largest of n normal entries, {_SAME} sum of errors.",
        _LINEAR["one-hot"], levels=(0.1, 0.02), sizes=(256,),
    ),
    _task(
        "sample", "Sample", f"Sample of n categories with normal logits, {_SAME} sum of errors.",
        frozenset({"sample"}), levels=(0.1, 0.02),
    ),
    _task(
        "cumax", "CumulativeMax", f"Step at the largest of n normal entries, {_SAME} sum of errors.",
        frozenset({"cumax"}), levels=(0.2, 0.05),
    ),
    _task(
        "top-k", "TopK", f"Mask of the k largest of n normal entries, {_SAME} sum of errors.",
        _LINEAR["top-k"], levels=(0.2, 0.05), sizes=(256,), timed="standard full",
    ),
    _task(
        "sort", "Sort", f"Normal entries in order, {_SAME} absolute error of an entry.",
        frozenset({"sort"}), levels=(0.01, 0.002), sizes=(128,),
    ),
    _task(
        "rank", "Rank", f"Ranks of n normal entries, {_SAME} absolute error of a rank.",
        _LINEAR["rank"], levels=(0.05, 0.01), sizes=(256,), timed="quick full",
    ),
    *(
        _task(name, cls, f"{text}, {_SAME} absolute error.", frozenset({name}), levels=levels, quick=name != "floor")
        for name, cls, text, levels in (
            ("relu", "Relu", "max(x, 0) of uniform x in (-1, 1)", (0.002, 0.0005)),
            ("abs", "Abs", "|x| of uniform x in (-1, 1)", (0.002, 0.0005)),
            ("step", "Step", "Step at 0 of uniform x in (-1, 1)", (0.02, 0.005)),
            ("round", "Round", "Rounding of uniform x in (-3, 3)", (0.02, 0.005)),
            ("floor", "Floor", "Rounding down of uniform x in (-3, 3)", (0.02, 0.005)),
        )
    ),
    *(
        _task(
            f"{name}-at-gradient", cls, f"`{name}` {_SAME} squared distance of gradients from the hard one's.",
            offers, levels=levels, quick=False,
        )
        for name, cls, offers, levels in (
            ("max", "MaxAtGradient", _MAX, (0.2, 0.01)),
            ("one-hot", "OneHotAtGradient", _LINEAR["one-hot"], (8.0, 32.0)),
            ("top-k", "TopKAtGradient", _LINEAR["top-k"], (8.0, 32.0)),
            ("sort", "SortAtGradient", frozenset({"sort"}), (4.0, 1.0)),
            ("rank", "RankAtGradient", _LINEAR["rank"], (200.0, 800.0)),
        )
    ),
)  # fmt: skip

METRICS = (
    MetricSpec(name="smooth-error", heading="error", summary="mean error of the soft value to the hard one"),
    MetricSpec(
        name="gradient-gap",
        summary="mean squared distance of the gradient to the hard function's, where that exists: how uneven it is",
    ),
    MetricSpec(
        name="dead-share", heading="dead", scale="linear", margin=0.01,
        summary="share of derivatives below 1e-6, from which nothing is learned",
    ),
    MetricSpec(
        name="wrong-sign", scale="linear", margin=0.01,
        summary="share of the gradient that pushes a monotone function the wrong way",
    ),
    MetricSpec(name="softness", direction="target", summary="the softness at which the operator meets the level"),
    MetricSpec(name="smooth-extent", summary="mean error in the norm that bounds are stated in, on a curve"),
    MetricSpec(name="smooth-bound", summary="mean over the same inputs of the largest error that their gaps allow"),
)  # fmt: skip
