"""The user's own model: which method keeps its weights orthogonal, at what loss and price?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from kexue_bench import CodePath, task
from kexue_bench.lab.own_model import Made, made, tried
from kexue_bench.lab.training import Training, adam

from ..contract import OrthogonalityMethod, Target
from ..targets import targets_of
from ..words import CHOSEN_METHODS, TRAINING_RATES
from .counted import CountedTraining
from .measures import orthogonality, trained_mean

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure


@task(
    "own-module",
    "train your model with your loss, and measure how orthogonal its weights are",
    version=1,
    kind="trained",
    knobs=(TRAINING_RATES,),
    methods={"quick": CHOSEN_METHODS, "standard": CHOSEN_METHODS},
    replicates={"quick": 3, "standard": 5, "full": 20},
    primary="held-loss",
    headline=("held-loss", "orthogonality-error", "singular-spread", "time", "flops", "memory"),
    order=300,
)
@dataclass(frozen=True, kw_only=True)
class OwnModule:
    """What `file.py:function` returns: `(model, loss)` or `(model, loss, held)`; Adam for what the method does not own.

    `loss(model, step)` is the loss of the batch of a step, a number with a graph; its data belong to your file, and it
    must give the same for the same step. `held(model)` is the loss on held-out data; without it the loss of step 0 is
    measured. The function is called once for each replicate, with torch's generators seeded by the replicate, so that
    the start differs between replicates and not between methods. Every linear, convolution, recurrent and attention
    weight is held, except those in `exclude`. Running the function is running your code; it happens in workers only.

    Args:
        path: `file.py:function`, without arguments.
        steps: optimization steps.
        lr: learning rate of Adam.
        exclude: names of modules that are left alone, with commas (such as the last layer).

    Raises:
        TypeError: the function returns something else.
        ValueError: a setting is out of range, or the model or its loss cannot be used.
    """

    path: CodePath
    steps: int = 200
    lr: float = 3e-3
    exclude: str = ""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")
        tried(self.path, self.targets)

    def targets(self, model: nn.Module) -> tuple[Target, ...]:
        """The weights that methods are attached to.

        Raises:
            ValueError: there is none, or `exclude` names no module.
        """
        try:
            return targets_of(model, exclude=tuple(part.strip() for part in self.exclude.split(",") if part.strip()))
        except ValueError as error:
            raise ValueError(f"{Path(self.path).name}: {error}") from error

    def build(self, method: object, ctx: Context) -> Training:
        """One training of one replicate."""
        with ctx.global_rng("init"):
            own = made(self.path)
        own.model.to(ctx.device)
        session = cast("OrthogonalityMethod", method).attach(self.targets(own.model), ctx)

        def loss(step: int, state: None, noise: Noise) -> tuple[Tensor, None]:
            del noise
            return own.loss(own.model, step).reshape(()), state

        return _OwnTraining(
            model=own.model,
            batches=lambda step: step,
            loss=loss,
            make_optimizer=lambda parameters: adam(parameters, lr=self.lr),
            noise=ctx.noise("noise"),
            joins=(session,),
            counter=ctx.counter,
            made=own,
            attached=session.attached,
        )

    def measure(self, training: Training, ctx: Context) -> Measure:
        """The loss on held-out data, and how orthogonal the weights are, `[1]` each."""
        del ctx
        assert isinstance(training, _OwnTraining)
        own, targets = training.made, training.attached

        def values() -> dict[str, Tensor]:
            return {"held-loss": own.held_loss(), **orthogonality(targets)}

        return values

    def score(self, method: object, ctx: Context) -> float:
        """Minus the held-out loss after training, NaN if it diverged."""
        return -trained_mean(self, method, ctx, "held-loss")


@dataclass(kw_only=True)
class _OwnTraining(CountedTraining):
    made: Made
    attached: tuple[Target, ...]
