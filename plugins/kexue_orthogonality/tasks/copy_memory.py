"""The copy task: what a recurrent network remembers over a delay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kexue_bench import task
from kexue_bench.lab.training import Training, adam

from ..contract import OrthogonalityMethod
from ..targets import WeightTarget
from ..words import RECURRENT, RECURRENT_RATES
from .counted import CountedTraining
from .layers import StackedLinear
from .measures import orthogonality, trained_mean

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure

SYMBOLS, LENGTH = 8, 10
_BLANK, _MARKER = 0, SYMBOLS + 1
_BATCH, _TEST = 32, 256


@task(
    "copy-memory",
    "a recurrent network repeats ten symbols after a delay; the best without memory is known",
    version=1,
    kind="trained",
    knobs=(RECURRENT_RATES,),
    suites={
        "standard": ("copy-memory",),
        "full": ("copy-memory[steps=2000]", "copy-memory[delay=100,units=128,steps=2000]"),
    },
    methods={"standard": RECURRENT},
    timed={"full"},
    replicates={"standard": 5, "full": 10},
    stack=5,
    primary="copy-nll",
    headline=("copy-nll", "copy-share", "copy-accuracy", "orthogonality-error", "time", "flops"),
    order=130,
)
@dataclass(frozen=True, kw_only=True)
class CopyMemory:
    """Read ten symbols of eight, wait, and repeat them: sequences of `delay` + 20, one symbol or blank per step.

    A network without memory does best by predicting blank, then each symbol with probability 1/8: 10 log 8 / (delay +
    20) nats per position. `copy-nll` is measured on 256 fresh sequences, `copy-share` is its ratio to that baseline: 1
    is no memory, 0 perfect recall. One recurrent layer h <- f(W h + U x) with modReLU, which preserves lengths where it
    is active; W starts at N(0, 1 / units), Adam on batches of 32 new sequences. Methods hold W.

    Source: arXiv:1511.06464 for the task, arXiv:1901.08428 for the network.

    Args:
        delay: steps between the last symbol and the first output.
        units: size of h.
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: delay, units or steps is below 1, or the learning rate is not positive.
    """

    delay: int = 10
    units: int = 48
    steps: int = 500
    lr: float = 2e-3

    def __post_init__(self) -> None:
        if self.delay < 1 or self.units < 1 or self.steps < 1:
            raise ValueError(f"delay, units, steps must be >= 1, got {self.delay}, {self.units}, {self.steps}")
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")

    @property
    def baseline(self) -> float:
        """Nats per position of the best network without memory."""
        return LENGTH * math.log(SYMBOLS) / (self.delay + 2 * LENGTH)

    def sequences(self, noise: Noise, replicates: int, count: int) -> tuple[Tensor, Tensor]:
        """Inputs `[R, count, delay + 20]`, codes 0 (blank), 1 .. 8 (symbols), 9 (recall), and the expected outputs."""
        symbols = noise.integers(SYMBOLS, replicates, count, LENGTH) + 1
        blank = torch.full((replicates, count, self.delay + LENGTH), _BLANK, device=symbols.device)
        inputs = torch.cat([symbols, blank], dim=-1)
        # The marker is one step before the first output.
        inputs[..., LENGTH + self.delay - 1] = _MARKER
        return inputs, torch.cat([blank, symbols], dim=-1)

    def build(self, method: object, ctx: Context) -> Training:
        """One training of all replicates on fresh sequences."""
        replicates = len(ctx.replicates)
        model = CopyNetwork.drawn(ctx.noise("init", stack=0), replicates, self.units)
        session = cast("OrthogonalityMethod", method).attach((model.target,), ctx)
        source = ctx.noise("data", stack=0)

        def loss(batch: tuple[Tensor, Tensor], state: None, noise: Noise) -> tuple[Tensor, None]:
            return _nll(model(batch[0]), batch[1]), state

        return CountedTraining(
            model=model,
            batches=lambda step: self.sequences(source.at(step), replicates, _BATCH),
            loss=loss,
            make_optimizer=lambda parameters: adam(parameters, lr=self.lr),
            noise=ctx.noise("noise", stack=0),
            joins=(session,),
            replicates=replicates,
            counter=ctx.counter,
        )

    def measure(self, training: Training, ctx: Context) -> Measure:
        """On fresh sequences: nats per position, their ratio to the baseline, accuracy of the ten outputs, `[R]`."""
        model = training.model
        assert isinstance(model, CopyNetwork)
        inputs, answers = self.sequences(ctx.noise("measure", stack=0), len(ctx.replicates), _TEST)

        def values() -> dict[str, Tensor]:
            logits = model(inputs)
            nll = _nll(logits, answers)
            said = logits[..., -LENGTH:, :].argmax(-1)
            return {
                "copy-nll": nll,
                "copy-share": nll / self.baseline,
                "copy-accuracy": (said == answers[..., -LENGTH:]).double().mean((1, 2)),
                **orthogonality((model.target,)),
            }

        return values

    def score(self, method: object, ctx: Context) -> float:
        """Minus the nats per position after training, NaN if it diverged."""
        return -trained_mean(self, method, ctx, "copy-nll")


class CopyNetwork(nn.Module):
    """R recurrent networks with modReLU in parallel.

    Args:
        read: row of each code, `[R, 10, units]`.
        turn: W, `[R, units, units]`.
        answer: `[R, 9, units]`.
    """

    def __init__(self, read: Tensor, turn: Tensor, answer: Tensor) -> None:
        super().__init__()
        self.read = nn.Parameter(read)
        self.turn = StackedLinear(turn, bias=False)
        self.threshold = nn.Parameter(turn.new_zeros(len(turn), 1, turn.shape[1]))
        self.answer = StackedLinear(answer)
        self.target = WeightTarget(name="turn.weight", module=self.turn, kind="recurrent", stacked=True)

    @classmethod
    def drawn(cls, noise: Noise, replicates: int, units: int) -> CopyNetwork:
        """The task's initialization, from a stream that is stacked along axis 0."""
        return cls(
            noise.normal(replicates, SYMBOLS + 2, units) / units**0.5,
            noise.normal(replicates, units, units) / units**0.5,
            noise.normal(replicates, SYMBOLS + 1, units) / units**0.5,
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Logits `[R, N, length, 9]` of codes `[R, N, length]`."""
        replicates, count, length = codes.shape
        rows = torch.arange(replicates, device=codes.device)[:, None, None]
        inputs = self.read[rows, codes]
        h, states = inputs.new_zeros(replicates, count, self.read.shape[-1]), []
        # Read once: each access to a parametrized weight is a computation.
        back = self.turn.weight.mT
        for step in range(length):
            z = torch.baddbmm(inputs[:, :, step], h, back)
            h = z.sign() * (z.abs() + self.threshold).relu()
            states.append(h)
        return self.answer(torch.stack(states, 2).flatten(1, 2)).unflatten(1, (count, length))


def _nll(logits: Tensor, answers: Tensor) -> Tensor:
    """Mean nats per position of each replicate, `[R]`."""
    values = functional.cross_entropy(logits.flatten(0, 2), answers.flatten(), reduction="none")
    return values.reshape(len(answers), -1).mean(1)
