"""The user's own model: which method keeps its weights orthogonal, at what loss and price?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from kexue_bench import CodePath, task
from kexue_bench.lab.own import function_of
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

MOST = 50_000_000
"""Parameters of the largest model: a method may need several copies of its weights."""

Loss = Callable[[nn.Module, int], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """What a function of the user's returned.

    Args:
        model: drawn anew for each replicate.
        loss: `(model, step) -> []`, the loss of the batch of a step.
        held: `(model) -> []`, the loss on held-out data; None: that of step 0, 1, ... of `loss` at the end.
    """

    model: nn.Module
    loss: Loss
    held: Callable[[nn.Module], Tensor] | None


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
        state = torch.get_rng_state()
        try:
            made = self.made()
            self.targets(made.model)
            self._try(made)
        finally:
            torch.set_rng_state(state)

    @property
    def _name(self) -> str:
        return Path(self.path).name

    def made(self) -> Made:
        """A new model with its losses.

        Raises:
            TypeError: the function returns something else.
            ValueError: the model is too large or in half precision.
        """
        found = function_of(self.path)()
        parts: tuple[Any, ...] = found if isinstance(found, tuple) else (found,)
        if not (len(parts) in {2, 3} and isinstance(parts[0], nn.Module) and all(map(callable, parts[1:]))):
            got = ", ".join(type(part).__name__ for part in parts)
            raise TypeError(f"{self._name} must return (model, loss) or (model, loss, held), got ({got})")
        model = parts[0]
        size = sum(p.numel() for p in model.parameters())
        if size > MOST:
            raise ValueError(f"{self._name} must return a model of at most {MOST:,} parameters, got {size:,}")
        dtypes = {p.dtype for p in model.parameters()}
        if len(dtypes) != 1 or not dtypes <= {torch.float32, torch.float64}:
            raise ValueError(
                f"{self._name} must return a model in float32 or in float64, got {sorted(map(str, dtypes))}"
            )
        return Made(model=model, loss=cast("Loss", parts[1]), held=parts[2] if len(parts) == 3 else None)

    def targets(self, model: nn.Module) -> tuple[Target, ...]:
        """The weights that methods are attached to.

        Raises:
            ValueError: there is none, or `exclude` names no module.
        """
        try:
            return targets_of(model, exclude=tuple(part.strip() for part in self.exclude.split(",") if part.strip()))
        except ValueError as error:
            raise ValueError(f"{self._name}: {error}") from error

    def _try(self, made: Made) -> None:
        with torch.enable_grad():
            loss = made.loss(made.model, 0)
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
            got = list(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
            raise ValueError(f"{self._name}: loss(model, step) must return one number, got {got}")
        if not loss.requires_grad:
            raise ValueError(f"{self._name}: loss(model, step) must have a graph, got a number without one")
        values = [float(loss.detach())]
        if made.held is not None:
            with torch.no_grad():
                values.append(float(made.held(made.model)))
        if not all(map(torch.isfinite, torch.tensor(values))):
            raise ValueError(f"{self._name}: losses must be finite at the start, got {values}")

    def build(self, method: object, ctx: Context) -> Training:
        """One training of one replicate."""
        with ctx.global_rng("init"):
            made = self.made()
        made.model.to(ctx.device)
        session = cast("OrthogonalityMethod", method).attach(self.targets(made.model), ctx)

        def loss(step: int, state: None, noise: Noise) -> tuple[Tensor, None]:
            del noise
            return made.loss(made.model, step).reshape(()), state

        return _OwnTraining(
            model=made.model,
            batches=lambda step: step,
            loss=loss,
            make_optimizer=lambda parameters: adam(parameters, lr=self.lr),
            noise=ctx.noise("noise"),
            joins=(session,),
            counter=ctx.counter,
            made=made,
            attached=session.attached,
        )

    def measure(self, training: Training, ctx: Context) -> Measure:
        """The loss on held-out data, and how orthogonal the weights are, `[1]` each."""
        del ctx
        assert isinstance(training, _OwnTraining)
        made, targets = training.made, training.attached

        def values() -> dict[str, Tensor]:
            held = made.held(made.model) if made.held is not None else made.loss(made.model, 0)
            return {"held-loss": held.detach().double().reshape(1), **orthogonality(targets)}

        return values

    def score(self, method: object, ctx: Context) -> float:
        """Minus the held-out loss after training, NaN if it diverged."""
        return -trained_mean(self, method, ctx, "held-loss")


@dataclass(kw_only=True)
class _OwnTraining(CountedTraining):
    made: Made
    attached: tuple[Target, ...]
