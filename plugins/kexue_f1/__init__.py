"""Differentiable surrogates of F1, the rules that turn a trained score into decisions, and the tasks that rank them.

The losses work in any training loop, with or without the benchmark::

    from kexue_f1 import SoftF1

    loss, _ = SoftF1().loss(logits, targets)  # [B], [R, B] for R stacked problems, or [R, B, C] with C labels
    loss.backward()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexue_bench.exports import lazy

if TYPE_CHECKING:
    from .base import BatchLoss as BatchLoss
    from .contract import F1Loss as F1Loss
    from .contract import SetReading as SetReading
    from .contract import ThresholdReading as ThresholdReading
    from .methods.anyloss_f1 import AnyLossF1 as AnyLossF1
    from .methods.asl import AsymmetricLoss as AsymmetricLoss
    from .methods.aucm import Aucm as Aucm
    from .methods.bce import BinaryCrossEntropy as BinaryCrossEntropy
    from .methods.bce_dice import BceDice as BceDice
    from .methods.cost_sensitive import CostSensitive as CostSensitive
    from .methods.cost_sensitive import Dinkelbach as Dinkelbach
    from .methods.cross_entropy import CrossEntropy as CrossEntropy
    from .methods.double_soft_f1 import DoubleSoftF1 as DoubleSoftF1
    from .methods.eban_bound import EbanBound as EbanBound
    from .methods.focal import Focal as Focal
    from .methods.global_soft_f1 import EmaSoftF1 as EmaSoftF1
    from .methods.global_soft_f1 import GlobalSoftF1 as GlobalSoftF1
    from .methods.lovasz import LovaszHinge as LovaszHinge
    from .methods.lovasz import LovaszSoftmax as LovaszSoftmax
    from .methods.sigmoid_f1 import SigmoidF1 as SigmoidF1
    from .methods.smooth_ap import SmoothAp as SmoothAp
    from .methods.soft_f1 import SoftF1 as SoftF1
    from .methods.tversky import FocalTversky as FocalTversky
    from .methods.tversky import Tversky as Tversky
    from .methods.weighted_bce import WeightedBinaryCrossEntropy as WeightedBinaryCrossEntropy
    from .methods.zlpr import Zlpr as Zlpr
    from .readings import Gfm as Gfm
    from .readings import Half as Half
    from .readings import HalfF as HalfF
    from .readings import Tuned as Tuned

__getattr__, __dir__ = lazy(__name__)
