"""A recommendation in words: which methods to choose, why, how sure that is, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from ..analysis.recommend import Need, Option, Recommendation
from ..analysis.tables import Tabulation
from . import numbers
from .cells import value_and_spread
from .layout import ascii_only, wrap
from .text import visible

SHOWN = 6
"""Methods of the Pareto set that are described; the others are named."""
_NAMED = 6


def render_advice(
    found: Recommendation, need: Need, tabulation: Tabulation, *, width: int, unicode: bool = True
) -> RenderableType:
    """Lay out a recommendation.

    Args:
        need: what was asked for.
        width: columns of the terminal.
        unicode: False if the output's encoding has only ASCII.
    """

    def sign(text: str) -> str:
        return visible(text) if unicode else ascii_only(visible(text))

    lines = [Text(sign(f"{found.family}: {_asked(found, need)}"), style="bold", no_wrap=True, overflow="ignore")]
    for indent, text in _paragraphs(found, tabulation):
        first, *rest = wrap(sign(text), width, indent=indent)
        lines += [first, *wrap(" ".join(line.plain.strip() for line in rest), width, indent=indent + "  ")]
    return Group(*lines)


def _asked(found: Recommendation, need: Need) -> str:
    words = [*need.claims, *(f"at most {limit.text}" for limit in need.limits)]
    words += ["values of the function only"] if need.have == "values" else []
    tasks = found.tasks[0] if len(found.tasks) == 1 else f"{len(found.tasks)} tasks"
    return f"{', '.join(words) or 'no constraint'}; measured on {tasks}"


def _paragraphs(found: Recommendation, tabulation: Tabulation) -> Iterator[tuple[str, str]]:
    if not found.options:
        yield "  ", "no method fulfils this"
    elif found.indifferent:
        names = ", ".join(option.label for option in found.options)
        yield "  ", f"nothing is known to differ here: {names}"
    for option in found.options[:SHOWN]:
        yield "  ", f"{option.label}: {_reason(option, found, tabulation)}"
    if len(found.options) > SHOWN:
        yield "  ", f"also not beaten somewhere: {', '.join(option.label for option in found.options[SHOWN:])}"
    yield "  ", f"how sure: {_certainty(found, tabulation)}"
    for reason, labels in found.excluded.items():
        gained = found.gained.get(reason, ())
        if gained:
            yield "  ", f"this would change it: {', '.join(gained)} ({reason})"
        else:
            more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
            yield "  ", f"left out ({reason}): {', '.join(labels[:_NAMED])}{more}"


def _reason(option: Option, found: Recommendation, tabulation: Tabulation) -> str:
    """One sentence: where it is not beaten, its error, its price, and conditions of what it claims."""
    of = len(found.tasks)
    if len(option.best) == of:
        why = "no smaller error was shown" if of == 1 else "no smaller error was shown on any task"
    elif of == 1:
        why = "less exact than the others, and cheaper"
    else:
        rest = len(option.efficient) - len(option.best)
        parts = [f"no smaller error on {len(option.best)} of {of} tasks"] if option.best else []
        parts += [f"the cheaper choice on {rest}"] if rest else []
        why = ", ".join(parts)
    words = [why]
    if of == 1:
        cell = next(iter(option.cells.values()))
        spec = tabulation.spec(found.family, cell.key)
        value, around = value_and_spread(cell, relative=spec.scale == "log")
        label = cell.key.removeprefix(spec.name)
        words.append(f"{spec.heading or spec.name}{label} {value} {around}".rstrip())
    prices = [_price(column, low, high, found.family, tabulation) for column, (low, high) in option.prices.items()]
    words += [", ".join(prices)] if prices else []
    words += found.conditions.get(option.label, ())
    return "; ".join(words)


def _price(column: str, low: float, high: float, family: str, tabulation: Tabulation) -> str:
    spec = tabulation.spec(family, column)

    def text(value: float) -> str:
        if spec.unit == "B":
            return numbers.size(value)
        return numbers.seconds(value) if spec.unit == "s" else numbers.number(value, 0.0 if value < 1e5 else None)

    both = text(low) if text(low) == text(high) else f"{text(low)} to {text(high)}"
    return both if spec.unit else f"{both} {spec.heading or spec.name}"


def _certainty(found: Recommendation, tabulation: Tabulation) -> str:
    tables = [table for table in tabulation.tables if table.family == found.family]
    open_tasks = len(found.unsettled)
    seeds = sorted({seed for table in tables for seed in table.seeds})
    level = numbers.percent(tabulation.alpha)
    words = [f"differences are tested at {level} in each table, seed {', '.join(map(str, seeds))}"]
    if open_tasks == len(found.tasks):
        words.append("no winner is shown")
    elif open_tasks:
        words.append(f"no winner is shown on {open_tasks} of {len(found.tasks)} tasks")
    if len(found.tasks) == 1:
        words.append("one task: another problem may order them otherwise")
    return "; ".join(words)
