"""Deterministic cost of one call: what was counted, and the peak bytes of the tensors made inside it.

Bytes are those of tensor storages, not of the allocator, so that they are equal on every machine and in every run.
Tensors that existed before the call are not counted, nor are sparse ones; views and in-place writes cost nothing.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from .counter import Counter


def measure(call: Callable[[], object], counter: Counter) -> dict[str, float]:
    """Run the call once and return its cost.

    Args:
        call: the work; its result is kept until it returns, so that it counts.
        counter: the counter that the call adds to; only counts of this call are reported.

    Returns:
        The counts by name, and `memory`: the largest sum of bytes of the storages made inside and alive at once.
    """
    before = dict(counter.units)
    watch = _Storages()
    # Collecting a cycle of tensors at a random moment would change the peak.
    collecting = gc.isenabled()
    gc.disable()
    try:
        with watch:
            call()
    finally:
        if collecting:
            gc.enable()
    counts = {name: float(count - before.get(name, 0)) for name, count in counter.units.items()}
    return {name: count for name, count in counts.items() if count} | {"memory": float(watch.peak)}


class _Storages(TorchDispatchMode):
    """Tracks every storage from the operation that made it until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive = 0
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        # An unknown input of an operation existed before the call.
        for tensor in _tensors((args, kwargs)):
            self._follow(tensor, new=False)
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            self._follow(tensor, new=True)
        return result

    def _follow(self, tensor: Tensor, *, new: bool) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata  # noqa: SLF001  # the identity of a storage; its Python object is new on each access
        if key in self._known:
            return
        size = storage.nbytes() if new else 0
        self._alive += size
        self.peak = max(self.peak, self._alive)

        def ended(_: object, key: int = key, size: int = size) -> None:
            self._alive -= size
            del self._known[key]

        self._known[key] = weakref.ref(storage, ended)


def _tensors(tree: object) -> Iterable[Tensor]:
    """Dense tensors inside nested tuples, lists and mappings, as operations take and return them."""
    if isinstance(tree, Tensor):
        if tree.layout == torch.strided:
            yield tree
    elif isinstance(tree, (tuple, list)):
        for item in tree:
            yield from _tensors(item)
    elif isinstance(tree, Mapping):
        for item in tree.values():
            yield from _tensors(item)
