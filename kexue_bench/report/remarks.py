"""The notes under a table: smallest detectable effects, the A/A control, and what limits the figures above."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from ..analysis.overview import Shortcut, shortcut
from ..analysis.seeds import unseen
from ..analysis.tables import Row, Table, Tabulation
from ..analysis.uses import BELOW, LENGTHS, OFF_LENGTH
from ..catalog.selectors import text
from . import numbers
from .cells import BIASED, effect_size, has_spread
from .text import visible

_ENDLESS = 1000
"""A larger gain of pairing only says that two methods are functions of each other."""
_SIGNS = frozenset(
    {
        BELOW,
        OFF_LENGTH,
        "exact",
        "bound",
        "degenerate",
        "heavy-tail",
        "diverged",
        "partial",
        "preempted",
        "launch-bound",
        "share",
    }
)
"""Flags of the core, which the table shows in other ways."""


def remarks(table: Table, tabulation: Tabulation, *, dropped: Sequence[str], width: int) -> list[str]:
    """One paragraph each, unwrapped.

    Args:
        dropped: headings of the columns that did not fit.
        width: columns of the terminal, for the remark on what did not fit.
    """
    power = "; ".join(_power(table, tabulation))
    out = [power] if power else []
    constant = [row for row in table.rows if "degenerate" in row.stops]
    marks = {
        "budget exhausted before the requested precision": [row.label for row in table.rows if "budget" in row.stops],
        **{
            f"same value in {n} draws: events rarer than {numbers.upper(3 / n)} are not excluded": [
                row.label for row in constant if _draws(row) == n
            ]
            for n in sorted({_draws(row) for row in constant})
        },
        **{
            flag: [row.label for row in table.rows if flag in _own_flags(row)]
            for flag in sorted(frozenset().union(*map(_own_flags, table.rows)))
        },
    }
    marks |= {
        f"changed in its process ({name})": [row.label for row in table.rows if name in row.changed]
        for name in dict.fromkeys(name for row in table.rows for name in row.changed)
    }
    shown = sum(bool(row.cells) for row in table.rows)
    for mark, labels in marks.items():
        who = "every method" if len(labels) == shown > 1 else ", ".join(map(visible, labels))
        out += [f"{visible(mark)}: {who}"] if labels else []
    if any("heavy-tail" in cell.flags for row in table.rows for cell in row.cells.values()):
        out.append("! after ±: heavy tail, the interval may be too short")
    if any(OFF_LENGTH in cell.flags for row in table.rows for cell in row.cells.values()):
        out.append(f"≠ after a length: outside [{LENGTHS[0]:g}, {LENGTHS[1]:g}]")
    if any(row.biased for row in table.rows):
        out.append(f"{BIASED} after a name: biased")
    for reason in dict.fromkeys(row.unjudged for row in table.rows if row.unjudged):
        labels = [row.label for row in table.rows if row.unjudged == reason]
        out.append(f"no loss at a budget: {reason}: {', '.join(map(visible, labels))}")
    work = next((summary.work for summary in tabulation.summaries if summary.family == table.family), "")
    if found := shortcut(table, work):
        out.append(visible(faster(found)))
    out += _groups(table)
    for row in table.rows:
        out += [_tuning(row)] if row.chosen else []
        out += [f"x {visible(row.label)}: not comparable, {row.incomparable}"] if row.incomparable else []
    if not table.baseline:
        out.append("no ratios: the table has no baseline row")
    for row in table.rows:
        if row.is_baseline and not row.cells:
            why = f" ({visible(row.reason)})" if row.reason else ""
            out.append(f"no ratios: the baseline {visible(row.label)} is {row.status}{why}")
    if dropped:
        out.append(f"not shown at {width} columns: {', '.join(dropped)}")
    return out


def _draws(row: Row) -> int:
    return max((cell.n for cell in row.cells.values()), default=1)


def faster(found: Shortcut) -> str:
    """`exact is simply faster: 2.2 s a call, where the 17 draws of slq that the budget buys take 13 s`."""
    return (
        f"{found.label} is simply faster: {numbers.seconds(found.seconds)} a call, where the {found.draws:,.0f} draws "
        f"of {found.other} that the budget buys take {numbers.seconds(found.spent)}"
    )


def legend(tabulation: Tabulation) -> str:
    """How to read a table."""
    corrections = {"holm": "Holm", "bh": "Benjamini-Hochberg", "none": "uncorrected"}
    alpha, margin = numbers.percent(tabulation.alpha), numbers.percent(tabulation.margin)
    rule = f"{corrections[tabulation.correction]}, alpha {alpha}, margin {margin}"
    return (
        "★ shown to be best, or equivalent to it; · undecided: a difference from the best as large as `seen` would "
        f"have been seen; no mark: worse, or exact (=). Same letter: not distinguished ({rule}). ±: 95 % interval; "
        "×: paired ratio to the baseline (time: ? undecided, = equivalent; exploratory, like every column but the one "
        "that decides); <: not distinguishable from 0."
    )


def _power(table: Table, tabulation: Tabulation) -> Iterator[str]:
    """Smallest detectable effects, the A/A control, and the gain of pairing."""
    found = [
        _smallest(table, tabulation, key) for key in dict.fromkeys((table.primary, "time")) if key in table.detectable
    ]
    if found:
        tests = f"{table.tests} tests" + (f", and {table.exploratory} exploratory ones" if table.exploratory else "")
        yield f"smallest detectable effect (90 % power): {', '.join(found)}  ({tests})"
    if control := table.control:
        ends = numbers.bracket(control.ratio, control.low, control.high)
        ratio = numbers.factor(control.ratio, control.low, control.high)
        yield f"A/A control: time {ratio} {ends} over {control.n} processes"
    elif table.timed and table.baseline:
        yield "A/A control: missing, so no method is called faster or slower"
    paired = [cell for row in table.rows if (cell := row.cells.get(table.primary)) is not None and has_spread(cell)]
    gains = [cell.effect.gain for cell in paired if cell.effect is not None]
    if gains and (max(gains) >= 2 or min(gains) < 1):
        yield f"pairing: {_pairing(gains)} fewer draws for the same precision"


def _pairing(gains: Sequence[float]) -> str:
    """The median gain and its range: a paired contrast can also vary more than an unpaired one."""
    if len(gains) == 1:
        return _gain(gains[0])
    return f"median {_gain(median(gains))} ({_gain(min(gains))} to {_gain(max(gains))})"


def _gain(gain: float) -> str:
    return numbers.factor(gain) if gain < _ENDLESS else f"over ×{_ENDLESS}"


def _smallest(table: Table, tabulation: Tabulation, key: str) -> str:
    """The detectable effects of one column, smallest and largest over the rows."""
    low, high = table.detectable[key]
    spec = tabulation.spec(table.family, key)
    if spec.scale == "linear":
        ends, unit = (numbers.number(low, low / 4), numbers.number(high, high / 4)), f" {spec.unit}".rstrip()
    else:
        ends, unit = tuple(effect_size(v) for v in (low, high)), ""
    first = ends[0].removesuffix(" %") if ends[1].endswith("%") else ends[0]
    both = ends[0] if ends[0] == ends[1] else f"{first} to {ends[1]}"
    return f"{both}{unit} in {spec.heading or spec.name}"


def _own_flags(row: Row) -> frozenset[str]:
    """Flags that a task set on its measurements and that no sign of the table stands for."""
    return frozenset().union(*(cell.flags for cell in row.cells.values())) - _SIGNS


def _groups(table: Table) -> Iterator[str]:
    """Seeds of the primary column that fall into two groups, and what its number of seeds cannot show."""
    cells = {row.label: cell for row in table.rows if (cell := row.cells.get(table.primary)) is not None}
    for label, cell in cells.items():
        if (found := cell.populations) is not None:
            ends = ", ".join(numbers.number(end) for end in found.share)
            half = (found.high - found.low) / 2 if found.low is not None and found.high is not None else None
            rest = numbers.number(found.others, half) + (f" ±{numbers.number(half, half)}" if half else "")
            yield (
                f"two groups of seeds: {visible(label)}: {found.apart} of {found.n} near {numbers.number(found.near)} "
                f"(share {numbers.number(found.apart / found.n)} [{ends}]), the others {rest}"
            )
    seeds = {cell.n for cell in cells.values() if cell.seeds}
    if seeds:
        few = min(seeds)
        yield f"{few} seeds may show no sign of what happens to up to {numbers.percent(unseen(few))} of all seeds"


def _tuning(row: Row) -> str:
    """What tuning chose, and which choices lie at the edge of the values tried."""
    found = [
        f"{visible(key)}={text(value)}" + (" (edge of the values tried)" if key in row.edges else "")
        for key, value in row.chosen.items()
    ]
    return f"{visible(row.label)}: {', '.join(found)}, best of {row.trials} trials"
