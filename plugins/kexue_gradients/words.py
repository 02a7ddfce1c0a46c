"""Values that several declarations of the family share: knobs, offers, lists of methods, columns and budgets.

Every problem offers the name of its distribution (`bernoulli`, `categorical`, with `discrete` for both; `gaussian`,
`gamma`) and `expectation`, or else `multi-sample`. `power`: the task's parameter of this name is the degree of f.
`multilinear`: f is of degree 1 in each variable. `relaxable`: f is defined between the vertices.
"""

from __future__ import annotations

from kexue_bench import Knob

SMOOTH = ("expectation", "discrete", "enumerable", "differentiable", "relaxable")
"""What a problem of bits or classes offers unless it is a black box."""

SOFTNESS = Knob(field="temperature", grid=(0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.0))
PACE = Knob(field="rate", grid=(0.002, 0.005, 0.02, 0.05, 0.2))
"""How fast a control variate or a baseline learns, in its warm-up and in training."""
WARMUP = Knob(field="warmup", grid=(100, 200, 400, 800), when="not task.steps > 0")
"""Only problems with frozen parameters have a warm-up; all that train have a number of steps."""
LEARNING_RATES = Knob(field="lr", grid=(3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1))

TOY_BUDGETS = {"quick": 262_144, "standard": 1_048_576, "full": 16_777_216}

_OF_FIRST_RANK = (
    "muprop",
    "gumbel-softmax",
    "st-gumbel-softmax",
    "straight-through",
    "gumbel-rao",
    "reinmax",
    "gapped-straight-through",
)
FIRST_OF_BITS = ("exact", "reinforce[baseline=ema]", "rloo", "arm", "disarm", "arms", *_OF_FIRST_RANK)
"""The main methods; in `quick` the others run on `qubo` only, REBAR and RELAX among them, whose warm-up takes as long
as a dozen others."""
FIRST_OF_CLASSES = (
    "exact",
    "reinforce[baseline=ema]",
    "rloo",
    *_OF_FIRST_RANK,
    "disarm-tree",
    "disarm-stick-breaking",
    "unordered-set",
)
LEARNED = ("rebar", "relax")
"""Learned control variates, which `quick` runs on a function of the user's as well."""
SAMPLED = (
    "reinforce",
    "reinforce[baseline=ema]",
    "rloo",
    "disarm",
    "st-gumbel-softmax",
    "straight-through",
    "reinmax",
)
"""The methods that `quick` trains, and runs and times on real data."""
CHOSEN = ("exact", *SAMPLED, "gumbel-softmax")
"""The methods that `tour` runs and times on real data, and that `standard` trains; on frozen problems `standard` and
`full` run every method."""
TRAINED_METHODS = {"quick": SAMPLED, "standard": (*CHOSEN, "disarm-tree", "rebar")}
"""A training run costs as much as a hundred frozen problems: only `full` trains with every method."""
TRAINED_COLUMNS = ("elbo", "elbo-test", "time", "evaluations", "memory")
