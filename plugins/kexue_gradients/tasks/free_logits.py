"""Training of free logits: tasks whose only parameters are those of the distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from kexue_bench.lab.training import Training
from kexue_gradients.tasks.sampling import adapted, initial_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch.optim import Optimizer

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_gradients.contract import Distribution, GradientMethod, Objective


class FreeLogits(nn.Module):
    """R sets of logits in parallel, `[R, ...]`.

    Args:
        logits: their initial values.
        draws: `draws(state, noise, n)` gives n independent estimates of the gradient that a step takes at the current
            logits, `[n, R, ...]`, with the learned state as it is; `noise` is stacked as that of the steps.
    """

    def __init__(self, logits: Tensor, draws: Callable[[Any, Noise, int], Tensor]) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)
        self.draws = draws


def train_logits(
    start: Tensor,
    method: GradientMethod,
    ctx: Context,
    *,
    objective: Objective,
    law: Callable[[Tensor], Distribution],
    minibatch: int,
    repeats: int,
    make_optimizer: Callable[[Sequence[nn.Parameter]], Optimizer],
    problems: int = 1,
) -> Training:
    """One training of all replicates, stacked: minimize E f over logits.

    Args:
        start: initial logits, `[R, ...]`.
        method: gives the gradient.
        ctx: provides the noise streams.
        objective: f, counted.
        law: distribution of x, given logits `[R, minibatch, ...]`.
        minibatch: copies of the logits that the loss averages over, drawn from independently.
        repeats: estimates that a step averages in addition.
        make_optimizer: as in `Training`.
        problems: leading dimensions of `start` that hold independent problems, R among them; the minibatch comes after
            them, and the loss is summed over all but R.
    """

    def draws(state: Any, noise: Noise, n: int) -> Tensor:
        gradient = method.estimate(law(expanded()), objective, noise, n * repeats, state).gradient
        return gradient.unflatten(0, (n, repeats)).mean(1).mean(problems + 1)

    model = FreeLogits(start, draws)

    def expanded() -> Tensor:
        copies = (*model.logits.shape[:problems], minibatch, *model.logits.shape[problems:])
        return model.logits.unsqueeze(problems).expand(copies)

    def loss(_: object, state: object, noise: Noise) -> tuple[Tensor, object]:
        logits = expanded()
        sample, state = adapted(method, law(logits), objective, noise, state, repeats=repeats)
        losses = sample.surrogate(logits).mean(0).mean(-1)
        return losses.reshape(len(losses), -1).sum(1), state

    return Training(
        model=model,
        batches=lambda step: step,
        loss=loss,
        make_optimizer=make_optimizer,
        noise=ctx.noise("noise", stack=stacked(start)),
        state=initial_state(method, law(expanded()), ctx.noise("method", stack=0)),
        replicates=len(ctx.replicates),
    )


def free_logits(training: Training) -> FreeLogits:
    """The model of a training from `train_logits`."""
    assert isinstance(training.model, FreeLogits)
    return training.model


def stacked(logits: Tensor) -> int:
    """The axis of a draw `[S, R, ...]` along which the streams of the replicates lie, the minibatch included."""
    return -logits.dim() - 1
