"""The common part of the methods that sketch a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .probes import INDEPENDENT, validate


@dataclass(frozen=True, kw_only=True)
class Sketching:
    """A method whose size is its number of products with B: A, A^-1 or log A, depending on the target.

    Args:
        vectors: number m of products with B per repeat.
        steps: Lanczos steps k of a product with log A or A^-1, >= 1. A repeat costs m products for a trace,
            otherwise m min(k, n).
        distribution: distribution of all random vectors: `rademacher`, `gaussian` or `sphere`.

    Attributes:
        least: smallest m.
        distributions: those that the method can use.
    """

    least: ClassVar[int]
    distributions: ClassVar[tuple[str, ...]] = INDEPENDENT

    vectors: int = 60
    steps: int = 8
    distribution: str = "rademacher"

    def __post_init__(self) -> None:
        if self.vectors < self.least or self.steps < 1:
            got = f"{self.vectors} and {self.steps}"
            raise ValueError(f"vectors must be >= {self.least} and steps >= 1, got {got}")
        validate(1, self.distribution, known=self.distributions)
