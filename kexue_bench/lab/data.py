"""Real data sets that need no network: scikit-learn's bundled ones, as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from kexue_bench.errors import UnknownNameError

NAMES = ("breast_cancer", "digits", "iris", "wine")
_loaded: dict[str, Mapping[str, Tensor]] = {}


def loaded() -> tuple[Tensor, ...]:
    """Every shared tensor of the data sets that this process has read so far."""
    return tuple(tensor for tensors in _loaded.values() for tensor in tensors.values())


def load(name: str) -> Mapping[str, Tensor]:
    """A data set, read once per process: `inputs` [n, d] float64 as published, `targets` [n] int64.

    The tensors are shared by all callers and must not be written to.

    Args:
        name: `digits` (1797 x 64, grey levels 0 .. 16, 10 classes), `breast_cancer` (569 x 30, 1 is benign),
            `wine` (178 x 13, 3 classes) or `iris` (150 x 4, 3 classes).

    Raises:
        UnknownNameError: no such data set.
    """
    if name in _loaded:
        return _loaded[name]
    if name not in NAMES:
        raise UnknownNameError("data set", name, NAMES)
    from sklearn import datasets

    inputs, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
    _loaded[name] = MappingProxyType(
        {
            "inputs": torch.as_tensor(inputs, dtype=torch.float64).clone(),
            "targets": torch.as_tensor(targets, dtype=torch.int64).clone(),
        }
    )
    return _loaded[name]
