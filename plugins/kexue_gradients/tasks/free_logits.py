"""Training of logits that nothing makes: the tasks whose only parameters are those of the law."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from kexue_bench.lab.training import Training
from kexue_gradients.tasks.sampling import adapted, initial_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch.optim import Optimizer

    from kexue_bench.lab.context import Context, Noise
    from kexue_gradients.contract import Distribution, GradientMethod, Objective


class FreeLogits(nn.Module):
    """R sets of logits side by side, `[R, ...]`."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)


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
) -> Training:
    """One training of all replicates, stacked: minimise E f over logits.

    Args:
        start: initial logits, `[R, ...]`.
        method: gives the gradient.
        ctx: lends the streams.
        objective: f, counted.
        law: what x is drawn from, given logits `[R, minibatch, ...]`.
        minibatch: copies of the logits that the loss averages over, drawn from independently.
        repeats: estimates that a step averages besides.
        make_optimizer: as in `Training`.
    """
    model = FreeLogits(start)

    def expanded() -> Tensor:
        return model.logits.unsqueeze(1).expand(-1, minibatch, *model.logits.shape[1:])

    def loss(_: object, state: object, noise: Noise) -> tuple[Tensor, object]:
        logits = expanded()
        sample, state = adapted(method, law(logits), objective, noise, state, repeats=repeats)
        return sample.surrogate(logits).mean(0).mean(-1), state

    return Training(
        model=model,
        batches=lambda step: step,
        loss=loss,
        make_optimizer=make_optimizer,
        noise=ctx.noise("noise", stack=-start.dim() - 1),
        state=initial_state(method, law(expanded()), ctx.noise("method", stack=0)),
        replicates=len(ctx.replicates),
    )
