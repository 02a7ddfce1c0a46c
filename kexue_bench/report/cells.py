"""One cell as text, and the kind of its number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ..analysis.tables import NOTHING, Aggregate, Cell, Row
from ..analysis.uses import BELOW, OFF_LENGTH
from ..analysis.verdicts import Mark
from ..api import Scale
from . import numbers

BIASED = "~"
"""After the name of a method whose mean clearly differs from the truth."""
MARKS: Mapping[Mark, str] = {"best": "★", "undecided": "·", "": ""}


def signs(cell: Cell) -> str:
    """Warnings after a value: a heavy tail, a wrong length."""
    return ("!" if "heavy-tail" in cell.flags else "") + ("≠" if OFF_LENGTH in cell.flags else "")


def is_truth(cells: Mapping[str, Cell]) -> bool:
    """Whether a method is right up to rounding."""
    return any(cell.zero for cell in cells.values() if cell.metric in {"mse", "error"})


def is_counted(cells: Iterable[Cell | None]) -> bool:
    """Whether a column holds only counts and sizes, which matter less than measured values."""
    return all(cell is None or cell.exact for cell in cells)


def has_spread(cell: Cell) -> bool:
    """Whether pairing could have reduced the variance: not if a side is exact or has the same value in every draw."""
    effect = cell.effect
    return effect is not None and effect.paired and effect.p is not None and "degenerate" not in cell.flags


def is_seconds(metric: str, unit: str) -> bool:
    """Whether a value is a duration, printed with an SI prefix."""
    return unit == "s" and not metric.endswith("variance")


def effect_size(fraction: float) -> str:
    """A relative effect: in per cent below 100 %, as a factor above."""
    return numbers.percent(fraction) if fraction < 1 else numbers.factor(1 + fraction)


def value_and_spread(cell: Cell, *, relative: bool, truth: bool = False) -> tuple[str, str]:
    """Value and spread of a cell as text; a value that is exact and zero up to rounding is 0, with its rounding error.

    Args:
        relative: print the spread in per cent.
        truth: the method is right up to rounding, so that its bias is zero up to rounding.
    """
    if BELOW in cell.flags:
        return "< 1 draw", ""
    low, high = cell.low, cell.high
    half = (high - low) / 2 if low is not None and high is not None else 0.0 if cell.exact else None
    if cell.zero or (truth and cell.exact and cell.metric.endswith("bias")):
        return "0", f"±{numbers.upper(high)}" if high is not None and high > 0 else ""
    if "bound" in cell.flags or (low == 0 and high is not None and high > 0 and not cell.exact):
        bound = numbers.upper(high if high is not None else cell.value)
        return (f"|b|<{bound}" if cell.metric.endswith("bias") else f"<{bound}"), ""
    if "share" in cell.flags and low is not None and high is not None:
        return numbers.number(cell.value), f"[{numbers.number(low)}, {numbers.number(high)}]"
    if cell.unit == "B":
        return numbers.size(cell.value), ""
    around = (
        "" if cell.exact else numbers.spread(cell.value, low, high, relative=relative or cell.metric.endswith("bias"))
    )
    if is_seconds(cell.metric, cell.unit):
        return numbers.seconds(cell.value, half), around
    if around.startswith("±") and not around.endswith("%") and half is not None:
        # Value and spread end at the same digit.
        half /= 2
    return numbers.number(cell.value, half), around


def verdict_and_size(cell: Cell) -> tuple[str, str, str]:
    """Verdict, ratio or difference to the baseline, and its interval, as texts; empty if there is none."""
    effect = cell.effect
    if effect is None:
        return "", "", ""
    if cell.zero:
        # The ratio of a rounding error to another method's error is meaningless.
        return effect.verdict, "exact", ""
    if math.isnan(effect.value):
        return effect.verdict, "", ""
    if effect.kind == "ratio":
        size = numbers.factor(effect.value, effect.low, effect.high)
        return effect.verdict, size, numbers.bracket(effect.value, effect.low, effect.high)
    half = (effect.high - effect.low) / 2
    size = ("+" if effect.value > 0 else "") + numbers.number(effect.value, half / 2)
    return effect.verdict, size, numbers.spread(effect.value, effect.low, effect.high, relative=False)


def smallest_seen(row: Row, scale: Scale) -> str:
    """For an undecided row the smallest difference from the best that would have been seen; else nothing.

    Args:
        scale: of the primary column.
    """
    if row.mark != "undecided" or row.seen is None:
        return ""
    return effect_size(row.seen) if scale == "log" else numbers.number(row.seen, row.seen / 4)


def over_tasks(found: Aggregate | None) -> tuple[tuple[str, str], tuple[str, str]]:
    """Ratios over the tasks of a family as two texts with their styles: the mean with its interval, or the range.

    A mean that cannot be trusted is not printed: the smallest and the largest ratio say how the tasks differ.
    """
    if found is None:
        return ("-", "dim"), ("", "")
    if found.ratio is not None:
        low, high = (math.nan if end is None else end for end in (found.low, found.high))
        size = "×1" if found.ratio == 1 and low == high else numbers.factor(found.ratio, low, high)
        return (size, ""), (numbers.bracket(found.ratio, low, high), "dim")
    if found.least is None or found.most is None:
        return (f"{found.tasks} of {found.of} tasks", "dim"), ("", "")
    if found.most < NOTHING:
        return ("exact", ""), ("", "")
    ends = ["×1" if end == 1 else numbers.factor(end) for end in (found.least, found.most)]
    return (f"{ends[0]} to {ends[1]}" if ends[0] != ends[1] else ends[0], ""), ("", "")
