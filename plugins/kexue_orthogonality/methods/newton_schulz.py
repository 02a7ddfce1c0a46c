"""Newton-Schulz iterations in every forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kexue_bench import Claimed, method

from ..parametrized import Iterated
from ..polynomials import NEWTON_SCHULZ, Polynomial
from ..words import NO_METHOD


@method(
    "newton-schulz",
    "Newton-Schulz iterations in every forward pass, degree 3 or 5",
    unless=(NO_METHOD,),
    claims=(Claimed(name="one-lipschitz", when="scale != 'none'"), "converges-to-polar"),
    references=("doi:10.1137/0707031", "doi:10.1137/0708036"),
    order=230,
)
@dataclass(frozen=True, kw_only=True)
class NewtonSchulz(Iterated):
    """`W <- (3 W - W G) / 2`, or `W <- (15 W - 10 W G + 3 W G^2) / 8`, `G = W^T W`, repeated, from X / |X|.

    Singular values s <= 1 rise to 1 and never exceed it, so the layer is 1-Lipschitz after any number of steps; small
    ones grow by a factor of 1.5 or 1.875 per step. The degree-3 step is gradient descent on |G - I|_F^2 at rate 1/8.
    Gradients pass through all steps.

    Args:
        degree: 3 or 5.
        steps: iterations, >= 1.
        scale: what X is divided by: `spectral`, `frobenius` or `none`.

    Raises:
        ValueError: degree, scale or steps is out of range.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = NewtonSchulz(steps=12).attach(targets_of(model))  # before the optimizer is made
        >>> optimizer = torch.optim.Adam(model.parameters())
        >>> torch.allclose(model.weight @ model.weight.T, torch.eye(4), atol=1e-5)
        True
    """

    degree: int = 5
    steps: int = 10
    scale: str = "spectral"

    def __post_init__(self) -> None:
        self.check()
        if self.degree not in NEWTON_SCHULZ:
            raise ValueError(f"degree must be 3 or 5, got {self.degree}")

    def polynomials(self) -> Iterator[Polynomial]:
        """See `Iterated.polynomials`."""
        while True:
            yield NEWTON_SCHULZ[self.degree]
