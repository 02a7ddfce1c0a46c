"""Drop-in samplers as gradient methods."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench.lab.context import Noise as SeededNoise

from .contract import Distribution, GradSample, Objective

if TYPE_CHECKING:
    from kexue_bench.lab.context import Noise

Sampler = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True, kw_only=True)
class _SamplerMethod:
    """A differentiable sampler as a gradient method; see `from_sampler`."""

    sampler: Sampler
    temperature: float

    def estimate(
        self,
        distribution: Distribution,
        objective: Objective,
        noise: Noise,
        repeats: int,
        state: object = None,  # noqa: ARG002  # the contract's argument; nothing is learned here
    ) -> GradSample:
        """One sample, one evaluation and one backward a repeat."""
        logits = distribution.logits
        bits = distribution.kind == "bernoulli"
        with torch.enable_grad():
            # Every repeat gets logits of its own, so that one backward pass gives every repeat's own gradient.
            repeated = logits.expand(repeats, *logits.shape).clone().requires_grad_()
            classes = torch.stack([repeated, torch.zeros_like(repeated)], dim=-1) if bits else repeated
            with _lent_global_rng(noise, logits):
                sample = self.sampler(classes, self.temperature)
            if sample.shape != classes.shape:
                raise ValueError(
                    f"a sampler must return the shape of its logits {tuple(classes.shape)}, got {tuple(sample.shape)}"
                )
            x = sample[..., 0] if bits else sample
        value, cotangent = objective.value_and_gradient(x)
        (gradient,) = torch.autograd.grad(x, repeated, cotangent)
        return GradSample(gradient=gradient, value=value)


def from_sampler(sampler: Sampler, *, temperature: float) -> _SamplerMethod:
    """Wrap a sampler in the style of `torch.nn.functional.gumbel_softmax` as a gradient method.

    The logits are expanded to `[R, *logits.shape]`, sampled in one call and differentiated in one backward pass.
    Bits are handed over as two classes with logits (l, 0), and f sees the first of them. A sampler draws from torch's
    global generator: it is lent a stream of the method's noise and restored afterwards. In a stack of replicates the
    first replicate's noise seeds them all, so such a method's stack is not equal to its singles.

    Args:
        sampler: `sampler(logits, temperature)`, logits `[..., K]`, giving a sample of the same shape whose backward
            pass is the estimator.
        temperature: handed to the sampler.

    Raises:
        ValueError: at the first estimate, if the sampler returns another shape.

    Examples:
        >>> import torch
        >>> from torch.nn import functional
        >>> method = from_sampler(lambda l, tau: functional.gumbel_softmax(l, tau, hard=True), temperature=1.0)
        >>> method.temperature
        1.0
    """
    return _SamplerMethod(sampler=sampler, temperature=temperature)


@contextmanager
def _lent_global_rng(noise: Noise, logits: Tensor) -> Iterator[None]:
    """Lend torch's global generators under a stream that `noise` decides, restored on leaving."""
    draw = noise.uniform(*logits.shape).flatten()[:16].to("cpu", torch.float64)
    seed = int.from_bytes(hashlib.sha256(draw.numpy().tobytes()).digest(), "little")
    devices = [logits.device] if logits.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.set_rng_state(SeededNoise.seeded(seed).twister())
        for device in devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed % 2**63)
        yield
