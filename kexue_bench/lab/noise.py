"""Streams of random numbers, each named by a key, so that no draw depends on earlier draws."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, Literal, TypeVar, cast, get_args

import numpy as np
import torch
from torch import Tensor

from kexue_bench.lab.precision import working

Stream = Literal["data", "split", "init", "order", "noise", "method", "measure", "tune"]
STREAMS: tuple[Stream, ...] = get_args(Stream)

_STATE_OFFSET, _STATE_WORDS = 24, 624  # offset of the words of the Mersenne twister, 64 bits each
_CPU = torch.device("cpu")
_F = TypeVar("_F", bound=Callable[..., Any])


def untraced(function: _F) -> _F:
    """A function that `torch.compile` calls as it is and never traces: generators and hashes are not tensors.

    The plain function is called outside of a compilation, so that torch's compiler is not imported for every draw.
    """
    # The public `torch.compiler.disable` imports the compiler at once, which costs every worker its start.
    left_out: Any = torch._disable_dynamo(function)  # noqa: SLF001  # pyright: ignore[reportPrivateImportUsage]

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return left_out(*args, **kwargs) if torch.compiler.is_compiling() else function(*args, **kwargs)

    return cast("_F", call)


class Noise:
    """One stream of random numbers, or a stack of streams along an axis.

    A draw of shape S from a stack of R streams, with `S[axis] == R`, concatenates the draws of the single streams with
    `S[axis] = 1`: a stack equals its singles bit for bit.

    Args:
        keys: one key per stream.
        dtype: dtype of every floating-point draw; half precision is drawn in float32, then rounded.
        device: where numbers are drawn; the same key gives different numbers on another kind of device.
        axis: axis of the stack, may be negative; None for a single stream.

    Raises:
        ValueError: no key, or several keys without an axis.
    """

    def __init__(self, keys: Sequence[bytes], *, dtype: torch.dtype, device: torch.device, axis: int | None) -> None:
        if not keys or (axis is None and len(keys) != 1):
            raise ValueError(f"a stream needs one key, or an axis to stack several along, got {len(keys)} keys")
        self.dtype, self.device = dtype, device
        self._working = working(dtype)
        self._keys, self._axis = tuple(keys), axis
        self._started: list[torch.Generator] = []

    @classmethod
    def seeded(cls, seed: int, *, dtype: torch.dtype = torch.float32, device: torch.device = _CPU) -> Noise:
        """A single stream from a seed, for use outside the harness; all digits of the integer count."""
        return cls((stream_key("seeded", int(seed)),), dtype=dtype, device=torch.device(device), axis=None)

    @untraced
    def at(self, step: int) -> Noise:
        """The stream of one step: the numbers at a step do not depend on earlier draws."""
        index = int(step).to_bytes(8, "little", signed=True)
        keys = [hashlib.sha256(key + index).digest() for key in self._keys]
        return Noise(keys, dtype=self.dtype, device=self.device, axis=self._axis)

    def cast(self, dtype: torch.dtype) -> Noise:
        """The same stream, at the place where it is, with floating draws in another dtype; itself if it is that one."""
        if dtype == self.dtype:
            return self
        other = Noise(self._keys, dtype=dtype, device=self.device, axis=self._axis)
        other._started = self._generators()
        return other

    @property
    def generator(self) -> torch.Generator:
        """The generator behind a single stream, for library calls that take one.

        Raises:
            ValueError: the stream is a stack.
        """
        if self._axis is not None:
            raise ValueError("a stacked stream has no single generator; draw through its methods, or take it unstacked")
        return self._generators()[0]

    @untraced
    def twister(self) -> Tensor:
        """State of a CPU generator seeded by the first stream, for use in torch's global one."""
        return _twister(self._keys[0])

    def uniform(self, *shape: int) -> Tensor:
        """Uniform on the open interval (0, 1), so that logarithms are finite; [*shape]."""
        draw = self._floats(shape, self._open_uniform)
        if self.dtype == self._working:
            return draw
        # Rounding takes numbers next to 0 and 1 to the ends.
        kept = torch.finfo(self.dtype)
        return draw.clamp_(kept.smallest_normal, 1 - kept.eps / 2)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal; [*shape]."""
        return self._floats(shape, self._normal)

    def rademacher(self, *shape: int) -> Tensor:
        """-1 or 1 with equal probability; [*shape]."""
        return self._floats(shape, self._signs)

    def logistic(self, *shape: int) -> Tensor:
        """Standard logistic, `log u - log(1 - u)`; [*shape]."""
        return self._floats(shape, lambda g, s: torch.logit(self._open_uniform(g, s)))

    def exponential(self, *shape: int) -> Tensor:
        """Exponential of rate 1, `-log u`; positive; [*shape]."""
        return self._floats(shape, lambda g, s: self._open_uniform(g, s).log_().neg_())

    def gumbel(self, *shape: int) -> Tensor:
        """Standard Gumbel, `-log(-log u)`; [*shape]."""
        return self._floats(shape, lambda g, s: self._open_uniform(g, s).log_().neg_().log_().neg_())

    def integers(self, high: int, *shape: int) -> Tensor:
        """Uniform on 0 .. high - 1, int64; [*shape]."""
        return self._draw(shape, lambda g, s: torch.randint(high, s, generator=g, device=self.device))

    @untraced
    def permutation(self, n: int) -> Tensor:
        """A uniform permutation of 0 .. n - 1, int64; [n], or [R, n] from a stack of R streams."""
        rows = [torch.randperm(n, generator=g, device=self.device) for g in self._generators()]
        return rows[0] if self._axis is None else torch.stack(rows)

    @untraced
    def _generators(self) -> list[torch.Generator]:
        if not self._started:
            self._started = [_generator(key, self.device) for key in self._keys]
        return self._started

    def _floats(self, shape: tuple[int, ...], fill: Callable[[torch.Generator, tuple[int, ...]], Tensor]) -> Tensor:
        draw = self._draw(shape, fill)
        return draw if self.dtype == self._working else draw.to(self.dtype)

    @untraced
    def _draw(self, shape: tuple[int, ...], fill: Callable[[torch.Generator, tuple[int, ...]], Tensor]) -> Tensor:
        generators = self._generators()
        if self._axis is None:
            return fill(generators[0], shape)
        axis, count = self._axis, len(generators)
        if not -len(shape) <= axis < len(shape) or shape[axis] != count:
            raise ValueError(
                f"a draw from {count} stacked streams must have size {count} along axis {axis}, got shape {shape}; "
                "give the replicates their own axis"
            )
        single = list(shape)
        single[axis] = 1
        return torch.cat([fill(g, tuple(single)) for g in generators], dim=axis)

    def _normal(self, generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=self._working, device=self.device)

    def _open_uniform(self, generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        # torch's grid is k eps / 2 for k = 0 .. 2 / eps - 1; its zero moves to the middle of its cell.
        eps = torch.finfo(self._working).eps
        draw = torch.rand(shape, generator=generator, dtype=self._working, device=self.device)
        return draw.clamp_(eps / 4, 1 - eps / 2)

    def _signs(self, generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        # Not `bernoulli_`: it may pass 32 bits of the stream to another generator.
        draw = torch.empty(shape, dtype=self._working, device=self.device)
        return draw.random_(0, 2, generator=generator).mul_(2).sub_(1)


@untraced
def stream_key(*names: object) -> bytes:
    """The key of the stream with these names, 32 bytes."""
    text = json.dumps(["kexue-bench/streams/1", *names], sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.shake_256(text.encode()).digest(32)


def _generator(key: bytes, device: torch.device) -> torch.Generator:
    generator = torch.Generator(device)
    if device.type == "cpu":
        # `manual_seed` uses only the low 32 bits on the CPU, so that among 1e5 streams two would probably coincide.
        generator.set_state(_twister(key))
    else:
        generator.manual_seed(int.from_bytes(hashlib.shake_256(key).digest(8), "little"))
    return generator


@cache
def _blank_twister() -> np.ndarray:
    return torch.Generator().manual_seed(0).get_state().numpy()


def _twister(key: bytes) -> Tensor:
    """A state of torch's CPU generator whose words all come from the key, before its first draw."""
    words = np.frombuffer(hashlib.shake_256(key).digest(4 * _STATE_WORDS), dtype="<u4")
    state = _blank_twister().copy()
    state[_STATE_OFFSET : _STATE_OFFSET + 8 * _STATE_WORDS] = words.astype("<u8").view(np.uint8)
    return torch.from_numpy(state)
