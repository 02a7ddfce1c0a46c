"""What a task may use inside a worker: the only part of the core that imports torch.

Names load on first use, so that the desk may import this package without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexue_bench.exports import lazy

if TYPE_CHECKING:
    from .context import Context as Context
    from .counter import Counter as Counter
    from .noise import Noise as Noise
    from .problems import Sampling as Sampling
    from .problems import Workload as Workload
    from .tasks import RecordTask as RecordTask
    from .tasks import SamplingTask as SamplingTask
    from .tasks import SubjectTask as SubjectTask
    from .tasks import TrainedTask as TrainedTask
    from .training import Diverged as Diverged
    from .training import Joins as Joins
    from .training import Measure as Measure
    from .training import Trained as Trained
    from .training import Training as Training

__getattr__, __dir__ = lazy(__name__)
