"""The command line on the misbehaving plugin, and the run that it left."""

from __future__ import annotations

from pathlib import Path

from kexue_bench.store.results import Run, list_runs, load_run

PLUGINS = Path(__file__).parents[1] / "plugins"
CHAOS = ("chaos", "-p", "chaos.plugin", "-t", "run")


def the_run(root: Path) -> Run:
    """The newest run below a folder."""
    return load_run(list_runs(root / "results")[-1].path)
