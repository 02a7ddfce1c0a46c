"""The state in which a case starts: settings of the process and global generators, which other cases rely on."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from kexue_bench.api import Case
from kexue_bench.settings import restore, snapshot

__all__ = ["generators", "global_seed", "kept_generators", "prepare", "restore", "snapshot"]


def prepare(case: Case) -> None:
    """Threads and global generators in the state in which this case starts, whatever ran here before.

    The seed of the global generators depends on the task and the replicate, never on the method.
    """
    if torch.get_num_threads() != case.threads:
        torch.set_num_threads(case.threads)
    words = repr((case.seed, case.family, case.task.name, sorted(case.task.params.items()), case.replicates))
    seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "little")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # the legacy generator is the one that stray code would use
    # torch.manual_seed queues a traceback for every device that is not yet in use: 0.3 ms per case.
    torch.default_generator.manual_seed(seed)
    if case.device.startswith("cuda"):
        torch.cuda.manual_seed_all(seed)


def generators() -> tuple[object, ...]:
    """States of the global generators, for comparison."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002  # the legacy generator is what stray code uses
    return (
        torch.get_rng_state().numpy().tobytes(),
        numpy_state["state"]["key"].tobytes(),
        numpy_state["state"]["pos"],
        random.getstate(),
    )


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed the global generators, and restore them on leaving."""
    with kept_generators():
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  # the legacy generator
        torch.manual_seed(seed)
        yield


@contextmanager
def kept_generators() -> Iterator[None]:
    """Restore the global generators on leaving."""
    kept, numpy_kept, torch_kept = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002  # the legacy generator
    try:
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(numpy_kept)  # noqa: NPY002  # the legacy generator
        torch.set_rng_state(torch_kept)
