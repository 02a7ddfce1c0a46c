"""Gradient estimators of an expectation over discrete variables, and the problems that rank them.

The methods work in any training loop, with or without the benchmark::

    from kexue_bench.lab.noise import Noise
    from kexue_gradients import Distribution, FunctionObjective, ReinMax

    objective = FunctionObjective(lambda z: loss(decoder(z)))  # z [S, *batch, L] -> [S, *batch]
    sample = ReinMax().estimate(Distribution(kind="bernoulli", logits=logits), objective, noise.at(step), repeats=1)
    sample.surrogate(logits).mean().backward()  # encoder and decoder
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexue_bench.exports import lazy

if TYPE_CHECKING:
    from .adapters import from_per_sample as from_per_sample
    from .adapters import from_sampler as from_sampler
    from .adapters import from_surrogate as from_surrogate
    from .contract import Distribution as Distribution
    from .contract import Enumeration as Enumeration
    from .contract import Gamma as Gamma
    from .contract import Gaussian as Gaussian
    from .contract import GradientMethod as GradientMethod
    from .contract import GradSample as GradSample
    from .contract import Objective as Objective
    from .methods.antithetic_score import AntitheticScore as AntitheticScore
    from .methods.arm import Arm as Arm
    from .methods.arms import Arms as Arms
    from .methods.bit_flip import BitFlip as BitFlip
    from .methods.darn import Darn as Darn
    from .methods.decoupled_st import DecoupledSt as DecoupledSt
    from .methods.disarm import Disarm as Disarm
    from .methods.disarm_stick_breaking import DisarmStickBreaking as DisarmStickBreaking
    from .methods.disarm_tree import DisarmTree as DisarmTree
    from .methods.double_cv import DoubleCv as DoubleCv
    from .methods.exact import Exact as Exact
    from .methods.exact_baseline import ExactBaseline as ExactBaseline
    from .methods.gapped_straight_through import GappedStraightThrough as GappedStraightThrough
    from .methods.gumbel_rao import GumbelRao as GumbelRao
    from .methods.gumbel_softmax import GumbelSoftmax as GumbelSoftmax
    from .methods.imle import Imle as Imle
    from .methods.implicit_gamma import ImplicitGamma as ImplicitGamma
    from .methods.measure_valued import MeasureValued as MeasureValued
    from .methods.muprop import MuProp as MuProp
    from .methods.nvil import Nvil as Nvil
    from .methods.pathwise import Pathwise as Pathwise
    from .methods.rebar import Rebar as Rebar
    from .methods.reinforce import Reinforce as Reinforce
    from .methods.reinmax import ReinMax as ReinMax
    from .methods.relax import Relax as Relax
    from .methods.rloo import Rloo as Rloo
    from .methods.rodeo import Rodeo as Rodeo
    from .methods.st_gumbel_softmax import StGumbelSoftmax as StGumbelSoftmax
    from .methods.straight_through import StraightThrough as StraightThrough
    from .methods.stratified import Stratified as Stratified
    from .methods.top_k_sum import TopKSum as TopKSum
    from .methods.unordered_set import UnorderedSet as UnorderedSet
    from .methods.vimco import Vimco as Vimco
    from .objective import FunctionObjective as FunctionObjective

__getattr__, __dir__ = lazy(__name__)
