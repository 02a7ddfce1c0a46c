"""The user's own training: which average of its weights has the lowest held-out loss?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor
from torch.optim import SGD, Adam

from kexue_bench import CodePath, Knob, task
from kexue_bench.lab.own_model import Made, made, tried
from kexue_bench.lab.training import Training, adam

from ..contract import Averager
from ..words import OPTIMIZER
from .trainings import mean_after

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure

_METHODS = ("raw", "ema[decay=[0.9,0.99,0.999]]", "power-ema", "polyak", "lawa", "schedule-free")


@task(
    "own-training",
    "train your model with your loss, and measure it at averaged weights",
    version=1,
    kind="trained",
    offers={OPTIMIZER},
    knobs=(Knob(field="lr", grid=(3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1)),),
    methods={"quick": _METHODS, "standard": _METHODS},
    replicates={"quick": 3, "standard": 5, "full": 20},
    primary="held-loss",
    headline=("held-loss", "time", "memory"),
    order=300,
)
@dataclass(frozen=True, kw_only=True)
class OwnTraining:
    """What `file.py:function` returns: `(model, loss)` or `(model, loss, held)`, trained at a constant rate.

    `loss(model, step)` is the loss of the batch of a step, a number with a graph; its data belong to your file, and it
    must give the same for the same step. `held(model)` is the loss on held-out data; without it the loss of step 0 is
    measured. The function is called once for each replicate, with torch's generators seeded by the replicate, so that
    the start differs between replicates and not between methods. Methods that are the optimizer run plain gradient
    descent at the same rate. Running the function is running your code; it happens in workers only.

    Args:
        path: `file.py:function`, without arguments.
        steps: optimization steps.
        lr: learning rate, constant.
        optimizer: `adam` or `sgd`.

    Raises:
        TypeError: the function returns something else.
        ValueError: a setting is out of range, or the model or its loss cannot be used.
    """

    path: CodePath
    steps: int = 200
    lr: float = 3e-3
    optimizer: str = "adam"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")
        if self.optimizer not in ("adam", "sgd"):
            raise ValueError(f"optimizer must be adam or sgd, got {self.optimizer!r}")
        tried(self.path)

    def build(self, method: object, ctx: Context) -> Training:
        """One training of one replicate."""
        with ctx.global_rng("init"):
            own = made(self.path)
        own.model.to(ctx.device)
        average: Any = cast("Averager", method).attach(own.model, noise=ctx.noise("method"), lr=self.lr)

        def loss(step: int, state: None, noise: Noise) -> tuple[Tensor, None]:
            return own.loss(own.model, step).reshape(()), state

        return _OwnTraining(
            model=own.model,
            batches=lambda step: step,
            loss=loss,
            make_optimizer=self._optimizer,
            noise=ctx.noise("noise"),
            joins=(average,),
            made=own,
        )

    def _optimizer(self, parameters: Iterable[nn.Parameter]) -> Adam | SGD:
        return adam(parameters, lr=self.lr) if self.optimizer == "adam" else SGD(parameters, lr=self.lr)

    def measure(self, training: Training, ctx: Context) -> Measure:
        """The loss on held-out data, `[1]`."""
        assert isinstance(training, _OwnTraining)
        own = training.made
        return lambda: {"held-loss": own.held_loss()}

    def score(self, method: object, ctx: Context) -> float:
        """Minus the held-out loss after training, NaN if it diverged."""
        return -mean_after(self, method, ctx, "held-loss")


@dataclass(kw_only=True)
class _OwnTraining(Training):
    made: Made
