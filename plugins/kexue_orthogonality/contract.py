"""What a method of this family is, and what it is given: weights to keep orthogonal, and what it adds to a step.

Penalties, parametrizations, projections and optimizers share one interface: `attach` binds a method to weights and
returns what takes part in each step. The harness passes its context; your own training loop passes nothing::

    joins = Soft(weight=1e-2).attach(targets_of(model))
    loss = loss + joins.penalty()  # a penalty
    joins.after_(step)  # a projection, after optimizer.step()

Shapes: a weight is `[*stack, out, in, *kernel]`, as torch stores it; `*stack` is empty, or `R` for stacked replicates.
A method sees matrices `[*stack, d, k]`.

No method counts its work: tasks count the floating-point operations that a step dispatches, so that backward passes and
factorizations inside torch are counted alike for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor, nn

from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise
from kexue_bench.lab.precision import working
from kexue_bench.lab.training import Joins

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Stream

Kind = Literal["linear", "convolution", "recurrent"]


class Target(Protocol):
    """One weight to keep orthogonal, seen as a matrix.

    `W` is `matrix()`, tall or square (d >= k), because no wide matrix has orthonormal columns; `columns()` is the same
    weight with one column for each neuron, wide if a layer has more outputs than inputs; otherwise the two are equal.
    """

    @property
    def name(self) -> str:
        """Name of the weight, unique among the targets of a model."""
        ...

    @property
    def kind(self) -> Kind:
        """Role of the weight in its layer."""
        ...

    @property
    def module(self) -> nn.Module:
        """The layer; its first input is what `responses` takes."""
        ...

    @property
    def stack(self) -> tuple[int, ...]:
        """Leading dimensions of replicates: empty, or one."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows d and columns k of `matrix()`, d >= k; of one block."""
        ...

    @property
    def stride(self) -> tuple[int, ...]:
        """Stride of a convolution in each spatial dimension; empty for other weights."""
        ...

    @property
    def dilation(self) -> tuple[int, ...]:
        """Dilation of a convolution in each spatial dimension; empty for other weights."""
        ...

    @property
    def blocks(self) -> tuple[int, ...]:
        """Empty, or the number b of matrices in the weight, which are never compared with each other.

        They are the groups of a convolution, or the gates of a recurrent layer. All shapes below then have b behind
        `*stack`: `matrix()` is `[*stack, b, d, k]`.
        """
        ...

    @property
    def parameter(self) -> nn.Parameter:
        """The plain parameter behind the weight; for a parametrized weight, what is trained in its place."""
        ...

    def weight(self) -> Tensor:
        """The weight as its layer uses it, on the graph, `[*stack, out, in, *kernel]`."""
        ...

    def matrix(self) -> Tensor:
        """The weight as a tall matrix W, on the graph, `[*stack, d, k]`."""
        ...

    def columns(self) -> Tensor:
        """The weight with neurons as columns, on the graph, `[*stack, inputs, outputs]`."""
        ...

    def responses(self, inputs: Tensor) -> Tensor:
        """Output of the layer before its bias, `[*stack, samples, outputs]`; image positions are samples."""
        ...

    def samples(self, inputs: Tensor) -> Tensor:
        """Inputs of each neuron, `[*stack, samples, inputs]`: `responses(x)` is `samples(x) @ columns()`."""
        ...

    def gradient(self) -> Tensor:
        """Gradient of the plain parameter as a tall matrix, `[*stack, d, k]`; writing to it writes to the gradient.

        Raises:
            ValueError: no backward pass has reached the parameter, or the weight is parametrized.
        """
        ...

    def assign_(self, matrix: Tensor) -> None:
        """Make `matrix()` equal to this, `[*stack, d, k]`; through the parametrization if there is one."""
        ...

    def polar_(self) -> None:
        """Replace W by its polar factor, the nearest matrix with orthonormal columns."""
        ...

    def parametrize_(self, mapping: nn.Module) -> None:
        """Replace W by `mapping(X)`, with X trained in its place.

        Args:
            mapping: maps `[*stack, d, k]` to `[*stack, d, k]`; `right_inverse(W)` gives the X to start from.
        """
        ...

    def to_matrix(self, weight: Tensor) -> Tensor:
        """A tensor laid out as the weight, seen as a tall matrix; a view if the weight is contiguous."""
        ...

    def to_weight(self, matrix: Tensor) -> Tensor:
        """A tall matrix, laid out as the weight."""
        ...


class Surroundings(Protocol):
    """What a method may request from its caller; `kexue_bench.lab.Context` provides it."""

    counter: Counter

    def noise(self, stream: Stream, *, stack: int | None = None) -> Noise:
        """A stream of random numbers; a method takes `method`, stacked along axis 0 with one slice per replicate."""
        ...

    def global_rng(self, stream: Stream) -> AbstractContextManager[None]:
        """Torch's global generator, seeded within the block, for library code that requires it."""
        ...


class Alone:
    """The surroundings of your own training loop: seeded streams and a counter.

    Args:
        seed: of every stream.
        dtype: of what is drawn.
        device: where it is drawn.
        replicates: size of `*stack`, 1 for a plain model.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        replicates: int = 1,
    ) -> None:
        self.counter = Counter()
        self._seed, self._dtype, self._device = seed, dtype, torch.device(device)
        self._replicates = replicates

    @classmethod
    def around(cls, targets: Sequence[Target], seed: int = 0) -> Alone:
        """Surroundings of the dtype, device and replicates of the targets."""
        first = targets[0].parameter
        return cls(seed, dtype=working(first.dtype), device=first.device, replicates=(*targets[0].stack, 1)[0])

    def noise(self, stream: Stream, *, stack: int | None = None) -> Noise:
        """See `Surroundings.noise`."""
        count = 1 if stack is None else self._replicates
        keys = [f"{self._seed}/{stream}/{replicate}".encode() for replicate in range(count)]
        return Noise(keys, dtype=self._dtype, device=self._device, axis=stack)

    @contextmanager
    def global_rng(self, stream: Stream) -> Iterator[None]:
        """See `Surroundings.global_rng`."""
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.set_rng_state(self.noise(stream).twister())
            yield


class Session(Joins):
    """A method attached to its targets; every hook does nothing by default, see `kexue_bench.lab.training.Joins`.

    Weights without entries are dropped, and a weight that several targets share is one.

    Attributes:
        attached: all that it is attached to.

    Args:
        targets: what it is attached to, at least one.

    Raises:
        ValueError: there is no target.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        given = tuple(targets)
        if not given:
            raise ValueError("a method needs at least one target, got none; see targets_of(model)")
        distinct = {id(target.parameter): target for target in reversed(given) if target.parameter.numel()}
        self.attached = tuple(reversed(distinct.values()))
        self._first = given[0]

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets that are trained at present: a frozen weight is left alone, whenever it was frozen."""
        return tuple(target for target in self.attached if target.parameter.requires_grad)

    def total(self, values: Sequence[Tensor], weight: float) -> Tensor:
        """The weighted sum over targets, `[*stack]`, in the dtype of their weights; 0 if there is none."""
        first = self._first
        if not values:
            return first.parameter.new_zeros(first.stack)
        total = weight * torch.stack(list(values)).sum(0)
        dtype = first.parameter.dtype
        return total if dtype == total.dtype or working(dtype) != total.dtype else total.to(dtype)

    def penalty(self, taps: Mapping[str, Tensor] | None = None) -> Tensor | None:
        """What is added to the loss, `[*stack]`; None for nothing.

        Args:
            taps: target name -> first input of its layer, if the harness records it; None in your own loop.
        """
        return None

    def rest(self, parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
        """The parameters that no optimizer of this session updates, for the optimizer of the loop."""
        owned = {id(p) for o in self.optimizers() for group in o.param_groups for p in group["params"]}
        return [p for p in parameters if id(p) not in owned]


def over_blocks(value: Tensor, target: Target) -> Tensor:
    """The sum over the blocks of a target, `[*stack]`, of one number for each, `[*stack, *blocks]`."""
    return value.sum(-1) if target.blocks else value


class OrthogonalityMethod(Protocol):
    """A method: a frozen dataclass whose fields are its hyper-parameters."""

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """Bind to the weights; called once, before any optimizer is made, since it may replace their parameters.

        Args:
            targets: the weights, stacked alike.
            ctx: the harness's context; None in your own training loop.

        Raises:
            ValueError: the method does not fit a target.
        """
        ...
