"""Averages of other libraries with their own defaults, through the same contract: they are measured, not mended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from kexue_bench import method

from ..contract import Attaching, Average, Batches
from ..words import DECAYS, OPTIMIZER

INSTALL = "pip install 'kexue-bench[competitors]'"


class Foreign(Average):
    """An average that another library keeps.

    Args:
        model: the model that is trained.
        update: takes the current weights into the average.
        values: the averaged parameters, in the order of the model's.
        holder: has the library's `state_dict` and `load_state_dict`.
    """

    def __init__(
        self, model: nn.Module, *, update: Callable[[], object], values: Callable[[], Sequence[Tensor]], holder: Any
    ) -> None:
        super().__init__(model)
        self._update, self._values, self._holder = update, values, holder

    def record_(self, tensors: Sequence[Tensor], n: int) -> None:
        """See `Average.record_`."""
        self._update()

    def values(self) -> Sequence[Tensor]:
        """See `Average.values`."""
        return self._values()

    def _state(self) -> dict[str, Any]:
        return {"library": deepcopy(self._holder.state_dict())}

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._holder.load_state_dict(state["library"])


@dataclass(frozen=True, kw_only=True)
class _Decaying(Attaching):
    decay: float = 0.999

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {self.decay}")


@method(
    "torch-averaged-model",
    "torch's AveragedModel with its exponential average",
    claims=("passive", "restores", "exact-moments"),
    knobs=(DECAYS,),
    references=("repository pytorch/pytorch",),
    order=200,
)
@dataclass(frozen=True, kw_only=True)
class TorchAveragedModel(_Decaying):
    """`torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))`.

    Its first update copies theta_1: theta_1 has the weight a^(n - 1), and the start is forgotten only through it.
    Buffers stay those of the moment of attaching in the library; here the model's own are shown.

    Args:
        decay: a, in [0, 1).

    Raises:
        ValueError: the decay is not in [0, 1).

    Examples:
        >>> method = TorchAveragedModel(decay=0.5)
        >>> method.weights(2).tolist()
        [0.0, 0.5, 0.5]
    """

    def average(self, model: nn.Module, batches: Batches | None, lr: float | None) -> Average:
        """See `Attaching.average`."""
        inner = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(self.decay))
        return Foreign(
            model,
            update=lambda: inner.update_parameters(model),
            values=lambda: list(inner.module.parameters()),
            holder=inner,
        )

    def weights(self, n: int) -> Tensor:
        """Closed form."""
        steps = torch.arange(n + 1, dtype=torch.float64)
        found = (1 - self.decay) * self.decay ** (n - steps) * (steps > 1)
        found[min(n, 1)] = self.decay ** max(n - 1, 0)
        return found


@method(
    "torch-ema",
    "the package torch-ema, whose decay warms up by default",
    claims=("passive", "restores"),
    knobs=(DECAYS,),
    references=("repository fadel/pytorch_ema",),
    requires="torch_ema",
    install=INSTALL,
    order=210,
)
@dataclass(frozen=True, kw_only=True)
class TorchEma(_Decaying):
    """`torch_ema.ExponentialMovingAverage(parameters, decay)`: the decay is min(a, (1 + n) / (10 + n)).

    Args:
        decay: a, in [0, 1).

    Raises:
        ValueError: the decay is not in [0, 1).

    Examples:
        >>> method = TorchEma(decay=0.9)
        >>> method.decay  # with torch-ema: TorchEma(decay=0.9).attach(model)
        0.9
    """

    def average(self, model: nn.Module, batches: Batches | None, lr: float | None) -> Average:
        """See `Attaching.average`."""
        import torch_ema  # pyright: ignore[reportMissingImports]  # optional

        inner = torch_ema.ExponentialMovingAverage(model.parameters(), decay=self.decay)
        return Foreign(model, update=inner.update, values=lambda: inner.shadow_params, holder=inner)


@method(
    "ema-pytorch",
    "the package ema-pytorch, which updates every tenth step after a hundred by default",
    claims=("passive", "restores"),
    knobs=(DECAYS,),
    references=("repository lucidrains/ema-pytorch",),
    requires="ema_pytorch",
    install=INSTALL,
    order=220,
)
@dataclass(frozen=True, kw_only=True)
class EmaPytorch(_Decaying):
    """`ema_pytorch.EMA(model, beta=decay)`: an update every `every` steps, copies up to step `after`, then a warm-up.

    A decay meant for every step is ten times as long with the library's default of ten.

    Args:
        decay: a, in [0, 1).
        every: steps between updates, `update_every`.
        after: steps that copy the model, `update_after_step`.

    Raises:
        ValueError: the decay is not in [0, 1).

    Examples:
        >>> method = EmaPytorch()
        >>> method.every  # with ema-pytorch: EmaPytorch().attach(model)
        10
    """

    every: int = 10
    after: int = 100

    def average(self, model: nn.Module, batches: Batches | None, lr: float | None) -> Average:
        """See `Attaching.average`."""
        import ema_pytorch  # pyright: ignore[reportMissingImports]  # optional

        inner = ema_pytorch.EMA(
            model,
            beta=self.decay,
            update_every=self.every,
            update_after_step=self.after,
            include_online_model=False,
        )
        return Foreign(model, update=inner.update, values=lambda: list(inner.ema_model.parameters()), holder=inner)


@method(
    "timm-ema",
    "timm's ModelEmaV3",
    claims=("passive", "restores"),
    knobs=(DECAYS,),
    references=("repository huggingface/pytorch-image-models",),
    requires="timm",
    install=INSTALL,
    order=230,
)
@dataclass(frozen=True, kw_only=True)
class TimmEma(_Decaying):
    """`timm.utils.ModelEmaV3(model, decay, use_warmup=...)`.

    Args:
        decay: a, in [0, 1).
        warmup: let the decay grow as 1 - n^(-2/3).

    Raises:
        ValueError: the decay is not in [0, 1).

    Examples:
        >>> method = TimmEma()
        >>> method.warmup  # with timm: TimmEma().attach(model)
        False
    """

    warmup: bool = False

    def average(self, model: nn.Module, batches: Batches | None, lr: float | None) -> Average:
        """See `Attaching.average`."""
        from timm.utils.model_ema import ModelEmaV3  # pyright: ignore[reportMissingImports]  # optional

        inner = ModelEmaV3(model, decay=self.decay, use_warmup=self.warmup)
        steps = iter(range(1, 1 << 62))
        return Foreign(
            model,
            update=lambda: inner.update(model, step=next(steps)),
            values=lambda: list(inner.module.parameters()),
            holder=inner,
        )


@method(
    "schedulefree",
    "the package schedulefree's SGD",
    needs=OPTIMIZER,
    claims=("restores",),
    references=("arXiv:2405.15682", "repository facebookresearch/schedule_free"),
    requires="schedulefree",
    install=INSTALL,
    order=240,
)
@dataclass(frozen=True, kw_only=True)
class ScheduleFreePackage(Attaching):
    """`schedulefree.SGDScheduleFree(parameters, lr, momentum)`; `optimizer.eval()` inside `measuring`.

    Args:
        momentum: b, in (0, 1).

    Examples:
        >>> method = ScheduleFreePackage()
        >>> method.momentum  # with schedulefree: .attach(model, lr=0.1).optimizers()
        0.9
    """

    momentum: float = 0.9

    def average(self, model: nn.Module, batches: Batches | None, lr: float | None) -> Average:
        """See `Attaching.average`."""
        import schedulefree  # pyright: ignore[reportMissingImports]  # optional

        inner = schedulefree.SGDScheduleFree(model.parameters(), lr=lr, momentum=self.momentum)
        inner.train()
        return _Package(model, inner)


class _Package(Foreign):
    passive = False

    def __init__(self, model: nn.Module, optimizer: Any) -> None:
        super().__init__(model, update=lambda: None, values=self._evaluated, holder=optimizer)

    def optimizers(self) -> Sequence[Optimizer]:
        """See `Joins.optimizers`."""
        return (self._holder,)

    def _evaluated(self) -> list[Tensor]:
        self._holder.eval()
        found = [tensor.detach().clone() for tensor in self._tensors.values()]
        self._holder.train()
        return found
