"""The smoothing family: smooth stand-ins for max, argmax, sort, top-k and their kin; names load on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .contract import Bound, Smoothing
    from .hard_functions import hard
    from .methods.gumbel_softmax import GumbelSoftmax
    from .methods.hard_choice import Hard, StraightThrough
    from .methods.log_sum_exp import LogSumExp, Mellowmax
    from .methods.p_norm import PNorm
    from .methods.pair_max import PairMax
    from .methods.pairwise_rank import PairwiseRank
    from .methods.permutahedron import FastSoftRank, FastSoftSort
    from .methods.perturbed import Perturbed
    from .methods.simplex_maps import Cumax, Entmax, SoftArgmax, Sparsemax
    from .methods.soft_abs import SoftAbs
    from .methods.soft_permutations import NeuralSort, SoftSort
    from .methods.soft_relu import Gelu, Softplus, Squareplus, Swish
    from .methods.soft_round import SoftAssignment, SoftFloor, SoftFloorAssignment, SoftRound
    from .methods.soft_step import SoftStep
    from .methods.softmax import Softmax, ThresholdSigmoid
    from .methods.sorting_network import SortingNetwork
    from .methods.top_k import IterativeTopK, LapSum, LogisticTopK, ProjectionTopK, SinkhornTopK
    from .methods.weighted_max import EntmaxMax, WeightedMax
    from .pooling import isotonic

_HOMES = {
    "Bound": "contract",
    "Smoothing": "contract",
    "hard": "hard_functions",
    "isotonic": "pooling",
    "Cumax": "methods.simplex_maps",
    "Entmax": "methods.simplex_maps",
    "EntmaxMax": "methods.weighted_max",
    "FastSoftRank": "methods.permutahedron",
    "FastSoftSort": "methods.permutahedron",
    "Gelu": "methods.soft_relu",
    "GumbelSoftmax": "methods.gumbel_softmax",
    "Hard": "methods.hard_choice",
    "IterativeTopK": "methods.top_k",
    "LapSum": "methods.top_k",
    "LogSumExp": "methods.log_sum_exp",
    "LogisticTopK": "methods.top_k",
    "Mellowmax": "methods.log_sum_exp",
    "NeuralSort": "methods.soft_permutations",
    "PNorm": "methods.p_norm",
    "PairMax": "methods.pair_max",
    "PairwiseRank": "methods.pairwise_rank",
    "Perturbed": "methods.perturbed",
    "ProjectionTopK": "methods.top_k",
    "SinkhornTopK": "methods.top_k",
    "SoftAbs": "methods.soft_abs",
    "SoftArgmax": "methods.simplex_maps",
    "SoftAssignment": "methods.soft_round",
    "SoftFloor": "methods.soft_round",
    "SoftFloorAssignment": "methods.soft_round",
    "SoftRound": "methods.soft_round",
    "SoftSort": "methods.soft_permutations",
    "SoftStep": "methods.soft_step",
    "Softmax": "methods.softmax",
    "Softplus": "methods.soft_relu",
    "SortingNetwork": "methods.sorting_network",
    "Sparsemax": "methods.simplex_maps",
    "Squareplus": "methods.soft_relu",
    "StraightThrough": "methods.hard_choice",
    "Swish": "methods.soft_relu",
    "ThresholdSigmoid": "methods.softmax",
    "WeightedMax": "methods.weighted_max",
}

__all__ = [
    "Bound",
    "Cumax",
    "Entmax",
    "EntmaxMax",
    "FastSoftRank",
    "FastSoftSort",
    "Gelu",
    "GumbelSoftmax",
    "Hard",
    "IterativeTopK",
    "LapSum",
    "LogSumExp",
    "LogisticTopK",
    "Mellowmax",
    "NeuralSort",
    "PNorm",
    "PairMax",
    "PairwiseRank",
    "Perturbed",
    "ProjectionTopK",
    "SinkhornTopK",
    "Smoothing",
    "SoftAbs",
    "SoftArgmax",
    "SoftAssignment",
    "SoftFloor",
    "SoftFloorAssignment",
    "SoftRound",
    "SoftSort",
    "SoftStep",
    "Softmax",
    "Softplus",
    "SortingNetwork",
    "Sparsemax",
    "Squareplus",
    "StraightThrough",
    "Swish",
    "ThresholdSigmoid",
    "WeightedMax",
    "hard",
    "isotonic",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
