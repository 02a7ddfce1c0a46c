"""Gradient estimators of an expectation over discrete variables, and the problems that rank them.

The methods work in any training loop, with or without the benchmark::

    from kexue_bench.lab.context import Noise
    from kexue_gradients import Distribution, FunctionObjective, ReinMax

    objective = FunctionObjective(lambda z: loss(decoder(z)))  # z [S, *batch, L] -> [S, *batch]
    sample = ReinMax().estimate(Distribution(kind="bernoulli", logits=logits), objective, noise.at(step), repeats=1)
    sample.surrogate(logits).mean().backward()  # encoder and decoder
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .adapters import from_sampler
    from .contract import Distribution, Enumeration, Gamma, Gaussian, GradientMethod, GradSample, Objective
    from .methods.disarm import Disarm
    from .methods.exact import Exact
    from .methods.gumbel_softmax import GumbelSoftmax
    from .methods.reinforce import Reinforce
    from .methods.reinmax import ReinMax
    from .methods.rloo import Rloo
    from .methods.st_gumbel_softmax import StGumbelSoftmax
    from .methods.straight_through import StraightThrough
    from .objective import FunctionObjective

_EXPORTS = {
    "Disarm": "methods.disarm",
    "Distribution": "contract",
    "Enumeration": "contract",
    "Exact": "methods.exact",
    "FunctionObjective": "objective",
    "Gamma": "contract",
    "Gaussian": "contract",
    "GradSample": "contract",
    "GradientMethod": "contract",
    "GumbelSoftmax": "methods.gumbel_softmax",
    "Objective": "contract",
    "ReinMax": "methods.reinmax",
    "Reinforce": "methods.reinforce",
    "Rloo": "methods.rloo",
    "StGumbelSoftmax": "methods.st_gumbel_softmax",
    "StraightThrough": "methods.straight_through",
    "from_sampler": "adapters",
}

__all__ = [
    "Disarm",
    "Distribution",
    "Enumeration",
    "Exact",
    "FunctionObjective",
    "Gamma",
    "Gaussian",
    "GradSample",
    "GradientMethod",
    "GumbelSoftmax",
    "Objective",
    "ReinMax",
    "Reinforce",
    "Rloo",
    "StGumbelSoftmax",
    "StraightThrough",
    "from_sampler",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
