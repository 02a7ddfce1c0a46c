"""The smoothing family: smooth surrogates of max, argmax, sort, top-k and the like; names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexue_bench.exports import lazy

if TYPE_CHECKING:
    from .contract import Bound as Bound
    from .contract import Smoothing as Smoothing
    from .hard_functions import hard as hard
    from .methods.gumbel_softmax import GumbelSoftmax as GumbelSoftmax
    from .methods.hard_choice import Hard as Hard
    from .methods.hard_choice import StraightThrough as StraightThrough
    from .methods.log_sum_exp import LogSumExp as LogSumExp
    from .methods.log_sum_exp import Mellowmax as Mellowmax
    from .methods.p_norm import PNorm as PNorm
    from .methods.pair_max import PairMax as PairMax
    from .methods.pairwise_rank import PairwiseRank as PairwiseRank
    from .methods.permutahedron import FastSoftRank as FastSoftRank
    from .methods.permutahedron import FastSoftSort as FastSoftSort
    from .methods.perturbed import Perturbed as Perturbed
    from .methods.simplex_maps import Cumax as Cumax
    from .methods.simplex_maps import Entmax as Entmax
    from .methods.simplex_maps import SoftArgmax as SoftArgmax
    from .methods.simplex_maps import Sparsemax as Sparsemax
    from .methods.soft_abs import SoftAbs as SoftAbs
    from .methods.soft_permutations import NeuralSort as NeuralSort
    from .methods.soft_permutations import SoftSort as SoftSort
    from .methods.soft_relu import Gelu as Gelu
    from .methods.soft_relu import Softplus as Softplus
    from .methods.soft_relu import Squareplus as Squareplus
    from .methods.soft_relu import Swish as Swish
    from .methods.soft_round import SoftAssignment as SoftAssignment
    from .methods.soft_round import SoftFloor as SoftFloor
    from .methods.soft_round import SoftFloorAssignment as SoftFloorAssignment
    from .methods.soft_round import SoftRound as SoftRound
    from .methods.soft_step import SoftStep as SoftStep
    from .methods.softmax import Softmax as Softmax
    from .methods.softmax import ThresholdSigmoid as ThresholdSigmoid
    from .methods.sorting_network import SortingNetwork as SortingNetwork
    from .methods.top_k import IterativeTopK as IterativeTopK
    from .methods.top_k import LapSum as LapSum
    from .methods.top_k import LogisticTopK as LogisticTopK
    from .methods.top_k import ProjectionTopK as ProjectionTopK
    from .methods.top_k import SinkhornTopK as SinkhornTopK
    from .methods.weighted_max import EntmaxMax as EntmaxMax
    from .methods.weighted_max import WeightedMax as WeightedMax
    from .pooling import isotonic as isotonic

__getattr__, __dir__ = lazy(__name__)
