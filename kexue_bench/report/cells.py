"""One cell as text, and what kind of number it holds."""

from __future__ import annotations

from collections.abc import Iterable

from ..tables import Cell
from . import numbers


def is_zero(cell: Cell) -> bool:
    """Whether the value is known without sampling and is zero up to rounding."""
    return cell.exact and cell.value >= 0 and (cell.value == 0 or (cell.low is not None and cell.low <= 0))


def is_counted(cells: Iterable[Cell | None]) -> bool:
    """Whether a column holds counts and sizes only, which matter less than what was measured."""
    return all(cell is None or cell.exact for cell in cells)


def has_spread(cell: Cell) -> bool:
    """Whether pairing could have removed anything: not so where a side is exact or equal for every draw."""
    effect = cell.effect
    return effect is not None and effect.paired and effect.p is not None and "degenerate" not in cell.flags


def is_seconds(metric: str, unit: str) -> bool:
    """Whether a value is a duration, printed with an SI prefix."""
    return unit == "s" and not metric.endswith("variance")


def effect_size(fraction: float) -> str:
    """A relative effect: per cent up to 100 %, a factor beyond."""
    return numbers.percent(fraction) if fraction < 1 else numbers.factor(1 + fraction)


def value_and_spread(cell: Cell, relative: bool) -> tuple[str, str]:
    """Value and spread of a cell as text; what is exact and zero up to rounding is 0, with what rounding can do."""
    low, high = cell.low, cell.high
    half = (high - low) / 2 if low is not None and high is not None else 0.0 if cell.exact else None
    if is_zero(cell):
        return "0", f"±{numbers.upper(high)}" if high is not None and high > 0 else ""
    if "bound" in cell.flags or (low == 0 and high is not None and high > 0 and not cell.exact):
        bound = numbers.upper(high if high is not None else cell.value)
        return (f"|b|<{bound}" if cell.metric.endswith("bias") else f"<{bound}"), ""
    if cell.unit == "B":
        return numbers.size(cell.value), ""
    around = (
        "" if cell.exact else numbers.spread(cell.value, low, high, relative=relative or cell.metric.endswith("bias"))
    )
    if is_seconds(cell.metric, cell.unit):
        return numbers.seconds(cell.value, half), around
    if around.startswith("±") and not around.endswith("%") and half is not None:
        # Value and spread end at the same place.
        half /= 2
    return numbers.number(cell.value, half), around
