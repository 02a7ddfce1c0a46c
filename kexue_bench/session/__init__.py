"""Run a request, store it and read it: shared by the command line, scripts and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exports import lazy

if TYPE_CHECKING:
    from .entry import compare as compare
    from .entry import verify as verify
    from .options import ReadOptions as ReadOptions
    from .options import RunOptions as RunOptions
    from .results import Comparison as Comparison
    from .results import Verification as Verification
    from .results import tabulate as tabulate
    from .running import Session as Session
    from .running import load as load
    from .running import plan_session as plan_session
    from .running import run_session as run_session

__getattr__, __dir__ = lazy(__name__)
