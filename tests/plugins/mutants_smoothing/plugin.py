"""Registration: what the driver imports."""

from __future__ import annotations

from kexue_bench import discover, hookimpl


@hookimpl
def kexue_specs():
    """Methods of a family of another plugin, each with the claims that it breaks."""
    return discover(__package__, family="smoothing")
