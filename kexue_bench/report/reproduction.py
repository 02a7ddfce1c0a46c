"""Published figures under the table of their task, each beside ours with its verdict and its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import get_args

from rich.text import Text

from ..analysis.tables import Reproduction, Table
from ..api import FigureKind
from . import numbers
from .layout import Column, Part, clip, clip_middle, line, total_width, wrap

STYLES = {"reproduced": "green", "not reproduced": "red"}


def beside(table: Table, width: int, sign: Callable[[str], str]) -> list[Text]:
    """Lines of one table's published figures; empty if it has none.

    Args:
        width: columns of the terminal; if they do not suffice, the metric, the accepted range, the kind and the
            published value are left out, in this order.
        sign: makes foreign text safe for the output's encoding.
    """
    items = table.published
    if not items:
        return []
    columns = [
        _column(
            "  published",
            [clip_middle(sign(subject(item)), max(width // 3, 20), sign("…")) for item in items],
            indent="  ",
        ),
        _column("kind", [item.spec.kind for item in items]),
        _column("metric", [sign(item.spec.metric) for item in items]),
        _column("paper", [clip(sign(there(item)), max(width // 4, 12), sign("…")) for item in items], align="r"),
        _column("accepted", [sign(accepted(item)) for item in items]),
        _column("ours", [sign(here(item)) for item in items], align="r"),
        _column("", [item.verdict for item in items], styles=[STYLES.get(item.verdict, "yellow") for item in items]),
    ]
    for header in ("metric", "accepted", "kind", "paper"):
        if total_width(columns) > width:
            columns = [column for column in columns if column.header != header]
    out = [Text(), line([column.heading() for column in columns])]
    out += [line([column.render(i) for column in columns]) for i in range(len(items))]
    out += wrap(f"reproduced: {count(items)}", width)
    for source in dict.fromkeys(item.spec.source for item in items):
        out += wrap(sign(f"published: {source}"), width, style="dim")
    return out


def _column(
    header: str, texts: list[str], *, align: str = "l", indent: str = "", styles: list[str] | None = None
) -> Column:
    cells = [(Part(indent + text, style),) for text, style in zip(texts, styles or [""] * len(texts), strict=True)]
    return Column(header=header, align=align, cells=cells)


def subject(item: Reproduction) -> str:
    """The method, or the two methods, that the figure belongs to."""
    return item.label + (f" against {item.spec.against}" if item.spec.against else "")


def there(item: Reproduction) -> str:
    """The published value or statement, or how many entries a vector has."""
    spec = item.spec
    if spec.kind == "vector":
        return f"{len(spec.entries)} values"
    return spec.statement if spec.value is None else f"{spec.value:g}"


def accepted(item: Reproduction) -> str:
    """The range that counts as reproduced."""
    low, high = item.spec.low, item.spec.high
    if item.spec.within is not None:
        return f"within {item.spec.within:g}"
    if low is None or high is None:
        return f"≥ {low:g}" if low is not None else f"≤ {high:g}" if high is not None else ""
    return f"[{low:g}, {high:g}]"


def here(item: Reproduction) -> str:
    """Our value with its spread; of a vector, the largest distance of an entry."""
    if item.value is None or item.low is None or item.high is None:
        return "-"
    half = (item.high - item.low) / 2
    around = numbers.spread(item.value, item.low, item.high, relative=True) if half else ""
    return f"{numbers.number(item.value, half)} {around}".rstrip()


def count(items: Iterable[Reproduction]) -> str:
    """How many figures of each kind were reproduced: `numbers 3 of 4, readings 2 of 2 (1 read blind)`.

    They are never added up: a height read from a plot is weaker evidence than a printed number, and one that was read
    by someone who knew the exact value is not evidence.
    """
    kinds: dict[FigureKind, list[Reproduction]] = {}
    for item in items:
        kinds.setdefault(item.spec.kind, []).append(item)
    parts: list[str] = []
    for kind in get_args(FigureKind):
        if found := kinds.get(kind):
            part = f"{kind}s {sum(item.verdict == 'reproduced' for item in found)} of {len(found)}"
            blind = sum(item.spec.blind for item in found)
            parts.append(part if blind == len(found) else f"{part} ({blind or 'none'} read blind)")
    return ", ".join(parts)
