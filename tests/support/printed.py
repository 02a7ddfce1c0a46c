"""A comparison as a terminal shows it."""

from __future__ import annotations

import io

from rich.console import Console

from kexue_bench.analysis.tables import Tabulation
from kexue_bench.report.terminal import render


def show(tabulation: Tabulation, width: int, *, unicode: bool = True, **console: object) -> str:
    """The whole report at one width."""
    out = io.StringIO()
    Console(file=out, width=width, **console).print(render(tabulation, width=width, unicode=unicode))
    return out.getvalue()
