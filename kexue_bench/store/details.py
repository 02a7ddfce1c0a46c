"""Vectors beside the journal: each a file named by the hash of its content."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_details(details: Mapping[str, Any], folder: str) -> dict[str, str]:
    """Write each vector as base64 of little-endian float64 beside the journal; returns name -> digest."""
    if not details or not folder:
        return {}
    import torch

    digests = {}
    for name, values in details.items():
        tensor = values.detach().to("cpu", torch.float64).contiguous()
        data = base64.b64encode(tensor.numpy().tobytes()).decode()
        document = {"dtype": "<f8", "shape": list(tensor.shape), "data": data}
        text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(text).hexdigest()
        _write_once(Path(folder), f"{digest}.json", text)
        digests[name] = digest
    return digests


def _write_once(folder: Path, name: str, data: bytes) -> None:
    if (folder / name).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{name}.{os.getpid()}"
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / name)
