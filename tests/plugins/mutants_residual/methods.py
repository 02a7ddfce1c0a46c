"""Estimators that `verify` must fail."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from kexue_logdet.methods.neumann_roulette import NeumannRoulette
from kexue_logdet.methods.russian_roulette import RussianRoulette
from kexue_logdet.roulette import Stopping


class Unweighted(Stopping):
    """A law that cuts at random and says that every term is always reached."""

    def survival(self, terms):
        return torch.ones(terms, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True)
class UnweightedRoulette(RussianRoulette):
    """Terms are not divided by the probability of reaching them."""

    probability: float = 0.5
    certain: int = 0

    def law(self):
        return Unweighted(law=self.stopping, probability=self.probability, rate=self.rate, certain=self.certain)


@dataclass(frozen=True, kw_only=True)
class UnweightedNeumann(NeumannRoulette):
    """The same mistake in the series of the gradient."""

    probability: float = 0.5
    certain: int = 0

    def law(self):
        return Unweighted(law=self.stopping, probability=self.probability, rate=self.rate, certain=self.certain)
