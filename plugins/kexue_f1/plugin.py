"""What the f1 family registers: itself and everything that the modules and data files of this package declare."""

from __future__ import annotations

from collections.abc import Sequence

from kexue_bench import Case, FamilySpec, discover, hookimpl

from .loops import LOOPS
from .mulan_files import missing

FAMILY = FamilySpec(
    name="f1",
    title="F1 losses",
    summary="Differentiable surrogates of F1, each under every reading of the trained score.",
    contract="kexue_f1.contract:F1Loss",
    precision_metric="mse",
    baseline="bce",
    headline=("f1", "f1-regret", "average-precision", "calibration-error", "zero-gradient", "time", "memory"),
    loops=LOOPS,
)


@hookimpl
def kexue_specs() -> Sequence[object]:
    """The family, and every declaration below this package."""
    return [FAMILY, *discover(__package__, family=FAMILY.name)]


@hookimpl
def kexue_skip(case: Case) -> str | None:
    """Why a data set that the user has to download cannot be loaded here."""
    return missing(str(case.task.fixed["name"])) if case.family == FAMILY.name and "name" in case.task.fixed else None
