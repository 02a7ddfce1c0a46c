"""The exponential moving average, with its corrections."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import method

from ..moving import MovingAverager
from ..words import DECAYS, LINEAR


@method(
    "ema",
    "exponential moving average of the weights; also debiased, or with a warm-up of the decay",
    claims=LINEAR,
    knobs=(DECAYS,),
    variants=("ema", "ema[correction=debias]", "ema[correction=warmup,warmup=[timm,tensorflow,power]]"),
    references=(
        "kexue.fm 6575",
        "arXiv:1412.6980",
        "repository lucidrains/ema-pytorch",
        "repository huggingface/pytorch-image-models",
    ),
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class Ema(MovingAverager):
    """`A_n = a A_{n-1} + (1 - a) theta_n` with A_0 = theta_0, updated after the optimizer's step.

    On a quadratic with contraction r = 1 - rate x curvature its stationary variance is (1 - a) (1 + a r) /
    ((1 + a) (1 - a r)) of that of the iterates. The start is forgotten as a^n. `debias` divides it out, as Adam does
    (arXiv 1412.6980, section 3): A_n is then the mean of theta_1 .. theta_n with weights a^(n - k). `warmup` starts
    with a smaller decay: `timm` 1 - n^(-2/3) (the default of timm and ema-pytorch), `tensorflow` (1 + n) / (10 + n)
    with n counted from 0, `power` 1 - 1/n, the uniform average until it reaches the decay.

    Args:
        decay: a, in [0, 1).
        correction: `none`, `debias` or `warmup`.
        warmup: how the decay grows, where `correction` is `warmup`.
        buffers: see `MovingAverager`.
        storage: see `MovingAverager`.

    Raises:
        ValueError: the decay is not in [0, 1), or an unknown word.

    Examples:
        >>> import torch
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> average = Ema(decay=0.5).attach(model)
        >>> _ = model.weight.data.add_(1.0)
        >>> average.after_(1)
        >>> (model.weight - average.averaged()["weight"]).item()
        0.5
    """

    decay: float = 0.999
    correction: str = "none"
    warmup: str = "timm"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {self.decay}; 0 is the last iterate")
        if self.correction not in ("none", "debias", "warmup"):
            raise ValueError(f"correction must be none, debias or warmup, got {self.correction!r}")
        if self.warmup not in _WARMUPS:
            raise ValueError(f"warmup must be one of {', '.join(_WARMUPS)}, got {self.warmup!r}")

    def rate(self, n: int) -> float:
        """See `MovingAverager.rate`."""
        match self.correction:
            case "debias":
                return (1 - self.decay) / (1 - self.decay**n)
            case "warmup":
                return 1 - min(self.decay, _WARMUPS[self.warmup](n))
        return 1 - self.decay

    def weights(self, n: int) -> Tensor:
        """Closed forms without and with `debias`; the product of the decays with `warmup`."""
        powers = self.decay ** torch.arange(n, -1, -1, dtype=torch.float64)
        match self.correction:
            case "none":
                start = torch.zeros_like(powers)
                start[0] = powers[0]
                return (1 - self.decay) * powers * (torch.arange(n + 1) > 0) + start
            case "debias" if n:
                found = powers * (torch.arange(n + 1) > 0)
                return found / found.sum()
        decays = torch.tensor(
            [0.0, *(min(self.decay, _WARMUPS[self.warmup](k)) for k in range(1, n + 1))], dtype=torch.float64
        )
        later = torch.cat([decays[1:].flip(0).cumprod(0).flip(0), torch.ones(1, dtype=torch.float64)])
        return (1 - decays) * later


_WARMUPS = {
    "timm": lambda n: 1 - n ** (-2 / 3),
    "tensorflow": lambda n: n / (9 + n),
    "power": lambda n: 1 - 1 / n,
}
