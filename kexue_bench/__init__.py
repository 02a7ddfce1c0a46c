"""kexue-bench: benchmarks of estimators, regularizers and losses against exact truth.

What a plugin author needs is importable from here without importing torch; results are read by `load_run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .exports import lazy

if TYPE_CHECKING:
    from . import errors as errors
    from ._version import __version__ as __version__
    from .api import Case as Case
    from .api import Claimed as Claimed
    from .api import ClaimSpec as ClaimSpec
    from .api import CodePath as CodePath
    from .api import CommandSpec as CommandSpec
    from .api import Evidence as Evidence
    from .api import FamilySpec as FamilySpec
    from .api import FilePath as FilePath
    from .api import Given as Given
    from .api import Instance as Instance
    from .api import Knob as Knob
    from .api import Loop as Loop
    from .api import Measurement as Measurement
    from .api import MethodSpec as MethodSpec
    from .api import MetricSpec as MetricSpec
    from .api import Outcome as Outcome
    from .api import Plan as Plan
    from .api import PublishedSpec as PublishedSpec
    from .api import ReadingSpec as ReadingSpec
    from .api import ReporterSpec as ReporterSpec
    from .api import TaskSpec as TaskSpec
    from .api import Unless as Unless
    from .catalog.declare import claim as claim
    from .catalog.declare import discover as discover
    from .catalog.declare import method as method
    from .catalog.declare import reading as reading
    from .catalog.declare import task as task
    from .catalog.hookspecs import hookimpl as hookimpl
    from .session import Comparison as Comparison
    from .session import compare as compare
    from .session import verify as verify
    from .store.results import Run as Run
    from .store.results import load_run as load_run

__getattr__, __dir__ = lazy(__name__)
