"""Samplers and energy models, two families of one contract; names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexue_bench.exports import lazy

if TYPE_CHECKING:
    from .contract import Criterion as Criterion
    from .contract import Energy as Energy
    from .contract import FunctionPotential as FunctionPotential
    from .contract import Linear as Linear
    from .contract import Potential as Potential
    from .contract import Sampler as Sampler
    from .contract import StepInfo as StepInfo
    from .samplers.methods.ula import Ula as Ula

__getattr__, __dir__ = lazy(__name__)
