"""The weights of a model as matrices: what methods are attached to."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from .contract import Kind, Target

_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


class Conv(Protocol):
    """How a convolution reads its input, in the terms of torch's layers."""

    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]
    groups: int


def polar(matrix: Tensor) -> Tensor:
    """The polar factor U V^T of W = U S V^T: the nearest matrix with orthonormal columns, `[*, d, k]`, d >= k.

    At a rank below k it is one of several nearest ones.
    """
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    return left @ right


def tall(matrix: Tensor) -> Tensor:
    """The matrix or its transpose, whichever has d >= k."""
    return matrix if matrix.shape[-2] >= matrix.shape[-1] else matrix.mT


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightTarget:
    """One weight `[*stack, out, in, *kernel]` of a layer, as torch's own layers and stacks of them hold it.

    Args:
        name: unique among the targets of a model.
        module: the layer.
        tensor: attribute of the weight.
        kind: `linear`, `convolution` or `recurrent` (a square weight applied at every time step).
        stacked: whether the first dimension holds replicates.

    Raises:
        ValueError: the weight is not a matrix, or has spatial dimensions but is not a convolution's.
    """

    name: str
    module: nn.Module
    tensor: str = "weight"
    kind: Kind = "linear"
    stacked: bool = False

    def __post_init__(self) -> None:
        shape = tuple(self.parameter.shape)
        kernel = len(shape) - 2 - self.stacked
        if kernel < 0 or (kernel > 0) != (self.kind == "convolution"):
            raise ValueError(
                f"a {self.kind} target is [out, in{', *kernel' * (self.kind == 'convolution')}] behind any stack, "
                f"got {self.name!r} of shape {shape}"
            )

    @property
    def stack(self) -> tuple[int, ...]:
        """See `Target.stack`."""
        return tuple(self.parameter.shape[: int(self.stacked)])

    @property
    def shape(self) -> tuple[int, int]:
        """See `Target.shape`."""
        outputs, *rest = self.parameter.shape[int(self.stacked) :]
        inputs = math.prod(rest)
        return max(inputs, outputs), min(inputs, outputs)

    @property
    def stride(self) -> tuple[int, ...]:
        """See `Target.stride`."""
        return tuple(cast("Conv", self.module).stride) if self.kind == "convolution" else ()

    @property
    def parameter(self) -> nn.Parameter:
        """See `Target.parameter`."""
        if parametrize.is_parametrized(self.module, self.tensor):
            held = cast("nn.ModuleDict", self.module.parametrizations)[self.tensor]
            return cast("nn.Parameter", held.original)
        return cast("nn.Parameter", getattr(self.module, self.tensor))

    def weight(self) -> Tensor:
        """See `Target.weight`."""
        return getattr(self.module, self.tensor)

    def matrix(self) -> Tensor:
        """See `Target.matrix`."""
        return self.to_matrix(self.weight())

    def columns(self) -> Tensor:
        """See `Target.columns`."""
        return self.weight().flatten(1 + self.stacked).mT

    def responses(self, inputs: Tensor) -> Tensor:
        """See `Target.responses`."""
        return self._responses(inputs, self.weight())

    def samples(self, inputs: Tensor) -> Tensor:
        """See `Target.samples`."""
        if self.kind != "convolution":
            return inputs.flatten(int(self.stacked), -2)
        outputs, *rest = self.parameter.shape[int(self.stacked) :]
        del outputs
        count = math.prod(rest)
        # One kernel for each pixel of a patch, which passes that pixel on.
        pick = torch.eye(count, dtype=inputs.dtype, device=inputs.device).reshape(count, *rest)
        return self._responses(inputs, pick.expand(*self.stack, *pick.shape))

    def _responses(self, inputs: Tensor, weight: Tensor) -> Tensor:
        if self.kind != "convolution":
            return inputs.flatten(int(self.stacked), -2) @ weight.mT
        layer = cast("Conv", self.module)
        out = correlate(inputs, weight, layer.stride, layer.padding, layer.dilation, layer.groups)
        return out.movedim(1 + self.stacked, -1).flatten(int(self.stacked), -2)

    def gradient(self) -> Tensor:
        """See `Target.gradient`."""
        if parametrize.is_parametrized(self.module, self.tensor):
            raise ValueError(f"{self.name!r} is parametrized: its gradient is not that of the weight")
        if self.parameter.grad is None:
            raise ValueError(f"{self.name!r} has no gradient; call backward first")
        return self.to_matrix(self.parameter.grad)

    @torch.no_grad()
    def assign_(self, matrix: Tensor) -> None:
        """See `Target.assign_`."""
        weight = self.to_weight(matrix)
        if parametrize.is_parametrized(self.module, self.tensor):
            setattr(self.module, self.tensor, weight)
        else:
            self.parameter.copy_(weight)

    @torch.no_grad()
    def polar_(self) -> None:
        """See `Target.polar_`."""
        self.assign_(polar(self.matrix()))

    def parametrize_(self, mapping: nn.Module) -> None:
        """See `Target.parametrize_`."""
        parametrize.register_parametrization(self.module, self.tensor, _Laid(mapping, self))

    def to_matrix(self, weight: Tensor) -> Tensor:
        """See `Target.to_matrix`."""
        rows = weight.flatten(1 + self.stacked)
        return rows.mT if rows.shape[-1] >= rows.shape[-2] else rows

    def to_weight(self, matrix: Tensor) -> Tensor:
        """See `Target.to_weight`."""
        shape = self.parameter.shape
        outputs, *rest = shape[int(self.stacked) :]
        rows = matrix.mT if math.prod(rest) >= outputs else matrix
        return rows.reshape(shape)


class _Invertible(Protocol):
    def right_inverse(self, weight: Tensor) -> Tensor: ...


class _Laid(nn.Module):
    """A map of tall matrices, as torch's parametrizations expect it: in the layout of the weight."""

    def __init__(self, mapping: nn.Module, target: WeightTarget) -> None:
        super().__init__()
        self.mapping = mapping
        self._to_matrix, self._to_weight = target.to_matrix, target.to_weight

    def forward(self, weight: Tensor) -> Tensor:
        return self._to_weight(self.mapping(self._to_matrix(weight)))

    def right_inverse(self, weight: Tensor) -> Tensor:
        return self._to_weight(cast("_Invertible", self.mapping).right_inverse(self._to_matrix(weight)))


def correlate(
    inputs: Tensor,
    weight: Tensor,
    stride: tuple[int, ...],
    padding: tuple[int, ...] | str,
    dilation: tuple[int, ...] | int = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation without bias, of one image batch or of a stack of them; without a stride a plain product.

    Args:
        inputs: `[N, in, *space]`, or for a stack `[R, N, in, *space]`.
        weight: `[out, in, *kernel]`, or for a stack `[R, out, in, *kernel]`.
        stride: one number for each dimension of space.
        padding: one number for each dimension of space, or what torch's convolutions take.
        dilation: as torch's convolutions take it.
        groups: of one replicate.

    Returns:
        `[N, out, *space]`, or `[R, N, out, *space]`.
    """
    if not stride:
        return inputs @ weight.mT
    convolution = _CONVOLUTIONS[len(stride)]
    if weight.ndim == len(stride) + 2:
        return convolution(inputs, weight, None, stride, padding, dilation, groups)
    replicates = len(inputs)
    # Groups keep the replicates apart in one call.
    wide = inputs.transpose(0, 1).flatten(1, 2)
    out = convolution(wide, weight.flatten(0, 1), None, stride, padding, dilation, groups * replicates)
    return out.unflatten(1, (replicates, -1)).transpose(0, 1)


def targets_of(model: nn.Module, *, exclude: Collection[str] = ()) -> tuple[Target, ...]:
    """Every weight of a model that can be kept orthogonal: linear layers, convolutions, and states of plain RNNs.

    Args:
        model: of torch's own layers.
        exclude: names of modules to leave out, with all that they contain (for example the last layer).

    Raises:
        ValueError: nothing is left, or `exclude` names an unknown module.
    """
    names = dict(model.named_modules())
    if unknown := [name for name in exclude if name not in names]:
        raise ValueError(f"exclude must name modules of the model, got {unknown[0]!r}")
    found: list[Target] = []
    for name, module in names.items():
        if any(name == outer or name.startswith(f"{outer}.") for outer in exclude):
            continue
        found.extend(_targets_in(name, module))
    if not found:
        raise ValueError(f"the model has no linear, convolution or recurrent weight left, got {type(model).__name__}")
    return tuple(found)


def _targets_in(name: str, module: nn.Module) -> list[Target]:
    prefix = f"{name}." if name else ""
    if isinstance(module, nn.Linear):
        return [WeightTarget(name=f"{prefix}weight", module=module)]
    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        return [WeightTarget(name=f"{prefix}weight", module=module, kind="convolution")]
    if isinstance(module, (nn.RNN, nn.RNNCell)):
        states = [key for key, _ in module.named_parameters(recurse=False) if key.startswith("weight_hh")]
        return [WeightTarget(name=f"{prefix}{key}", module=module, tensor=key, kind="recurrent") for key in states]
    return []
