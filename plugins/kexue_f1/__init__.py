"""Differentiable stand-ins for F1, the rules that read a trained score, and the problems that rank them.

The losses work in any training loop, with or without the benchmark::

    from kexue_f1 import SoftF1

    loss, _ = SoftF1().loss(logits, targets)  # [B], or [R, B] for R problems side by side, or [R, B, C] with C labels
    loss.backward()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import BatchLoss
    from .contract import F1Loss, SetReading, ThresholdReading
    from .methods.anyloss_f1 import AnyLossF1
    from .methods.asl import AsymmetricLoss
    from .methods.aucm import Aucm
    from .methods.bce import BinaryCrossEntropy
    from .methods.bce_dice import BceDice
    from .methods.cost_sensitive import CostSensitive, Dinkelbach
    from .methods.cross_entropy import CrossEntropy
    from .methods.double_soft_f1 import DoubleSoftF1
    from .methods.eban_bound import EbanBound
    from .methods.focal import Focal
    from .methods.global_soft_f1 import EmaSoftF1, GlobalSoftF1
    from .methods.lovasz import LovaszHinge, LovaszSoftmax
    from .methods.sigmoid_f1 import SigmoidF1
    from .methods.smooth_ap import SmoothAp
    from .methods.soft_f1 import SoftF1
    from .methods.tversky import FocalTversky, Tversky
    from .methods.weighted_bce import WeightedBinaryCrossEntropy
    from .methods.zlpr import Zlpr
    from .readings import Gfm, Half, HalfF, Tuned

_EXPORTS = {
    "AnyLossF1": "methods.anyloss_f1",
    "AsymmetricLoss": "methods.asl",
    "Aucm": "methods.aucm",
    "BatchLoss": "base",
    "BceDice": "methods.bce_dice",
    "BinaryCrossEntropy": "methods.bce",
    "CostSensitive": "methods.cost_sensitive",
    "CrossEntropy": "methods.cross_entropy",
    "Dinkelbach": "methods.cost_sensitive",
    "DoubleSoftF1": "methods.double_soft_f1",
    "EbanBound": "methods.eban_bound",
    "EmaSoftF1": "methods.global_soft_f1",
    "F1Loss": "contract",
    "Focal": "methods.focal",
    "FocalTversky": "methods.tversky",
    "Gfm": "readings",
    "GlobalSoftF1": "methods.global_soft_f1",
    "Half": "readings",
    "HalfF": "readings",
    "LovaszHinge": "methods.lovasz",
    "LovaszSoftmax": "methods.lovasz",
    "SetReading": "contract",
    "SigmoidF1": "methods.sigmoid_f1",
    "SmoothAp": "methods.smooth_ap",
    "SoftF1": "methods.soft_f1",
    "ThresholdReading": "contract",
    "Tuned": "readings",
    "Tversky": "methods.tversky",
    "WeightedBinaryCrossEntropy": "methods.weighted_bce",
    "Zlpr": "methods.zlpr",
}

__all__ = [
    "AnyLossF1",
    "AsymmetricLoss",
    "Aucm",
    "BatchLoss",
    "BceDice",
    "BinaryCrossEntropy",
    "CostSensitive",
    "CrossEntropy",
    "Dinkelbach",
    "DoubleSoftF1",
    "EbanBound",
    "EmaSoftF1",
    "F1Loss",
    "Focal",
    "FocalTversky",
    "Gfm",
    "GlobalSoftF1",
    "Half",
    "HalfF",
    "LovaszHinge",
    "LovaszSoftmax",
    "SetReading",
    "SigmoidF1",
    "SmoothAp",
    "SoftF1",
    "ThresholdReading",
    "Tuned",
    "Tversky",
    "WeightedBinaryCrossEntropy",
    "Zlpr",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
