"""Plots of a run: small multiples, one panel per task, one legend; drawn with matplotlib, an optional extra."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analysis.tables import Table
from ..errors import UsageError
from .curves import Curve, Estimator, Gap, leads
from .text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = ("bias-variance", "mse-budget", "path", "curve")
# Distinguishable with every common color blindness; the marker shape repeats the distinction.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6a3d9a", "#8c564b", "#444444")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_QUIET = "#8a8f98"
_PANEL = (4.6, 3.7)
_STYLE = {
    "axes.edgecolor": _QUIET,
    "axes.grid": True,
    "axes.grid.which": "major",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "grid.color": "#e6e8eb",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "kexue-bench",
    "xtick.color": _QUIET,
    "xtick.labelcolor": "#333333",
    "ytick.color": _QUIET,
    "ytick.labelcolor": "#333333",
}


def library() -> Any:
    """The library, set up to draw without a screen.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise UsageError(
            "plots need matplotlib, which is not installed", do="pip install 'kexue-bench[plots]'"
        ) from error
    mpl.use("Agg")
    return mpl


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the suffix decides the format (svg, pdf, png), and the same figure gives the same bytes.

    Raises:
        UsageError: the file cannot be written, or its suffix is not a format.
    """
    mpl = library()
    moment = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix.lower(), {})
    try:
        with mpl.rc_context(_STYLE):
            figure.savefig(path, metadata=moment, dpi=150)
    except (OSError, ValueError) as error:
        raise UsageError(f"the picture {str(path)!r} cannot be written", got=str(error)) from error


# -- the pictures -----------------------------------------------------------------------------------------------------


def bias_variance(panels: Sequence[tuple[Table, Sequence[Estimator]]], *, work: str, budget: float) -> Figure:
    """Squared bias against the variance that `budget` units of work leave, with lines of equal mean squared error.

    An open marker stands at the upper end of an interval that holds 0: the bias is somewhere below it.
    """
    page = _Page(len(panels), [e.label for _, found in panels for e in found])
    for ax, (table, found) in zip(page.axes, panels, strict=True):
        _title(ax, table)
        ax.set_xscale("log")
        ax.set_yscale("log")
        xs = [e.variance * e.work / budget for e in found]
        tops = [e.bias**2 if e.biased else e.bias_high**2 for e in found]
        drawn = [y for y in tops if y > 0]
        floor = min(drawn, default=min(xs)) / 10
        for e, x, y in zip(found, xs, tops, strict=True):
            colour, marker = page.look[e.label]
            ax.errorbar(
                x,
                max(y, floor),
                xerr=[
                    [x - e.variance_low * e.work / budget],
                    [max(e.variance_high * e.work / budget - x, 0.0)],
                ],
                yerr=[[y - max(e.bias_low, 0.0) ** 2], [max(e.bias_high**2 - y, 0.0)]] if e.biased else None,
                fmt=marker,
                color=colour,
                markersize=6,
                markerfacecolor=colour if e.biased else "white",
                markeredgewidth=1.2,
                elinewidth=0.8,
                zorder=3,
            )
            if not e.biased:
                ax.annotate(
                    "",
                    xy=(x, max(y, floor) / 2.2),
                    xytext=(x, max(y, floor)),
                    arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 0.9, "mutation_scale": 6},
                )
        _pad(ax, xs, [max(y, floor) for y in tops])
        _iso_lines(ax)
        ax.set_xlabel(f"variance left by {budget:,.0f} {work}".replace(",", " "))
        ax.set_ylabel("squared bias")
    return page.finish("gray lines: equal mean squared error; open: bias not distinguishable from 0, below the marker")


def mse_budget(panels: Sequence[tuple[Table, Sequence[Estimator]]], *, work: str) -> Figure:
    """Mean squared error of the mean against its cost, in units of work and in seconds.

    Thick: methods that are best at some budget; dots: where the best method changes. Dotted: where a bias that is not
    distinguishable from 0 could matter.
    """
    sheets = [
        (table, found, axis)
        for table, found in panels
        for axis in ("work", "time")
        if any(e.cost(axis) is not None for e in found)
    ]
    page = _Page(len(sheets), [e.label for _, found in panels for e in found], columns=2)
    for ax, (table, found, axis) in zip(page.axes, sheets, strict=True):
        _title(ax, table)
        ax.set_xscale("log")
        ax.set_yscale("log")
        costs = {e.label: cost for e in found if (cost := e.cost(axis)) is not None}
        changes = leads(found, axis)
        first = max(costs.values())
        last = max([1e4 * first, *(3 * lead.budget for lead in changes if lead.budget < 1e9 * first)])
        budgets = [first * (last / first) ** (i / 160) for i in range(161)]
        ends = [*(lead.budget for lead in changes[1:]), math.inf]
        leading = {lead.label: (lead.budget, end) for lead, end in zip(changes, ends, strict=True) if end > first}
        for e in found:
            if e.label in costs:
                _line(ax, e, costs[e.label], budgets, look=page.look[e.label], lead=leading.get(e.label))
        for lead in changes:
            if first < lead.budget < last:
                e = next(e for e in found if e.label == lead.label)
                ax.axvline(lead.budget, color=_QUIET, lw=0.7, ls=(0, (2, 2)), zorder=1)
                ax.plot([lead.budget], [e.mse(lead.budget, costs[e.label])], "o", color="#333333", ms=4, zorder=4)
        ax.set_xlim(first, last)
        ax.set_xlabel("seconds spent" if axis == "time" else f"{work} spent")
        ax.set_ylabel("mean squared error")
    return page.finish(
        "thick: best at some budget; black dot: the best method changes; dotted: an undetected bias could matter"
    )


def path(panels: Sequence[tuple[Table, Sequence[Gap]]], *, metric: str, unit: str, against: str) -> Figure:
    """How far each training is behind the reference, step by step, with 95 % bands over replicates."""
    page = _Page(len(panels), [gap.label for _, found in panels for gap in found])
    for ax, (table, found) in zip(page.axes, panels, strict=True):
        _title(ax, table)
        # At step 0 all are the same.
        steps = [step for gap in found for step in gap.steps if step > 0]
        ax.set_xscale("log")
        for gap in found:
            colour, marker = page.look[gap.label]
            ax.fill_between(gap.steps, gap.low, gap.high, color=colour, alpha=0.15, lw=0)
            ax.plot(gap.steps, gap.values, color=colour, marker=marker, ms=3.5, lw=1.2)
        ax.axhline(0, color="#333333", lw=0.8)
        ax.set_xlim(min(steps, default=1), max(steps, default=1) * 1.1)
        ax.set_xlabel("steps")
        _plain(ax.set_ylabel(""), f"{visible(metric)} behind {visible(against)}" + (f" ({unit})" if unit else ""))
    counts = sorted({gap.replicates for _, found in panels for gap in found})
    return page.finish(f"bands: 95 % over {' or '.join(map(str, counts))} replicates, paired with the reference")


def curve(panels: Sequence[tuple[Table, Sequence[Curve]]], *, metric: str, unit: str, over: str) -> Figure:
    """A metric over the points at which it was measured, with 95 % bands; logarithmic if every value is positive.

    Dashed: references from the task. Dotted, in the color of a method: from there on it is known to behave differently.
    """
    page = _Page(len(panels), [c.label for _, found in panels for c in found if not c.reference])
    known = sorted({c.label for _, found in panels for c in found if c.reference})
    for ax, (table, found) in zip(page.axes, panels, strict=True):
        _title(ax, table)
        positive = [v for c in found for v in c.values if v > 0]
        logarithmic = len(positive) == sum(len(c.values) for c in found)
        ax.set_xscale("log" if all(c.points[0] > 0 for c in found) else "linear")
        ax.set_yscale("log" if logarithmic else "linear")
        for c in found:
            if c.reference:
                ax.plot(c.points, c.values, "--", color=_QUIET, lw=1.4, zorder=4)
                continue
            colour, marker = page.look[c.label]
            floor = min(positive) / 10 if logarithmic else -math.inf
            ax.fill_between(c.points, [max(low, floor) for low in c.low], c.high, color=colour, alpha=0.15, lw=0)
            ax.plot(c.points, c.values, color=colour, marker=marker, ms=3.5, lw=1.2, zorder=3)
            if c.threshold is not None:
                ax.axvline(c.threshold, color=colour, lw=1.0, ls=":", zorder=1)
        if ax.get_xscale() == "log":
            _round_ticks(ax)
        ax.set_xlabel(over)
        _plain(ax.set_ylabel(""), visible(metric) + (f" ({unit})" if unit else ""))
    return page.finish("; ".join(["bands: 95 %", *(f"dashed: {visible(name)}" for name in known)]))


def _line(
    ax: Axes,
    e: Estimator,
    cost: float,
    budgets: Sequence[float],
    *,
    look: tuple[str, str],
    lead: tuple[float, float] | None,
) -> None:
    """One method's error over the budget; named where it leads."""
    unclear = e.variance * cost / e.bias_high**2 if not e.biased and e.bias_high > 0 else math.inf
    colour, marker = look
    for part, style in (([b for b in budgets if b <= unclear], "-"), ([b for b in budgets if b > unclear], ":")):
        ax.plot(
            part,
            [e.mse(b, cost) for b in part],
            style,
            color=colour,
            marker=marker,
            ms=3.5,
            markevery=40,
            lw=2.2 if lead else 0.8,
            alpha=1 if lead else 0.7,
            zorder=3 if lead else 2,
        )
    if lead:
        begin, end = max(lead[0], budgets[0]), min(lead[1], budgets[-1])
        at = math.sqrt(begin * end)
        # Names near the left frame run to the right, so that they stay inside.
        inside = at < budgets[len(budgets) // 3]
        text = ax.annotate(
            "",
            (at, e.mse(at, cost)),
            xytext=(2 if inside else -3, -5),
            textcoords="offset points",
            ha="left" if inside else "right",
            va="top",
            color=colour,
        )
        _plain(text, visible(e.label))
        text.set_path_effects(_halo())


def _round_ticks(ax: Axes) -> None:
    """Ticks at 1, 2 and 5 times powers of ten, as plain numbers, for axes that span little more than one decade."""
    from matplotlib import ticker

    ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_locator(ticker.NullLocator())


def _halo() -> list[Any]:
    """A white outline, so that text is legible over lines."""
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=2.5, foreground="white")]


# -- layout -----------------------------------------------------------------------------------------------------------


class _Page:
    """A grid of panels that share one legend below."""

    def __init__(self, count: int, labels: Sequence[str], *, columns: int = 3) -> None:
        mpl = library()
        from matplotlib.figure import Figure

        self._names = sorted(dict.fromkeys(labels))
        self.look: Mapping[str, tuple[str, str]] = {
            name: (_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)]) for i, name in enumerate(self._names)
        }
        columns = min(columns, count)
        rows = math.ceil(count / columns)
        self._columns = 2 * columns if columns > 1 else 3
        legend = 0.19 * math.ceil(len(self._names) / self._columns) + 0.45
        with mpl.rc_context(_STYLE):
            self.figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * rows + legend))
            grid = self.figure.subplots(rows, columns, squeeze=False)
        self.axes: list[Axes] = list(grid.flat)[:count]
        for ax in list(grid.flat)[count:]:
            ax.remove()

    def finish(self, note: str) -> Figure:
        """Add the legend, and one line on how to read the plot."""
        from matplotlib.lines import Line2D

        with library().rc_context(_STYLE):
            handles = [Line2D([], [], color=c, marker=m, lw=1.5, ms=5) for c, m in self.look.values()]
            # Names are set afterwards: a label that begins with _ would be left out, and $ would start mathematics.
            legend = self.figure.legend(
                handles,
                [f"method {i}" for i in range(len(handles))],
                loc="outside lower center",
                ncols=self._columns,
                title=note,
                title_fontsize=7.5,
                fontsize=7.5,
            )
        legend.get_title().set_color("#555555")
        for text, name in zip(legend.get_texts(), self._names, strict=True):
            _plain(text, visible(name))
        return self.figure


def _title(ax: Axes, table: Table) -> None:
    _plain(
        ax.set_title("", loc="left", fontsize=9, color="#222222"),
        f"{visible(table.family)} / {visible(table.task.label or table.task.name)}",
    )


def _plain(text: Any, words: str) -> None:
    """Set plain text, without math parsing."""
    text.set_parse_math(False)
    text.set_text(words)


def _pad(ax: Axes, xs: Sequence[float], ys: Sequence[float]) -> None:
    """Half a decade around the points, so that none sits on the frame."""
    ax.set_xlim(min(xs) / 3, max(xs) * 3)
    ax.set_ylim(min(ys) / 8, max(ys) * 4)


def _iso_lines(ax: Axes) -> None:
    """Lines `bias^2 + variance = const`, one per decade."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    lowest, highest = math.floor(math.log10(max(left, bottom))), math.ceil(math.log10(right + top))
    for power in range(lowest, highest + 1):
        level = 10.0**power
        shares = [i / 200 for i in range(1, 200)]
        # Both ends close to the axes, where the line turns to run along them.
        xs = [*(level * 10 ** (-12 * (1 - s)) for s in shares), *(level * (1 - 10 ** (-12 * s)) for s in shares)]
        ax.plot(
            sorted(xs), [level - x for x in sorted(xs)], color="#c3c8cf", lw=0.8, zorder=1, scalex=False, scaley=False
        )
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
