"""Gradient estimators of an expectation over discrete variables, and the problems that rank them.

The methods work in any training loop, with or without the benchmark::

    from kexue_bench.lab.noise import Noise
    from kexue_gradients import Distribution, FunctionObjective, ReinMax

    objective = FunctionObjective(lambda z: loss(decoder(z)))  # z [S, *batch, L] -> [S, *batch]
    sample = ReinMax().estimate(Distribution(kind="bernoulli", logits=logits), objective, noise.at(step), repeats=1)
    sample.surrogate(logits).mean().backward()  # encoder and decoder
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .adapters import from_per_sample, from_sampler, from_surrogate
    from .contract import Distribution, Enumeration, Gamma, Gaussian, GradientMethod, GradSample, Objective
    from .methods.antithetic_score import AntitheticScore
    from .methods.arm import Arm
    from .methods.arms import Arms
    from .methods.bit_flip import BitFlip
    from .methods.darn import Darn
    from .methods.decoupled_st import DecoupledSt
    from .methods.disarm import Disarm
    from .methods.disarm_stick_breaking import DisarmStickBreaking
    from .methods.disarm_tree import DisarmTree
    from .methods.double_cv import DoubleCv
    from .methods.exact import Exact
    from .methods.exact_baseline import ExactBaseline
    from .methods.gapped_straight_through import GappedStraightThrough
    from .methods.gumbel_rao import GumbelRao
    from .methods.gumbel_softmax import GumbelSoftmax
    from .methods.imle import Imle
    from .methods.implicit_gamma import ImplicitGamma
    from .methods.measure_valued import MeasureValued
    from .methods.muprop import MuProp
    from .methods.nvil import Nvil
    from .methods.pathwise import Pathwise
    from .methods.rebar import Rebar
    from .methods.reinforce import Reinforce
    from .methods.reinmax import ReinMax
    from .methods.relax import Relax
    from .methods.rloo import Rloo
    from .methods.rodeo import Rodeo
    from .methods.st_gumbel_softmax import StGumbelSoftmax
    from .methods.straight_through import StraightThrough
    from .methods.stratified import Stratified
    from .methods.top_k_sum import TopKSum
    from .methods.unordered_set import UnorderedSet
    from .methods.vimco import Vimco
    from .objective import FunctionObjective

_EXPORTS = {
    "AntitheticScore": "methods.antithetic_score",
    "Arm": "methods.arm",
    "Arms": "methods.arms",
    "BitFlip": "methods.bit_flip",
    "Darn": "methods.darn",
    "DecoupledSt": "methods.decoupled_st",
    "Disarm": "methods.disarm",
    "DisarmStickBreaking": "methods.disarm_stick_breaking",
    "DisarmTree": "methods.disarm_tree",
    "Distribution": "contract",
    "DoubleCv": "methods.double_cv",
    "Enumeration": "contract",
    "Exact": "methods.exact",
    "ExactBaseline": "methods.exact_baseline",
    "FunctionObjective": "objective",
    "Gamma": "contract",
    "GappedStraightThrough": "methods.gapped_straight_through",
    "Gaussian": "contract",
    "GradSample": "contract",
    "GradientMethod": "contract",
    "GumbelRao": "methods.gumbel_rao",
    "GumbelSoftmax": "methods.gumbel_softmax",
    "Imle": "methods.imle",
    "ImplicitGamma": "methods.implicit_gamma",
    "MeasureValued": "methods.measure_valued",
    "MuProp": "methods.muprop",
    "Nvil": "methods.nvil",
    "Objective": "contract",
    "Pathwise": "methods.pathwise",
    "Rebar": "methods.rebar",
    "ReinMax": "methods.reinmax",
    "Reinforce": "methods.reinforce",
    "Relax": "methods.relax",
    "Rloo": "methods.rloo",
    "Rodeo": "methods.rodeo",
    "StGumbelSoftmax": "methods.st_gumbel_softmax",
    "StraightThrough": "methods.straight_through",
    "Stratified": "methods.stratified",
    "TopKSum": "methods.top_k_sum",
    "UnorderedSet": "methods.unordered_set",
    "Vimco": "methods.vimco",
    "from_per_sample": "adapters",
    "from_sampler": "adapters",
    "from_surrogate": "adapters",
}

__all__ = [
    "AntitheticScore",
    "Arm",
    "Arms",
    "BitFlip",
    "Darn",
    "DecoupledSt",
    "Disarm",
    "DisarmStickBreaking",
    "DisarmTree",
    "Distribution",
    "DoubleCv",
    "Enumeration",
    "Exact",
    "ExactBaseline",
    "FunctionObjective",
    "Gamma",
    "GappedStraightThrough",
    "Gaussian",
    "GradSample",
    "GradientMethod",
    "GumbelRao",
    "GumbelSoftmax",
    "Imle",
    "ImplicitGamma",
    "MeasureValued",
    "MuProp",
    "Nvil",
    "Objective",
    "Pathwise",
    "Rebar",
    "ReinMax",
    "Reinforce",
    "Relax",
    "Rloo",
    "Rodeo",
    "StGumbelSoftmax",
    "StraightThrough",
    "Stratified",
    "TopKSum",
    "UnorderedSet",
    "Vimco",
    "from_per_sample",
    "from_sampler",
    "from_surrogate",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
