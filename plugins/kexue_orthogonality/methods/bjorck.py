"""Relaxed Björck iterations in every forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kexue_bench import Claimed, method

from .. import polynomials
from ..parametrized import Iterated
from ..words import NO_METHOD


@method(
    "bjorck",
    "relaxed Björck iterations in every forward pass",
    unless=(NO_METHOD,),
    claims=(
        Claimed(name="one-lipschitz", when="scale != 'none'"),
        Claimed(name="converges-to-polar", when="beta > 0.4"),
    ),
    references=("doi:10.1137/0708036", "arXiv:1811.05381"),
    order=240,
)
@dataclass(frozen=True, kw_only=True)
class Bjorck(Iterated):
    """`W <- (1 + beta) W - beta W W^T W`, a fixed number of times from X / |X|.

    beta = 1/2 converges quadratically and is Newton-Schulz of degree 3; smaller values converge linearly, with factor
    1 - 2 beta. Singular values stay <= 1.

    Args:
        beta: in (0, 1/2].
        steps: iterations, >= 1.
        scale: what X is divided by: `spectral`, `frobenius` or `none`.

    Raises:
        ValueError: beta, scale or steps is out of range.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = Bjorck(steps=15).attach(targets_of(model))  # before the optimizer is made
        >>> optimizer = torch.optim.Adam(model.parameters())
        >>> torch.allclose(model.weight @ model.weight.T, torch.eye(4), atol=1e-5)
        True
    """

    beta: float = 0.5
    steps: int = 12
    scale: str = "spectral"

    def __post_init__(self) -> None:
        self.check()
        if not 0 < self.beta <= 0.5:
            raise ValueError(f"beta must be in (0, 1/2], got {self.beta}; above 1/2 singular values exceed 1")

    def polynomials(self) -> Iterator[polynomials.Polynomial]:
        """See `Iterated.polynomials`."""
        while True:
            yield polynomials.bjorck(self.beta)
