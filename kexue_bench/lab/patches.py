"""Functions of shared modules that a method replaced: the next case in the same process would compute with them.

The watched namespaces are the modules of torch, numpy, scipy, the standard library and this project that numbers pass
through, and their Python classes. A function is compared by identity. What a later import brings is watched from the
next look on; a name that is new in a module shadows nothing and is ignored, a name that is new in a class may shadow an
inherited method and counts.
"""

from __future__ import annotations

import builtins
import hashlib
import json
import math
import operator
import os
import random
import statistics
import struct
import sys
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import CodeType, ModuleType

import torch

_FIXED = (builtins, hashlib, json, math, operator, random, statistics, struct, time, zlib)
_PARTS = frozenset(
    (
        *("torch", "torch.autograd", "torch.autograd.functional", "torch.distributions", "torch.fft", "torch.func"),
        *("torch.linalg", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.optim", "torch.special"),
        *("numpy", "numpy.linalg", "scipy.special", "kexue_bench.api", "kexue_bench.store.codec"),
    )
)
_TORCH = f"{Path(torch.__file__).parent}{os.sep}"
_COMPILER = f"{_TORCH}_dynamo{os.sep}"
_absent = object()


def _counts(value: object) -> bool:
    return callable(value) or isinstance(value, (float, property, classmethod))


def _wrapped_by_torch(bound: object, before: object) -> bool:
    """Whether torch itself replaced its function: its compiler does that to a few as it is imported or used."""
    code = getattr(bound, "__code__", None)
    if not isinstance(code, CodeType):
        return False
    told = code.co_filename.startswith(_TORCH) and getattr(bound, "__wrapped__", None) is before
    return told or code.co_filename.startswith(_COMPILER)


class _Namespace:
    """The functions of a module or class, as they were at the first look."""

    def __init__(self, label: str, owner: ModuleType | type) -> None:
        self._label, self._entries = label, vars(owner)
        self._closed = isinstance(owner, type)
        self._kept = {name: value for name, value in list(self._entries.items()) if _counts(value)}
        self._seen = list(self._entries.values())

    def changed(self) -> list[str]:
        """The names that are bound to something else now."""
        # A comparison of lists tries identity first, so that this costs 10 ns a name; new names come last.
        with suppress(Exception):
            values = self._entries.values()
            if list(values if self._closed else islice(values, len(self._seen))) == self._seen:
                return []
        now = dict(self._entries)
        found = []
        for name, value in self._kept.items():
            if (bound := now.get(name, _absent)) is value:
                continue
            if _wrapped_by_torch(bound, value):
                self._kept[name] = bound
            else:
                found.append(name)
        if self._closed:
            found += [name for name, value in now.items() if name not in self._kept and _counts(value)]
        if not found:
            self._seen = list(now.values())
        return [f"{self._label}.{name}" for name in found]


class Surface:
    """The functions that all cases of this process share, as they were when they were first seen."""

    def __init__(self) -> None:
        self._modules: set[str] = set()
        self._loaded = 0
        self._spaces: list[_Namespace] = []
        for module in _FIXED:
            self._add(module.__name__, module)
        self._spaces += [_Namespace("torch.Tensor", torch.Tensor), _Namespace("torch.nn.Module", torch.nn.Module)]
        self._extend()

    def changed(self) -> tuple[str, ...]:
        """What was replaced since it was first seen, as `module.name`; modules that are new are watched from now on."""
        found = tuple(name for space in self._spaces for name in space.changed())
        self._extend()
        return found

    def _extend(self) -> None:
        if len(sys.modules) == self._loaded:
            return
        self._loaded = len(sys.modules)
        for name, module in list(sys.modules.items()):
            ours = name.startswith("kexue_") and not name.startswith("kexue_bench.")
            watched = ours or name in _PARTS or name.startswith("kexue_bench.lab.")
            if watched and name not in self._modules and isinstance(module, ModuleType):
                self._add(name, module)

    def _add(self, name: str, module: ModuleType) -> None:
        self._modules.add(name)
        self._spaces.append(_Namespace(name, module))
        if not name.startswith("kexue_"):
            # Libraries change their own classes in use: optimizers wrap their `step` when the first one is built.
            return
        for attribute, value in list(vars(module).items()):
            if isinstance(value, type) and value.__module__ == name:
                self._spaces.append(_Namespace(f"{name}.{attribute}", value))


_surface: list[Surface] = []


def surface() -> Surface:
    """The surface of this process; taken at the first call, which the fork server makes before any plugin is loaded."""
    if not _surface:
        _surface.append(Surface())
    return _surface[0]


def told(replaced: Sequence[str]) -> str:
    """`replaced torch.rand, torch.randn`: the first few names, for an outcome."""
    return f"replaced {', '.join(replaced[:5])}{', ...' if len(replaced) > 5 else ''}"
