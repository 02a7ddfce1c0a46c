"""Side files of a run: vectors, and what code was loaded, each named by the hash of its content.

A worker makes their text, which travels with its outcomes; the driver, which is the only writer, stores it before them.
So a disk without space for a side file ends the run, like one without space for an outcome, and fails no case.
"""

from __future__ import annotations

import base64
import hashlib
import json
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..files import OS_FILES, Files, write_atomic

DETAILS = "details"
"""The folder of vectors, below that of the run."""
LARGEST = 64 << 20
"""Most bytes that the vectors of one case may take."""


def pack(details: Mapping[str, Any]) -> dict[str, str]:
    """The text of each vector: base64 of little-endian float64, and its shape.

    Raises:
        ValueError: together they take more than `LARGEST` bytes.
    """
    if not details:
        return {}
    import torch

    tensors = {name: values.detach().to("cpu", torch.float64).contiguous() for name, values in details.items()}
    if (size := sum(8 * tensor.numel() for tensor in tensors.values())) > LARGEST:
        raise ValueError(f"the details of a case may take at most {LARGEST} bytes, got {size}")
    texts = {}
    for name, tensor in tensors.items():
        data = base64.b64encode(tensor.numpy().tobytes()).decode()
        document = {"dtype": "<f8", "shape": list(tensor.shape), "data": data}
        texts[name] = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return texts


def digest_of(text: str) -> str:
    """The name of a side file, without `.json`."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_once(folder: Path, texts: Iterable[str], *, files: Files = OS_FILES) -> None:
    """Write side files that are not there yet; on return they are on disk.

    Raises:
        OSError: the disk refused, or a link or a file is in place of the folder.
    """
    for text in texts:
        path = folder / f"{digest_of(text)}.json"
        data = text.encode()
        if not folder.is_dir() or folder.is_symlink():
            folder.mkdir()
            files.fsync_dir(folder.parent)
        if not _is_there(path, len(data)):
            write_atomic(path, data, files=files)


def _is_there(path: Path, size: int) -> bool:
    """Whether a side file is there as it was written: it appeared at once, so that its size tells of damage."""
    try:
        known = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(known.st_mode) and known.st_size == size
