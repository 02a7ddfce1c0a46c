"""Figures that papers and their repositories print, with the range in which a run of ours reproduces them.

Only figures that were read are here, each under its own protocol. Ranges were fixed before ours were measured: they
hold the reading of a plot by eye (5 to 15 %), or the sampling error of a printed number. Heights of plots that were
noted when exact values were known already are marked `seen with the exact value`: they are no independent evidence.
Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator

from kexue_bench.api import PublishedSpec

_FAMILY = "gradients"
Range = tuple[float | None, float | None]
_SEEN = "; height seen with the exact value"
_ROUNDING = 1e-12


def _figure(
    name: str,
    task: str,
    method: str,
    value: float | None,
    source: str,
    *,
    within: Range,
    metric: str = "variance",
    against: str = "",
    statement: str = "",
) -> PublishedSpec:
    return PublishedSpec(
        name=name,
        family=_FAMILY,
        task=task,
        method=method,
        metric=metric,
        value=value,
        low=within[0],
        high=within[1],
        against=against,
        source=source,
        statement=statement,
    )


def _about(value: float, tolerance: float) -> Range:
    """The range of a height; a printed zero is zero up to rounding."""
    if not value:
        return 0.0, _ROUNDING
    return value * (1 - tolerance), value * (1 + tolerance)


# -- Mohamed et al.: variance of one estimate for a normal variable with mu = sigma = 1 --------------------------------

_MC = "Mohamed et al., arXiv 1906.10652"
_CURVES = {
    "score": "reinforce",
    "score-optimal": "reinforce[baseline=optimal,decay=0.9998,warmup=5000]",
    "pathwise": "pathwise",
    "measure-valued": "measure-valued",
}
_SHIFTS = (-3.0, 0.0, 1.0, 3.0)
_QUADRATIC: dict[str, dict[str, tuple[float | None, ...]]] = {
    "mu": {
        "score": (500.0, 30.0, 15.0, 88.0),
        "score-optimal": (135.0, 14.0, 6.0, 38.0),
        "pathwise": (4.0, 4.0, 4.0, 4.0),
        "measure-valued": (18.0, 1.1, None, 4.4),
    },
    "sigma": {
        "score": (None, 136.0, 74.0, 345.0),
        "score-optimal": (660.0, 64.0, 24.0, 185.0),
        "pathwise": (72.0, 12.0, 8.0, 24.0),
        "measure-valued": (68.0, 8.0, 4.0, 20.0),
    },
}
_EXPONENTIAL = {
    "score": {0.1: 0.56, 1.0: 0.176, 10.0: 0.077},
    "score-optimal": {0.1: 0.04, 1.0: 0.072, 10.0: 0.06},
    "pathwise": {0.1: 0.0163, 1.0: 0.21, 10.0: 0.94},
    "measure-valued": {0.1: 0.0025, 1.0: 0.0125, 10.0: 0.0205},
}
_BEYOND: dict[str, tuple[Range, str]] = {"mu": ((None, 1.0), "below 1"), "sigma": ((1000.0, None), "above 1000")}
_BY_EYE = 0.08


def _mc_gradients() -> Iterator[PublishedSpec]:
    for parameter, curves in _QUADRATIC.items():
        for curve, heights in curves.items():
            for k, value in zip(_SHIFTS, heights, strict=True):
                task = f"gaussian-cost[function=quadratic,k={k},mu=1.0,parameter={parameter}]"
                # Each figure has one point beyond its axis.
                beyond, statement = _BEYOND[parameter]
                independent = parameter == "mu" and k == 1.0 and curve != "measure-valued"
                yield _figure(
                    f"mc-gradients-2-{parameter}-{curve}-k={k:g}",
                    task,
                    _CURVES[curve],
                    value,
                    f"{_MC}, figure 2{'' if independent else _SEEN}",
                    within=beyond if value is None else _about(value, _BY_EYE),
                    statement=statement if value is None else "",
                )
    for curve, heights in _EXPONENTIAL.items():
        for k, value in heights.items():
            yield _figure(
                f"mc-gradients-3-mu-{curve}-k={k:g}",
                f"gaussian-cost[function=exp,k={k},mu=1.0,parameter=mu]",
                _CURVES[curve],
                value,
                f"{_MC}, figure 3{_SEEN}",
                within=_about(value, _BY_EYE),
            )


# -- Liu et al., Kool et al.: three bits with one logit, as one choice of eight ----------------------------------------

_LIU = "Liu et al., arXiv 1810.04777, figure 2, cell outputs of the authors' notebook"
# (k, printed, low, high): at logit 0 all states are equally likely, and for k = 1 .. 6 the range is that of the exact
# variance over which states are summed, with the 4 % of the others.
_LIU_0 = (
    (0, 0.01274582, None),
    (1, 0.007561707, (0.007732, 0.0107)),
    (2, 0.0063339313, (0.003677, 0.008959)),
    (3, 0.0052510267, (0.002564, 0.007289)),
    (4, 0.0036332605, (0.001533, 0.005702)),
    (5, 0.0016138406, (0.001259, 0.003671)),
    (6, 0.001178532, (0.001066, 0.001959)),
    (7, 0.000998911, None),
    (8, 0.0009930253, None),
)
# At logit -4 the choice among the three states with one bit decides k = 2, 3 and 5, 6; these are left out.
_LIU_4 = ((0, 0.00077027787), (1, 3.284858e-5), (4, 2.6875323e-6), (7, 2.585068e-6), (8, 2.5883078e-6))
_KOOL = "Kool et al., arXiv 2002.06043, Bernoulli toy"
_KOOL_0 = {2: 0.006, 3: 0.0023, 4: 0.0011, 5: 0.00065, 6: 0.00032, 7: 0.00013, 8: 0.0}
_KOOL_4 = {2: 3e-5, 3: 8e-6, 4: 1e-6, 8: 0.0}


def _shared_bits() -> Iterator[PublishedSpec]:
    for k, value, ties in _LIU_0:
        within = _about(value, 0.04) if ties is None else (0.96 * ties[0], 1.04 * ties[1])
        yield _figure(
            f"liu-logit-0-k={k}",
            "shared-bits[phi=0.0]",
            f"top-k-sum[k={k}]",
            value,
            _LIU if ties is None else f"{_LIU}; accepted: the range over which of equally likely states are summed",
            within=within,
        )
    for k, value in _LIU_4:
        yield _figure(
            f"liu-logit-minus-4-k={k}",
            "shared-bits[phi=-4.0]",
            f"top-k-sum[k={k}]",
            value,
            _LIU,
            within=_about(value, 0.06),
        )
    for k, value in _KOOL_0.items():
        yield _figure(
            f"kool-logit-0-k={k}",
            "shared-bits[phi=0.0]",
            f"unordered-set[k={k}]",
            value,
            _KOOL,
            within=_about(value, 0.15),
        )
    for k, value in _KOOL_4.items():
        within = (value / 1.3, value * 1.3) if value else _about(value, 0.0)
        yield _figure(
            f"kool-logit-minus-4-k={k}",
            "shared-bits[phi=-4.0]",
            f"unordered-set[k={k}]",
            value,
            f"{_KOOL}{_SEEN if k > 2 else ''}",
            within=within,
        )


# -- Dimitriev and Zhou: one bit at equal evaluations ------------------------------------------------------------------

_ARMS = "Dimitriev and Zhou, arXiv 2105.14141, README figure"
_PAIRS = {2: "", 4: "[pairs=2]", 10: "[pairs=5]"}
_ARMS_HEIGHTS = (
    (0.5, 2, {"rloo": 2.5e-5, "arm": 8.3e-6, "disarm": 0.0, "arms": 0.0}),
    (0.5, 4, {"rloo": 4.2e-6, "arm": 4.2e-6, "disarm": 0.0, "arms": 5e-7}),
    (0.5, 10, {"rloo": 5.5e-7, "arm": 1.7e-6}),
    (0.2, 4, {"rloo": 7.5e-6, "arm": 7.7e-6, "disarm": 7.4e-6}),
    (0.8, 4, {"rloo": 7.5e-6, "arm": 7.7e-6, "disarm": 7.4e-6}),
)


def _at(name: str, n: int) -> str:
    """The method at n evaluations."""
    return f"{name}{_PAIRS[n]}" if name in ("arm", "disarm") else f"{name}[n={n}]"


def _arms() -> Iterator[PublishedSpec]:
    for p, n, heights in _ARMS_HEIGHTS:
        for name, value in heights.items():
            yield _figure(
                f"arms-p={p:g}-n={n}-{name}",
                f"arms-toy[p={p}]",
                _at(name, n),
                value,
                f"{_ARMS}{_SEEN}",
                within=_about(value, 0.1),
            )
    for n in (4, 10):
        for other in ("rloo", "arm", "disarm"):
            yield _figure(
                f"arms-lowest-n={n}-{other}",
                "arms-toy[p=0.2]",
                _at("arms", n),
                None,
                _ARMS,
                against=_at(other, n),
                within=(None, 1.0),
                statement=f"below {other}",
            )


# -- Titsias and Shi: 200 bits in 2,000 steps of two draws -------------------------------------------------------------

_DCV = "Titsias and Shi, arXiv 2111.05300, README figures"
_TWO = "double-cv-toy[repeats=2]"
_ALPHA = "double-cv[rate=0.0005,warmup=0]"
_OBJECTIVES = (
    ("double-cv", "double-cv-toy", _ALPHA, 0.251),
    ("exact-baseline", "double-cv-toy", "exact-baseline[n=2]", 0.2507),
    ("disarm", "double-cv-toy", "disarm", 0.25057),
    ("rloo", "double-cv-toy", "rloo", 0.25053),
    ("reinforce", _TWO, "reinforce", 0.25),
    ("muprop", _TWO, "muprop", 0.25),
)
_BITS = 200
_STARTS = {"rloo": 1.3e-9, "disarm": 1.3e-9, _ALPHA: 1.3e-9, "exact-baseline[n=2]": 6.5e-10}
_ENDS = {"rloo": 6.2e-10, "disarm": 6e-10, "exact-baseline[n=2]": 1.65e-10}


def _double_cv() -> Iterator[PublishedSpec]:
    for name, task, method, value in _OBJECTIVES:
        yield _figure(
            f"double-cv-objective-{name}",
            task,
            method,
            value,
            f"{_DCV}, E f after 2,000 steps",
            metric="objective",
            within=(value - 3e-5, value + 3e-5),
        )
    for method, value in _STARTS.items():
        yield _figure(
            f"double-cv-start-{method.partition('[')[0]}",
            f"bernoulli-toy[bits={_BITS},t=0.499,theta=0.0]",
            method,
            value * _BITS,
            f"{_DCV}, variance at the start",
            statement=f"{_BITS} x {value:g}",
            within=_about(value * _BITS, 0.05),
        )
    for method, value in _ENDS.items():
        yield _figure(
            f"double-cv-end-{method.partition('[')[0]}",
            "double-cv-toy",
            method,
            value,
            f"{_DCV}, variance at step 2,000",
            metric="coordinate-variance",
            within=_about(value, 0.1),
        )
    yield _figure(
        "double-cv-end-double-cv",
        "double-cv-toy",
        _ALPHA,
        0.0,
        f"{_DCV}, variance at step 2,000",
        metric="coordinate-variance",
        within=(0.0, 0.05 * _ENDS["rloo"]),
        statement="below 5 % of RLOO",
    )


# -- Claims without a number -------------------------------------------------------------------------------------------

_RELAX = "relax[eta=0.0,rate=0.01,coupled=false]"
_REBAR = "rebar[rate=0.01,coupled=false]"
_TEMPERATURES = (0.1, 0.5, 1.0)
_SIMPLEX_POINTS = (0, 12, 17)


def _claims() -> Iterator[PublishedSpec]:
    for lower, higher in ((_RELAX, _REBAR), (_RELAX, "reinforce"), (_REBAR, "reinforce")):
        names = lower.partition("[")[0], higher.partition("[")[0]
        yield _figure(
            f"relax-toy-{names[0]}-below-{names[1]}",
            "relax-toy",
            lower,
            None,
            "Grathwohl et al., arXiv 1711.00123, figure 1",
            metric="path-variance",
            against=higher,
            within=(None, 1.0),
            statement=f"below {names[1]}",
        )
    arm = "Yin and Zhou, arXiv 1807.11143, figure 1 and section 4"
    yield _figure(
        "arm-toy-path",
        "arm-toy[t=0.499]",
        "arm",
        None,
        arm,
        metric="path-gap",
        within=(None, 0.02),
        statement="as the true gradient",
    )
    yield _figure(
        "arm-toy-reinforce",
        "arm-toy[t=0.501]",
        "reinforce",
        None,
        arm,
        metric="wrong-side",
        within=(0.1, None),
        statement="can end wrong",
    )
    for theta, power in ((-1.2, 2.0), (0.5, 2.0), (0.5, 3.0)):
        yield _figure(
            f"disarm-below-arm-theta={theta:g}-power={power:g}",
            f"bernoulli-toy[theta={theta},power={power}]",
            "disarm",
            None,
            "Dong et al., arXiv 2006.10680, abstract",
            against="arm",
            within=(None, 1.0),
            statement="not above ARM",
        )
    for point in _SIMPLEX_POINTS:
        for temperature in _TEMPERATURES:
            yield _figure(
                f"gumbel-rao-point={point}-temperature={temperature:g}",
                f"simplex-quadratic[point={point}]",
                f"st-gumbel-softmax[temperature={temperature}]",
                None,
                "Paulus et al., arXiv 2010.04838, propositions 1, 2 and figure 1",
                against=f"gumbel-rao[temperature={temperature},draws=1000]",
                within=(1.0, None),
                statement="not below gumbel-rao",
            )


PUBLISHED = (*_mc_gradients(), *_shared_bits(), *_arms(), *_double_cv(), *_claims())
