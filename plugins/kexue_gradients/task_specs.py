"""The frozen problems of the family: suites, budgets and what each offers. Nothing here imports torch.

Every problem offers the word of its law (`bernoulli`, `categorical`, with `discrete` for both; `gaussian`, `gamma`) and
`expectation`, or else `multi-sample`. `power`: the task's parameter of this name is the degree of f. `multilinear`: f
is of degree 1 in each variable. `relaxable`: f is defined between the vertices.
"""

from __future__ import annotations

from collections.abc import Mapping

from kexue_bench.api import TaskSpec

from .method_specs import METHODS

_TASKS = "kexue_gradients.tasks"
_EXPECTATION = frozenset({"expectation"})
_BLACK_BOX = _EXPECTATION | {"discrete", "enumerable"}
_SMOOTH = _BLACK_BOX | {"differentiable", "relaxable"}
_BITS = _SMOOTH | {"bernoulli"}
_CLASSES = _SMOOTH | {"categorical"}
_NORMAL = _EXPECTATION | {"gaussian", "differentiable"}
# Figures 2 and 3 of arXiv:1906.10652.
_MC_GRADIENTS = (
    "gaussian-cost[function=quadratic,k=[-3.0,0.0,1.0,3.0],mu=1.0,parameter=[mu,sigma]]",
    "gaussian-cost[function=exp,k=[0.1,1.0,10.0],mu=1.0,parameter=mu]",
)
_GRID = str(list(range(36))).replace(" ", "")
# As published: two draws a step, alpha learned slowly from 0.
_DOUBLE_CV = ("exact-baseline[n=2]", "double-cv[rate=0.0005,warmup=0]")
_TOY_BUDGETS = {"quick": 2**18, "standard": 2**20, "full": 2**24}
# The methods of the first rank; in `quick` the others meet `qubo` alone.
_FIRST = (
    "exact",
    "reinforce[baseline=ema]",
    "rloo",
    "arm",
    "disarm",
    "arms",
    "muprop",
    "rebar",
    "relax",
    "gumbel-softmax",
    "st-gumbel-softmax",
    "straight-through",
    "gumbel-rao",
    "reinmax",
    "gapped-straight-through",
)
_FIRST_OF_CLASSES = (
    *(name for name in _FIRST if name not in {"arm", "disarm", "arms"}),
    "disarm-tree",
    "disarm-stick-breaking",
    "unordered-set",
)
_DIGITS_COLUMNS = (
    "relative-bias",
    "variance",
    "work-variance",
    "time-variance",
    "cosine",
    "time",
    "evaluations",
    "memory",
)
_DIGITS_BUDGETS = {"quick": 2**13, "standard": 2**15, "full": 2**20}
# What `quick` runs and times on real data, and what `quick` and `standard` train; frozen problems meet every method in
# `standard` and `full`.
CHOSEN_METHODS = (
    "exact",
    "reinforce",
    "reinforce[baseline=ema]",
    "rloo",
    "disarm",
    "gumbel-softmax",
    "st-gumbel-softmax",
    "straight-through",
    "reinmax",
)


def _every(offers: frozenset[str], *further: str) -> tuple[str, ...]:
    """Every method that fits, as a suite runs it, and further selectors of some of them."""
    fitting = (spec for spec in METHODS if spec.needs <= offers)
    return (*(text for spec in fitting for text in (spec.variants or (spec.name,))), *further)


def _frozen(
    name: str,
    target: str,
    summary: str,
    *,
    offers: frozenset[str],
    suites: Mapping[str, tuple[str, ...]],
    budgets: Mapping[str, int] = _TOY_BUDGETS,
    timed: frozenset[str] = frozenset({"full"}),
    headline: tuple[str, ...] = (),
    methods: Mapping[str, tuple[str, ...]] | None = None,
    baseline: str = "",
) -> TaskSpec:
    return TaskSpec(
        baseline=baseline,
        name=name,
        family="gradients",
        target=f"{_TASKS}.{target}",
        summary=summary,
        version=1,
        offers=offers,
        suites=suites,
        methods=methods or {},
        timed=timed,
        budgets=budgets,
        primary="work-variance",
        headline=headline,
    )


FROZEN_TASKS = (
    _frozen(
        "bernoulli-toy",
        "bernoulli_toy:BernoulliToy",
        "f = mean |b - t|^power over bits with one logit, exact gradient known",
        offers=_BITS | {"power"},
        suites={
            "quick": ("bernoulli-toy", "bernoulli-toy[power=3.0]", "bernoulli-toy[bits=200,t=0.499]"),
            "standard": (
                "bernoulli-toy[theta=[-1.2,0.5,2.0]]",
                "bernoulli-toy[power=[1.5,3.0]]",
                "bernoulli-toy[t=[0.49,0.499],theta=0.0]",
                "bernoulli-toy[bits=200,t=0.499]",
                "bernoulli-toy[bits=200,t=0.499,theta=0.0]",
            ),
            "full": (
                "bernoulli-toy[theta=[-1.2,0.0,0.5,2.0],t=[0.45,0.49,0.499],power=[1.5,2.0,3.0]]",
                "bernoulli-toy[bits=200,t=0.499,power=[2.0,3.0]]",
                "bernoulli-toy[bits=200,t=0.499,theta=0.0]",
            ),
        },
        methods={"quick": _FIRST} | dict.fromkeys(("standard", "full"), _every(_BITS, *_DOUBLE_CV)),
    ),
    _frozen(
        "arms-toy",
        "arms_toy:ArmsToy",
        "f = (b - .49)^2 of one bit: variance at 2, 4 and 10 evaluations, as published",
        offers=_BITS,
        suites=dict.fromkeys(("standard", "full"), ("arms-toy[p=[0.2,0.5,0.8]]",)),
        methods={
            "standard": (
                "exact",
                "rloo[n=[2,4,10]]",
                "arm",
                "arm[pairs=[2,5]]",
                "disarm",
                "disarm[pairs=[2,5]]",
                "arms[n=[2,4,10]]",
            )
        },
    ),
    _frozen(
        "categorical-toy",
        "categorical_toy:CategoricalToy",
        "f = (w . x - t)^power for one choice, exact gradient known",
        offers=_SMOOTH | {"categorical", "power"},
        suites={
            "quick": ("categorical-toy[power=[2,3]]", "categorical-toy[classes=10]"),
            "standard": ("categorical-toy[power=[2,3],classes=[3,10]]", "categorical-toy[point=peaked]"),
            "full": ("categorical-toy[power=[2,3],point=[flat,peaked],classes=[3,10]]",),
        },
        methods={"quick": _FIRST_OF_CLASSES},
    ),
    _frozen(
        "qubo",
        "qubo:Qubo",
        "f = b'Qb + c'b over three interacting bits, exact gradient known",
        offers=_SMOOTH | {"bernoulli"},
        suites=dict.fromkeys(("quick", "standard", "full"), ("qubo",)),
    ),
    _frozen(
        "max-cut",
        "max_cut:MaxCut",
        "minus the cut of the Petersen graph, ten bits, a black box",
        offers=_BLACK_BOX | {"bernoulli"},
        suites={"standard": ("max-cut",), "full": ("max-cut[scale=[0.5,1.0,2.0]]",)},
    ),
    _frozen(
        "parity",
        "parity:Parity",
        "whether the number of ones is odd: no bit matters alone",
        offers=_SMOOTH | {"bernoulli", "multilinear"},
        suites={"standard": ("parity",), "full": ("parity[bits=[3,8]]",)},
    ),
    _frozen(
        "shared-bits",
        "shared_bits:SharedBits",
        "three bits with one common logit as one choice of eight, exact gradient known",
        offers=_CLASSES,
        suites=dict.fromkeys(("standard", "full"), ("shared-bits[phi=[0.0,-4.0]]",)),
        methods=dict.fromkeys(
            ("standard", "full"),
            _every(_CLASSES, "unordered-set[k=[2,3,4,5,6,7,8]]", "top-k-sum[k=[0,1,2,3,4,5,6,7,8]]"),
        ),
    ),
    _frozen(
        "simplex-quadratic",
        "simplex_quadratic:SimplexQuadratic",
        "a quadratic of one choice of three that changes with its probabilities, as published for gumbel-rao",
        offers=_CLASSES,
        suites={"standard": ("simplex-quadratic[point=[0,12,17]]",), "full": (f"simplex-quadratic[point={_GRID}]",)},
        methods=dict.fromkeys(
            ("standard", "full"),
            (
                "exact",
                "st-gumbel-softmax[temperature=[0.1,0.5,1.0]]",
                "gumbel-rao[temperature=[0.1,0.5,1.0],draws=1000]",
                "reinmax",
            ),
        ),
        budgets={"quick": 2**14, "standard": 2**16, "full": 2**18},
    ),
    _frozen(
        "gaussian-cost",
        "gaussian_cost:GaussianCost",
        "f = (x - k)^2, exp(-k x^2) or cos(k x) of one normal variable, gradient for mu and sigma in closed form",
        offers=_NORMAL,
        suites={
            "quick": ("gaussian-cost", "gaussian-cost[function=cos,k=2.0,mu=1.0,sigma=1.5]"),
            "standard": (
                "gaussian-cost",
                *_MC_GRADIENTS,
                "gaussian-cost[function=cos,k=[0.5,2.0],mu=1.0,sigma=1.5]",
            ),
            "full": (
                "gaussian-cost",
                *_MC_GRADIENTS,
                "gaussian-cost[function=exp,k=[0.1,1.0,10.0],mu=1.0]",
                "gaussian-cost[function=cos,k=[0.5,2.0,5.0],mu=1.0,sigma=1.5]",
            ),
        },
        methods=dict.fromkeys(
            ("standard", "full"), _every(_NORMAL, "reinforce[baseline=optimal,decay=0.9998,warmup=5000]")
        ),
    ),
    _frozen(
        "gamma-cost",
        "gamma_cost:GammaCost",
        "f = x, x^2 or exp(-x) of one gamma variable, gradient for its shape in closed form",
        offers=_EXPECTATION | {"gamma", "differentiable"},
        suites={
            "quick": ("gamma-cost",),
            "standard": ("gamma-cost[shape=[0.7,2.5]]",),
            "full": ("gamma-cost[shape=[0.7,2.5],function=[linear,square,exp]]",),
        },
    ),
    _frozen(
        "bayesian-logistic-regression",
        "logistic_regression:BayesianLogisticRegression",
        "31 normal weights of a logistic regression on breast-cancer data, exact by one-dimensional quadrature",
        offers=_EXPECTATION | {"gaussian", "differentiable"},
        suites=dict.fromkeys(("standard", "full"), ("bayesian-logistic-regression[point=[laplace,prior]]",)),
        budgets={"quick": 2**12, "standard": 2**13, "full": 2**17},
    ),
    _frozen(
        "iwae-toy",
        "iwae_toy:IwaeToy",
        "importance-weighted bound of n samples of three bits, exact over all tuples",
        offers=frozenset({"multi-sample"}),
        baseline="vimco[baseline=none]",
        suites={
            "quick": ("iwae-toy",),
            "standard": ("iwae-toy[samples=[2,4]]",),
            "full": ("iwae-toy[samples=[2,3,5]]",),
        },
    ),
    _frozen(
        "digits-vae-frozen",
        "digits_vae_frozen:DigitsVaeFrozen",
        "gradient of an 8-bit autoencoder of digits at stored parameters, 32 images, exact by enumeration",
        offers=_SMOOTH | {"bernoulli"},
        suites=dict.fromkeys(("quick", "standard", "full"), ("digits-vae-frozen",)),
        budgets=_DIGITS_BUDGETS,
        timed=frozenset({"quick", "standard", "full"}),
        headline=_DIGITS_COLUMNS,
        methods={"quick": CHOSEN_METHODS},
    ),
    _frozen(
        "digits-vae-classes-frozen",
        "digits_vae_frozen:DigitsVaeClassesFrozen",
        "gradient of an autoencoder of digits with 4 choices of 4 at stored parameters, 32 images, exact",
        offers=_SMOOTH | {"categorical"},
        suites=dict.fromkeys(("standard", "full"), ("digits-vae-classes-frozen",)),
        budgets={"quick": 2**12, "standard": 2**13, "full": 2**18},
        headline=_DIGITS_COLUMNS,
    ),
    _frozen(
        "digits-path",
        "digits_vae_frozen:DigitsPath",
        "digits-vae-frozen along the path of the exact gradient: how variance changes as training goes on",
        offers=_SMOOTH | {"bernoulli"},
        suites=dict.fromkeys(("standard", "full"), ("digits-path[step=[20,100,2000]]",)),
        budgets={"quick": 2**12, "standard": 2**13, "full": 2**18},
        headline=_DIGITS_COLUMNS,
    ),
)
