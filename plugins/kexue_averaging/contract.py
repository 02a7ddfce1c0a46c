"""What a method of this family is: `attach` binds it to a model and returns what records a step and swaps weights.

An average works in any training loop::

    average = Ema(decay=0.99).attach(model)
    average.after_(step)  # after optimizer.step(), never before
    with average.measuring():  # averaged weights inside, the trained ones again outside
        evaluate(model)

`theta_0` are the weights at `attach`, `theta_n` those at the n-th call of `after_`. An averager that is linear in them
states its coefficients in `weights`: its bias and variance on a quadratic follow exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from kexue_bench.lab.training import Joins

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

BUFFERS = ("copy", "average", "recompute")
Batches = Callable[[int], Any]
_COMPILED = "_orig_mod."


class Averager(Protocol):
    """A method of the family `averaging`: a frozen dataclass whose fields are its parameters.

    It may state `weights(n) -> [n + 1]`, float64: the coefficients of theta_0 .. theta_n in the average after n steps.
    """

    def attach(
        self,
        model: nn.Module,
        *,
        batches: Batches | None = None,
        noise: Noise | None = None,
        lr: float | None = None,
    ) -> Joins:
        """Bind to the model as it is now.

        Args:
            model: the model that is trained; it may be compiled.
            batches: `batches(i)` is a batch of inputs, for statistics that are estimated again at averaged weights.
            noise: a stream for what the averager draws.
            lr: learning rate, for averagers that are the optimizer themselves.

        Raises:
            ValueError: something that this averager needs was not given.
        """
        ...


class Attaching:
    """Base of the averagers of this package, none of which draws anything."""

    def attach(
        self,
        model: nn.Module,
        *,
        batches: Batches | None = None,
        noise: Noise | None = None,
        lr: float | None = None,
    ) -> Average:
        """See `Averager.attach`."""
        return self.average(model, batches, lr)

    def average(self, model: nn.Module, batches: Batches | None, lr: float | None) -> Average:
        """The average of a model, from what `attach` was given."""
        raise NotImplementedError


class Average(Joins):
    """An average of the weights of one model.

    Subclasses hold the average: `record_` and `values` see the averaged tensors in one fixed order, parameters first.
    A parameter that is used twice is averaged once. Integer buffers (the counter of batches) are never averaged.

    Args:
        model: the model that is trained; names are those of the plain model, also if it is compiled.
        buffers: `copy` leaves the buffers as they are, `average` averages those of floating point like the parameters,
            `recompute` estimates the statistics of batch normalization again at the averaged weights.
        batches: inputs for `recompute`.

    Raises:
        ValueError: `recompute` without batches, an unknown rule, or a model without parameters.
    """

    passive = True

    def __init__(self, model: nn.Module, *, buffers: str = "copy", batches: Batches | None = None) -> None:
        check_buffers(buffers)
        if buffers == "recompute" and batches is None:
            raise ValueError(
                "buffers=recompute needs batches to estimate the statistics from; give attach(batches=...)"
            )
        self._model, self._buffers, self._batches = model, buffers, batches
        self.updates = 0
        self._tensors = self._current()
        if not self._tensors:
            raise ValueError("the model has no parameters to average")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what is averaged, as the plain model has them."""
        return tuple(self._tensors)

    def after_(self, step: int) -> None:
        """Record the weights of this step; call it once a step, after the optimizer."""
        self.updates += 1
        with torch.no_grad():
            self.record_(list(self._tensors.values()), self.updates)

    def record_(self, tensors: Sequence[Tensor], n: int) -> None:
        """Take theta_n into the average.

        Args:
            tensors: the current values, not to be kept.
            n: 1, 2, ...
        """
        raise NotImplementedError

    def values(self) -> Sequence[Tensor]:
        """The averaged tensors, in the order of `record_`, in the precision in which they are kept."""
        raise NotImplementedError

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """The model has averaged weights inside; the trained ones return on leaving, also after an error.

        Weights are swapped in place, so that compiled models and views that an optimizer holds see them too.

        Raises:
            RuntimeError: parameters were added to the model or replaced after `attach`.
        """
        self._check()
        with torch.no_grad():
            tensors, kept = list(self._tensors.values()), []
            statistics = self._statistics()
            kept = [tensor.clone() for tensor in tensors]
            kept_statistics = [tensor.clone() for tensor in statistics]
            try:
                for tensor, value in zip(tensors, self.values(), strict=True):
                    tensor.copy_(value)
                if statistics:
                    self._estimate_statistics()
                yield
            finally:
                # The caller may have entered another grad mode meanwhile.
                with torch.no_grad():
                    for tensor, value in zip([*tensors, *statistics], [*kept, *kept_statistics], strict=True):
                        tensor.copy_(value)

    def averaged(self) -> dict[str, Tensor]:
        """Copies of all parameters and buffers as `measuring` shows them, by the names of the plain model.

        `plain_model.load_state_dict(average.averaged())` accepts them.
        """
        with self.measuring():
            return {_plain(name): value.detach().clone() for name, value in self._model.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on after a restart: numbers and tensors, which `torch.load` reads weights-only."""
        return {"updates": self.updates, "names": list(self.names), **self._state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of `state_dict`; the model's own weights are restored apart.

        Raises:
            ValueError: it belongs to a model with other names, or to another kind of average.
        """
        if list(state["names"]) != list(self.names):
            odd = sorted(set(state["names"]) ^ set(self.names))
            raise ValueError(f"the state belongs to a model with other parameters, got {', '.join(odd[:5])}")
        mine = self.state_dict()
        if missing := sorted(mine.keys() ^ state.keys()):
            raise ValueError(f"the state belongs to another average: {', '.join(missing)} in only one of the two")
        self.updates = int(state["updates"])
        self._restore(state)

    def _state(self) -> dict[str, Any]:
        """The subclass's part of `state_dict`."""
        raise NotImplementedError

    def _restore(self, state: Mapping[str, Any]) -> None:
        """The counterpart of `_state`."""
        raise NotImplementedError

    def _current(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {_plain(name): p for name, p in self._model.named_parameters()}
        if self._buffers == "average":
            found |= {_plain(name): b for name, b in self._model.named_buffers() if b.is_floating_point()}
        return found

    def _check(self) -> None:
        current = self._current()
        known = self._tensors
        if odd := [name for name in {**known, **current} if known.get(name) is not current.get(name)]:
            raise RuntimeError(
                f"the model's parameters are not those of attach(), got a change of {', '.join(odd[:5])}; "
                "attach again after parameters are added or replaced"
            )

    def _statistics(self) -> list[Tensor]:
        if self._buffers != "recompute":
            return []
        normalizations = (m for m in self._model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))  # noqa: SLF001  # torch's own base class, as its update_bn uses it
        return [buffer for module in normalizations for buffer in module.buffers(recurse=False)]

    def _estimate_statistics(self) -> None:
        assert self._batches is not None
        # Dropout in the passes must not move the global generator.
        with torch.random.fork_rng():
            update_bn((self._batches(index) for index in range(STATISTICS)), self._model)


def check_buffers(rule: str) -> None:
    """Raise for a rule that `Average` does not know.

    Raises:
        ValueError: the rule is none of `copy`, `average`, `recompute`.
    """
    if rule not in BUFFERS:
        raise ValueError(f"buffers must be one of {', '.join(BUFFERS)}, got {rule!r}")


STATISTICS = 16
"""Batches from which `buffers=recompute` estimates statistics."""


def _plain(name: str) -> str:
    return name.replace(_COMPILED, "")
