"""The first screen: what to use, in few lines, at every width."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from kexue_bench.analysis.overview import Size
from kexue_bench.api import SUSPECT
from kexue_bench.report.screen import LINES, LINES_OF_ONE, fits_at_once, render_screen, size_text

GOLDEN = Path(__file__).with_name("golden")


def show(tabulation, width, *, unicode=True):
    """The first screen as text."""
    out = io.StringIO()
    Console(file=out, width=width).print(render_screen(tabulation, width=width, unicode=unicode), crop=False)
    return out.getvalue()


def families(tabulation, count):
    """The same tables and summary under several names."""
    names = [f"family-{i}" for i in range(count)]
    return replace(
        tabulation,
        tables=tuple(replace(table, family=name) for name in names for table in tabulation.tables),
        summaries=tuple(replace(tabulation.summaries[0], family=name) for name in names),
    )


@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("count", [1, 3])
def test_the_first_screen_is_what_it_was(tabulation, count, width):
    """Character for character; KEXUE_GOLDEN=write stores a new one, to be read before it is committed."""
    text = show(families(tabulation, count), width)
    path = GOLDEN / f"screen-{count}-{width}.txt"
    if os.environ.get("KEXUE_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("count", "most"), [(1, LINES_OF_ONE), (5, LINES), (13, LINES)])
def test_it_is_one_screen(tabulation, count, most):
    """25 lines for one family and 60 for thirteen, at 100 columns."""
    assert len(show(families(tabulation, count), 100).splitlines()) <= most


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_no_line_is_wider_than_the_terminal(tabulation, width):
    """Text is wrapped and the map is cut by whole tasks."""
    assert max(cell_len(line) for line in show(families(tabulation, 1), width).splitlines()) <= width


def test_ascii_output_is_ascii(tabulation):
    """Where the encoding has no signs, every one has a replacement."""
    assert show(tabulation, 100, unicode=False).isascii()


def test_every_mark_of_the_map_is_explained(tabulation):
    """The line of meanings has a word for each sign above it, and one for the blank."""
    lines = show(tabulation, 100).splitlines()
    rows = [line for line in lines if " of " in line and line[2:].split()[0] in tabulation.summaries[0].labels]
    signs = {sign for line in rows for sign in line[34:40].split()}
    meanings = " ".join(lines[-8:])
    assert signs
    assert all(f"{sign} " in meanings for sign in signs)
    assert "blank: not meant" in meanings


def test_the_next_commands_name_the_run(tabulation):
    """They can be typed as printed."""
    text = show(tabulation, 100)
    assert "kexue-bench report 0001 gradients --full" in text
    assert "kexue-bench compare FAMILY" in show(families(tabulation, 2), 100)


def test_few_tables_are_their_own_first_screen(tabulation):
    """One or two tasks, or tasks asked for by name; three tasks of a family are summed up."""
    assert not fits_at_once(tabulation)
    assert fits_at_once(replace(tabulation, tables=tabulation.tables[:2]))
    assert fits_at_once(tabulation.only(["toy", "vae"]))


def size(**fields):
    """A ratio of 1/2 over three of four tasks, changed by `fields`."""
    known = {
        "column": "mse", "kind": "ratio", "baseline": "base", "value": 0.5, "low": 0.4, "high": 0.6, "least": 0.3,
        "most": 0.7, "tasks": 3, "of": 4,
    }  # fmt: skip
    return Size(**{**known, **fields})


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "mse ×0.5 [0.4, 0.6] of base over the 3 tasks that both have (of 4)"),
        ({"of": 3}, "mse ×0.5 [0.4, 0.6] of base over the 3 tasks that both have"),
        ({"tasks": 1}, "mse ×0.5 [0.4, 0.6] of base"),
        (
            {"value": None, "low": None, "high": None, "tasks": 2, "of": 2},
            "mse ×0.30 to ×0.70 of base over the 2 tasks that both have: too few for a mean",
        ),
        (
            {"kind": "difference", "value": 0.5, "low": 0.3, "high": 0.7, "tasks": 1},
            "mse +0.5 ±0.2 against base",
        ),
    ],
)
def test_an_effect_says_over_how_many_tasks(fields, text):
    """The interval, the count, and where there is no mean the range with the reason."""
    assert size_text(size(**fields), "mse").replace("0.50", "0.5").replace("0.40", "0.4").replace("0.60", "0.6") == text


def test_what_an_author_would_not_expect_is_said_first(tabulation):
    """A changed setting and draws that are the truth; without one there is no such line."""
    table = tabulation.tables[0]
    first, second, *rest = table.rows
    key, cell = next(iter(second.cells.items()))
    odd = (
        replace(first, changed=("default dtype",)),
        replace(second, cells={**second.cells, key: replace(cell, flags=cell.flags | {SUSPECT})}),
    )
    said = " ".join(show(replace(tabulation, tables=(replace(table, rows=(*odd, *rest)),)), 160).split())
    assert f"changed settings or returned the truth itself (see --full): {first.label}, {second.label} " in said
    assert "changed settings" not in show(tabulation, 160)


def test_a_command_has_a_name_and_not_a_label(tabulation):
    """A label may end in the plugin of its method."""
    summary = tabulation.summaries[0]

    def renamed(mapping):
        return {f"{label} (acme)": value for label, value in mapping.items()}

    maps = {name: renamed(getattr(summary, name)) for name in ("profiles", "verdicts", "stars", "unsettled")}
    foreign = replace(
        tabulation,
        tables=tuple(
            replace(table, rows=tuple(replace(row, label=f"{row.label} (acme)") for row in table.rows))
            for table in tabulation.tables
        ),
        summaries=(replace(summary, labels=tuple(f"{label} (acme)" for label in summary.labels), **maps),),
    )
    command = show(foreign, 160).partition("kexue-bench show ")[2]
    assert command
    assert "acme" not in command


def test_an_exact_method_that_is_simply_faster_stands_below_the_choices(tabulation):
    """Where a budget of work decides; it is named with its task and its seconds."""

    def judged(row):
        cell = row.cells.get("mse")
        return row if cell is None else replace(row, cells={**row.cells, "mse": replace(cell, labels={"B": "1000000"})})

    first, *rest = tabulation.tables
    given = replace(tabulation, tables=(replace(first, rows=tuple(map(judged, first.rows))), *rest))
    text = " ".join(show(given, 100).split())
    assert "on toy[bits=1], exact is simply faster: " in text
    assert "simply faster" not in show(tabulation, 100)
