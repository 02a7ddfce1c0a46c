"""Averages of weights that work in any training loop, and what their bias and variance are.

from kexue_averaging import Ema

average = Ema(decay=0.99).attach(model)
average.after_(step)  # after optimizer.step()
with average.measuring():
    evaluate(model)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexue_bench.exports import lazy

if TYPE_CHECKING:
    from .contract import Average as Average
    from .contract import Averager as Averager
    from .laws import law as law
    from .methods.competitors import EmaPytorch as EmaPytorch
    from .methods.competitors import ScheduleFreePackage as ScheduleFreePackage
    from .methods.competitors import TimmEma as TimmEma
    from .methods.competitors import TorchAveragedModel as TorchAveragedModel
    from .methods.competitors import TorchEma as TorchEma
    from .methods.ema import Ema as Ema
    from .methods.optimizers import Lookahead as Lookahead
    from .methods.optimizers import ScheduleFree as ScheduleFree
    from .methods.optimizers import ScheduleFreeSGD as ScheduleFreeSGD
    from .methods.power import PostHocEma as PostHocEma
    from .methods.power import PowerEma as PowerEma
    from .methods.power import gamma_of as gamma_of
    from .methods.power import width_of as width_of
    from .methods.raw import Raw as Raw
    from .methods.uniform import Lawa as Lawa
    from .methods.uniform import Polyak as Polyak
    from .methods.uniform import Swa as Swa
    from .shadow import Shadow as Shadow

__getattr__, __dir__ = lazy(__name__)
