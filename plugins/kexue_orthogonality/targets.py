"""The weights of a model as matrices: what methods are attached to."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from kexue_bench.lab.precision import precise, raised

from .contract import Kind, Target

_CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_GATES: dict[type[nn.Module], int] = {
    nn.RNN: 1,
    nn.RNNCell: 1,
    nn.GRU: 3,
    nn.GRUCell: 3,
    nn.LSTM: 4,
    nn.LSTMCell: 4,
}
_NO_MATRIX = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.RMSNorm, parametrize.ParametrizationList)
"""Layers whose parameters are tables or factors: they have no matrix that could be left out."""


class Conv(Protocol):
    """How a convolution reads its input, in the terms of torch's layers."""

    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]
    groups: int


@precise
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
        gates: matrices that are stacked along `out`.
        also: the other layers and attributes that hold the same parameter.

    Raises:
        ValueError: the weight is not a matrix, or has spatial dimensions but is not a convolution's.
    """

    name: str
    module: nn.Module
    tensor: str = "weight"
    kind: Kind = "linear"
    stacked: bool = False
    gates: int = 1
    also: tuple[tuple[nn.Module, str], ...] = ()

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
        inputs, outputs = math.prod(rest), outputs // math.prod(self.blocks)
        return max(inputs, outputs), min(inputs, outputs)

    @property
    def stride(self) -> tuple[int, ...]:
        """See `Target.stride`."""
        return tuple(cast("Conv", self.module).stride) if self.kind == "convolution" else ()

    @property
    def dilation(self) -> tuple[int, ...]:
        """See `Target.dilation`."""
        return tuple(cast("Conv", self.module).dilation) if self.kind == "convolution" else ()

    @property
    def blocks(self) -> tuple[int, ...]:
        """See `Target.blocks`."""
        return self._blocks

    @cached_property
    def _blocks(self) -> tuple[int, ...]:
        count = self.gates * (cast("Conv", self.module).groups if self.kind == "convolution" else 1)
        return (count,) if count > 1 else ()

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
        return self._rows(self.weight()).mT

    def responses(self, inputs: Tensor) -> Tensor:
        """See `Target.responses`.

        Raises:
            ValueError: its neurons do not answer to the input of the layer.
        """
        return self._responses(raised(inputs), raised(self.weight()))

    def samples(self, inputs: Tensor) -> Tensor:
        """See `Target.samples`.

        Raises:
            ValueError: its neurons do not answer to the input of the layer.
        """
        inputs = raised(inputs)
        if self.kind != "convolution":
            return inputs.flatten(int(self.stacked), -2)
        rest = self.parameter.shape[1 + self.stacked :]
        count = math.prod(rest)
        # One kernel for each pixel of a patch, which passes that pixel on.
        pick = torch.eye(count, dtype=inputs.dtype, device=inputs.device).reshape(count, *rest)
        pick = pick.repeat(*self.blocks or (1,), *[1] * len(rest))
        return self._responses(inputs, pick.expand(*self.stack, *pick.shape))

    def require_responses(self) -> None:
        """Refuse a weight whose neurons do not answer to the input of its layer.

        Raises:
            ValueError: it is one gate of several, or of a transposed convolution.
        """
        if self.gates > 1 or isinstance(self.module, _TRANSPOSED):
            raise ValueError(
                f"{self.name!r} of {type(self.module).__name__} has no responses to the input of its layer; "
                "leave it out with targets_of(..., exclude=...), or choose a method of weights alone"
            )

    @precise
    def _responses(self, inputs: Tensor, weight: Tensor) -> Tensor:
        self.require_responses()
        if self.kind != "convolution":
            return inputs.flatten(int(self.stacked), -2) @ weight.mT
        layer = cast("Conv", self.module)
        out = correlate(inputs, weight, layer.stride, layer.padding, layer.dilation, layer.groups)
        out = out.movedim(1 + self.stacked, -1).flatten(int(self.stacked), -2)
        return out.unflatten(-1, (*self.blocks, -1)).movedim(-2, int(self.stacked)) if self.blocks else out

    def gradient(self) -> Tensor:
        """See `Target.gradient`."""
        if parametrize.is_parametrized(self.module, self.tensor):
            raise ValueError(f"{self.name!r} is parametrized: its gradient is not that of the weight")
        if self.parameter.grad is None:
            raise ValueError(f"{self.name!r} has no gradient; call backward first")
        if self.kind == "convolution" and not self.parameter.grad.is_contiguous():
            # In another memory format a matrix is a copy, and what is written to it would be lost.
            self.parameter.grad = self.parameter.grad.contiguous()
        return self.to_matrix(self.parameter.grad)

    @torch.no_grad()
    def assign_(self, matrix: Tensor) -> None:
        """See `Target.assign_`."""
        weight = self.to_weight(matrix)
        if parametrize.is_parametrized(self.module, self.tensor):
            setattr(self.module, self.tensor, weight.to(self.parameter.dtype))
        else:
            self.parameter.copy_(weight)

    @torch.no_grad()
    def polar_(self) -> None:
        """See `Target.polar_`."""
        self.assign_(polar(self.matrix()))

    def parametrize_(self, mapping: nn.Module) -> None:
        """See `Target.parametrize_`."""
        parametrize.register_parametrization(self.module, self.tensor, _Laid(mapping, self))
        held = cast("nn.ModuleDict", self.module.parametrizations)[self.tensor]
        for module, tensor in self.also:
            # What shares the parameter shares the map as well.
            parametrize.register_parametrization(module, tensor, nn.Identity(), unsafe=True)
            cast("nn.ModuleDict", module.parametrizations)[tensor] = held

    def to_matrix(self, weight: Tensor) -> Tensor:
        """See `Target.to_matrix`."""
        rows = self._rows(weight)
        return rows.mT if rows.shape[-1] >= rows.shape[-2] else rows

    def _rows(self, weight: Tensor) -> Tensor:
        """One row for each neuron, `[*stack, *blocks, outputs, inputs]`."""
        rows = weight.flatten(1 + self.stacked)
        return rows.unflatten(-2, (*self.blocks, -1)) if self.blocks else rows

    def to_weight(self, matrix: Tensor) -> Tensor:
        """See `Target.to_weight`."""
        shape = self.parameter.shape
        outputs, *rest = shape[int(self.stacked) :]
        rows = matrix.mT if math.prod(rest) >= outputs // math.prod(self.blocks) else matrix
        return rows.reshape(shape)


class _Invertible(Protocol):
    def right_inverse(self, weight: Tensor) -> Tensor: ...


class _Laid(nn.Module):
    """A map of tall matrices, as torch's parametrizations expect it: in the layout and dtype of the weight."""

    def __init__(self, mapping: nn.Module, target: WeightTarget) -> None:
        super().__init__()
        self.mapping = mapping
        self._to_matrix, self._to_weight = target.to_matrix, target.to_weight

    @precise
    def forward(self, weight: Tensor) -> Tensor:
        return self._to_weight(self.mapping(self._to_matrix(weight)))

    @precise
    def right_inverse(self, weight: Tensor) -> Tensor:
        try:
            return self._to_weight(cast("_Invertible", self.mapping).right_inverse(self._to_matrix(weight)))
        except NotImplementedError as error:
            # torch takes this one for a map without an inverse, and would start at other weights.
            raise TypeError(f"{weight.dtype} weights cannot be parametrized on {weight.device}: {error}") from error


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


def targets_of(model: nn.Module, *, exclude: Collection[str] = (), strict: bool = False) -> tuple[Target, ...]:
    """Every weight of a model that can be kept orthogonal.

    These are the weights of linear layers and of convolutions, transposed ones too, the states of recurrent layers and
    the projections of attention. A parameter that several layers share is one target, under the name of the first. Of a
    transposed convolution it is the kernel of the convolution that it transposes. Groups and gates are blocks of their
    own. Embeddings and norms have no such matrix; any other matrix that is left out is named in a warning.

    Args:
        model: of torch's own layers.
        exclude: names of modules to leave out, with all that they contain (for example the last layer).
        strict: whether it is an error that a matrix is left out.

    Raises:
        ValueError: nothing is left, `exclude` names an unknown module, or it is strict and something is left out.
    """
    names = dict(model.named_modules())
    if unknown := [name for name in exclude if name not in names]:
        raise ValueError(f"exclude must name modules of the model, got {unknown[0]!r}")
    kept = {
        name: module
        for name, module in names.items()
        if not any(name == outer or name.startswith(f"{outer}.") for outer in exclude)
    }
    found: dict[int, WeightTarget] = {}
    for name, module in kept.items():
        for target in _targets_in(name, module):
            found.setdefault(id(target.parameter), target)
    left = [name for name, parameter in _matrices(kept) if id(parameter) not in found]
    if not found:
        raise ValueError(
            f"the model has no linear, convolution, recurrent or attention weight left, got {type(model).__name__}"
            + (f" with {', '.join(left)}" if left else "")
        )
    if left:
        message = f"matrices that are left out of the targets: {', '.join(left)}"
        if strict:
            raise ValueError(f"{message}; leave their modules out with exclude=...")
        warnings.warn(f"{message}; strict=True makes this an error", stacklevel=2)
    return tuple(replace(target, also=_elsewhere(target, names)) for target in found.values())


def _targets_in(name: str, module: nn.Module) -> Iterator[WeightTarget]:
    prefix = f"{name}." if name else ""
    own = [
        key
        for key, parameter in module.named_parameters(recurse=False)
        if _is_matrix(key, parameter) and not nn.parameter.is_lazy(parameter)
    ]
    if isinstance(module, nn.Linear):
        kind: Kind = "linear"
        gates = {"weight": 1}
    elif isinstance(module, (*_PLAIN, *_TRANSPOSED)):
        kind, gates = "convolution", {"weight": 1}
    elif isinstance(module, tuple(_GATES)):
        count = next(count for layer, count in _GATES.items() if isinstance(module, layer))
        kind, gates = "recurrent", {key: count for key in own if key.startswith("weight_hh")}
    elif isinstance(module, nn.MultiheadAttention):
        kind, gates = "linear", {key: 3 if key == "in_proj_weight" else 1 for key in own}
    else:
        return
    for key, count in gates.items():
        if key in own or parametrize.is_parametrized(module, key):
            yield WeightTarget(name=f"{prefix}{key}", module=module, tensor=key, kind=kind, gates=count)


def _matrices(modules: dict[str, nn.Module]) -> Iterator[tuple[str, nn.Parameter]]:
    """Every parameter that is a matrix or has more dimensions, with its name."""
    for name, module in modules.items():
        if isinstance(module, _NO_MATRIX) or ".parametrizations." in f".{name}.":
            continue
        for key, parameter in module.named_parameters(recurse=False):
            if _is_matrix(key, parameter):
                yield f"{name}.{key}" if name else key, parameter


def _is_matrix(key: str, parameter: nn.Parameter) -> bool:
    return "bias" not in key and (nn.parameter.is_lazy(parameter) or parameter.ndim > 1)


def _elsewhere(target: WeightTarget, modules: dict[str, nn.Module]) -> tuple[tuple[nn.Module, str], ...]:
    """The other places of a model that hold the parameter of a target."""
    return tuple(
        (module, key)
        for module in modules.values()
        if not isinstance(module, parametrize.ParametrizationList)
        for key, parameter in module.named_parameters(recurse=False, remove_duplicate=False)
        if parameter is target.parameter and (module, key) != (target.module, target.tensor)
    )
