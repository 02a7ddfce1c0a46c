"""Stored runs for scripts: find, list and read them.

Example::

    from kexue_bench.results import list_runs, load_run

    for info in list_runs():
        print(info.path.name, load_run(info.path).to_frame()["value"].count())
"""

from __future__ import annotations

from .store.results import DEFAULT_ROOT, Run, RunInfo, find_run, list_runs, load_run

__all__ = ["DEFAULT_ROOT", "Run", "RunInfo", "find_run", "list_runs", "load_run"]
