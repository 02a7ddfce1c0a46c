"""What tasks on one target share: the problem of a method's chains on it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from ..chains import Chains, fitting

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling

    from ..targets import Target


class Chained:
    """A task that states its target; chains start and end by its two fields."""

    evaluations: int
    start: str

    @abstractmethod
    def target(self) -> Target:
        """The density with its moments."""

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        target, sampler = self.target(), fitting(method)
        return Chains(target, sampler, ctx, evaluations=self.evaluations, start=self.start).sampling()
