"""Tabulation -> HTML, a self-contained page or a fragment: no script, nothing to fetch, all foreign text escaped.

It shows what the terminal shows, with every column, and draws the ratios or differences to the baseline with their
intervals, so that a table of twenty methods can be read at a glance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import jinja2

from ..analysis.tables import Cell, Row, Summary, Table, Tabulation
from ..api import STATUSES
from . import numbers
from .cells import BIASED, MARKS, is_truth, over_tasks, signs, smallest_seen, value_and_spread, verdict_and_size
from .remarks import legend, remarks
from .reproduction import accepted, count, here, subject, there
from .text import visible

_WIDTH, _HEIGHT = 220, 20
"""Pixels of one row's drawing."""
_REACH = 1e4
"""Ratios beyond this or its inverse are drawn as arrows; a scale that includes them would show nothing else."""


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """Maps effects of one column to a line: logarithms of ratios, or differences.

    Args:
        low: left end, on the scale of the effects.
        neutral: 1 for ratios, 0 for differences.
    """

    low: float
    high: float
    log: bool

    def place(self, value: float) -> float:
        """Pixels from the left, clipped to the ends."""
        at = math.log(value) if self.log and value > 0 else -math.inf if self.log else value
        share = (at - self.low) / (self.high - self.low)
        return round(8 + (_WIDTH - 16) * min(max(share, 0.0), 1.0), 1)

    def beyond(self, value: float) -> str:
        """`left` or `right` if the value is off the scale."""
        at = math.log(value) if self.log and value > 0 else -math.inf if self.log else value
        return "left" if at < self.low else "right" if at > self.high else ""

    @property
    def neutral(self) -> float:
        """Pixels of no effect."""
        return self.place(1.0 if self.log else 0.0)

    @property
    def has_middle(self) -> bool:
        """Whether there is room to label the neutral point between the ends."""
        return 60 < self.neutral < _WIDTH - 60

    @property
    def ends(self) -> tuple[str, str]:
        """Labels of the ends of the axis."""
        if self.log:
            return numbers.factor(math.exp(self.low)), numbers.factor(math.exp(self.high))
        return numbers.number(self.low), numbers.number(self.high)


def render_html(
    tabulation: Tabulation, *, environments: Mapping[str, Mapping[str, object]], commands: Sequence[str] = ()
) -> str:
    """The page.

    Args:
        tabulation: what is shown.
        environments: name of a run -> where it ran.
        commands: the commands that made the runs.
    """
    return _template("page").render(
        **_content(tabulation),
        anchors=True,
        title=", ".join(tabulation.runs),
        environments={name: _facts(facts) for name, facts in environments.items()},
        commands=commands,
    )


def render_fragment(tabulation: Tabulation) -> str:
    """The tables as one `div` for a notebook: in its colors, without links, compatible with other fragments."""
    return _template("fragment").render(**_content(tabulation), anchors=False)


def _content(tabulation: Tabulation) -> Mapping[str, object]:
    families: dict[str, list[Mapping[str, object]]] = {}
    for number, table in enumerate(tabulation.tables):
        families.setdefault(table.family, []).append(_table(table, tabulation, f"table-{number}"))
    summaries = {summary.family: _summary(summary, tabulation) for summary in tabulation.summaries}
    return {
        "families": [
            {"name": name, "tables": tables, "summary": summaries.get(name)} for name, tables in families.items()
        ],
        "others": [view for name, view in summaries.items() if name not in families],
        "legend": legend(tabulation),
        "width": _WIDTH,
        "height": _HEIGHT,
    }


@cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kexue_bench.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["visible"] = visible
    return environment.get_template(f"{name}.html.jinja")


def _table(table: Table, tabulation: Tabulation, anchor: str) -> Mapping[str, object]:
    shown = [row for row in table.rows if row.cells]
    spec = tabulation.spec(table.family, table.primary)
    scale = _scale([row.cells[table.primary] for row in shown if table.primary in row.cells])
    absent: dict[tuple[str, str], list[str]] = {}
    for row in table.rows:
        if not row.cells and STATUSES[row.status].quiet:
            absent.setdefault((row.status, row.reason), []).append(row.label)
    return {
        "anchor": anchor,
        "name": table.task.label or table.task.name,
        "summary": table.summary,
        "decides": table.decides,
        "facts": _where(table),
        "headings": [_heading(table.family, key, tabulation) for key in table.columns],
        "seen": any(row.seen is not None for row in shown),
        "against": f"{spec.heading or spec.name} vs {table.baseline}" if table.baseline else "",
        "scale": scale,
        "rows": [_row(row, table, tabulation, scale) for row in shown],
        "failed": [row for row in table.rows if not row.cells and not STATUSES[row.status].quiet],
        "absent": [(status, reason, labels) for (status, reason), labels in absent.items()],
        "remarks": remarks(table, tabulation, dropped=(), width=0),
        "published": [
            {
                "subject": subject(item),
                "kind": item.spec.kind,
                "metric": item.spec.metric,
                "there": there(item),
                "accepted": accepted(item),
                "here": here(item),
                "verdict": item.verdict,
                "source": item.spec.source,
            }
            for item in table.published
        ],
        "reproduced": count(table.published),
    }


def _row(row: Row, table: Table, tabulation: Tabulation, scale: _Scale | None) -> Mapping[str, object]:
    primary = row.cells.get(table.primary)
    truth = is_truth(row.cells)
    verdict, size, around = verdict_and_size(primary) if primary is not None and not row.is_baseline else ("", "", "")
    return {
        "label": row.label,
        "biased": BIASED if row.biased else "",
        "star": row.star,
        "mark": " ".join(filter(None, [MARKS[row.mark], "x" if row.incomparable else "!" if row.failures else ""])),
        "seen": smallest_seen(row, tabulation.spec(table.family, table.primary).scale),
        "letters": primary.rank_group if primary is not None else "",
        "cells": [_texts(row.cells.get(key), table.family, tabulation, truth=truth) for key in table.columns],
        "verdict": "baseline" if row.is_baseline else verdict,
        "size": size,
        "around": around,
        "drawing": _drawing(primary, scale, is_baseline=row.is_baseline),
        "failures": [failure for failure in row.failures if not STATUSES[failure.status].quiet],
        "key": row.key,
    }


def _texts(cell: Cell | None, family: str, tabulation: Tabulation, *, truth: bool) -> tuple[str, str, str]:
    """Value, spread, and for seconds the verdict with its ratio."""
    if cell is None:
        return "", "", ""
    relative = tabulation.spec(family, cell.metric).scale == "log"
    value, around = value_and_spread(cell, relative=relative, truth=truth)
    timed = cell.metric == "time" and cell.effect is not None and cell.effect.verdict != "baseline"
    return value, around + signs(cell), " ".join(verdict_and_size(cell)[:2]) if timed else ""


def _drawing(cell: Cell | None, scale: _Scale | None, *, is_baseline: bool) -> Mapping[str, object] | None:
    """Point and interval of one row; None if there is no effect to draw."""
    if cell is None or cell.effect is None or scale is None or math.isnan(cell.effect.value) or is_baseline:
        return None
    effect = cell.effect
    return {
        "at": scale.place(effect.value),
        "low": scale.place(effect.low),
        "high": scale.place(effect.high),
        "beyond": scale.beyond(effect.value),
        "text": " ".join(filter(None, verdict_and_size(cell))),
    }


def _scale(cells: Sequence[Cell]) -> _Scale | None:
    """A scale for the intervals of a column, except extreme ones."""
    effects = [cell.effect for cell in cells if cell.effect is not None and cell.effect.verdict != "baseline"]
    log = any(effect.kind == "ratio" for effect in effects)
    ends = [end for effect in effects for end in (effect.low, effect.high, effect.value) if math.isfinite(end)]
    if log:
        ends = [math.log(end) for end in ends if 1 / _REACH <= end <= _REACH]
    if not effects:
        return None
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = 0.05 * (high - low) or (0.1 if log else 1.0)
    return _Scale(low=low - room, high=high + room, log=log)


def _heading(family: str, key: str, tabulation: Tabulation) -> str:
    spec = tabulation.spec(family, key)
    unit = f" ({spec.unit})" if spec.unit and spec.unit not in {"s", "B"} else ""
    return (spec.heading or spec.name) + key.removeprefix(spec.name) + unit


def _where(table: Table) -> str:
    threads = ", ".join(f"{count} thread" + "s" * (count != 1) for count in table.threads)
    seeds = "seed" + "s" * (len(table.seeds) > 1) + " " + ", ".join(map(str, table.seeds))
    return f"{table.device}, {threads}, {table.dtype}, {seeds}"


def _summary(summary: Summary, tabulation: Tabulation) -> Mapping[str, object]:
    names = list(dict.fromkeys(a.metric for a in summary.aggregates))
    found = {(a.label, a.metric): a for a in summary.aggregates}

    words = ("better", "worse", "equivalent", "undecided", "untestable")
    return {
        "title": summary.title or summary.family,
        "tasks": summary.tasks,
        "planned": summary.planned,
        "statuses": summary.statuses,
        "headings": [f"{tabulation.spec(summary.family, n).heading or n} ×" for n in names],
        "words": words,
        "rows": [
            {
                "label": label,
                "biased": BIASED if label in summary.biased else "",
                "stars": f"{summary.stars.get(label, 0)}/{summary.met(label)}",
                "unsettled": summary.unsettled.get(label, 0),
                "means": [[text for text, _ in over_tasks(found.get((label, name)))] for name in names],
                "verdicts": [summary.verdicts[label].get(word, 0) for word in words],
            }
            for label in summary.labels
        ]
        if summary.tasks > 1
        else [],
    }


def _facts(facts: Mapping[str, object]) -> dict[str, str]:
    """An environment as words; nested facts on one line."""
    out = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {item}" for key, item in value.items())  # noqa: PLW2901  # the same fact, in words
        if value not in ("", None):
            out[name] = numbers.size(float(value)) if name == "memory" and isinstance(value, int) else str(value)
    return out
