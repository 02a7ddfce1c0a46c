"""The report on a terminal: exact at every width, and nothing of it is lost in a pipe."""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import stored
from printed import show
from rich.cells import cell_len
from rich.console import Console
from stored import read
from tuned import execute, registry, request

from kexue_bench.analysis import comparison as analysis
from kexue_bench.api import Instance
from kexue_bench.plan.plan import build_plan
from kexue_bench.report.terminal import render

GOLDEN = Path(__file__).with_name("golden")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@pytest.mark.parametrize("width", [60, 80, 100, 140, 160])
def test_the_report_is_what_it_was(tabulation, width):
    """Character for character; KEXUE_GOLDEN=write stores a new one, to be read before it is committed."""
    text = show(tabulation, width)
    path = GOLDEN / f"report-{width}.txt"
    if os.environ.get("KEXUE_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160, 240])
def test_no_line_is_wider_than_the_terminal(tabulation, width):
    """Columns go before digits break: every line fits (below 60 the fixed columns alone may need more)."""
    longest = max(cell_len(line) for line in show(tabulation, width).splitlines())
    assert longest <= max(width, 60)


@pytest.mark.parametrize("width", [60, 100])
def test_numbers_are_whole_at_every_width(tabulation, width):
    """What a narrow terminal shows in a row of numbers, the widest shows too: nothing is cut or rounded further."""
    rows = re.compile(r"^(?:★|=| ) (?:exact|disarm|rloo\[n=2\]|reinforce) ")
    wide = set(NUMBER.findall("\n".join(line for line in show(tabulation, 240).splitlines() if rows.match(line))))
    narrow = set(NUMBER.findall("\n".join(line for line in show(tabulation, width).splitlines() if rows.match(line))))
    assert narrow <= wide


def test_columns_that_do_not_fit_are_named(tabulation):
    """A reader knows what is missing."""
    text = show(tabulation, 60)
    assert "not shown at 60 columns: variance, work-var," in text
    assert "not shown at" not in show(tabulation, 240)


def test_a_pipe_gets_no_colour_codes(tabulation):
    """What is no terminal gets plain text; NO_COLOR on a terminal keeps bold and drops colours."""
    assert "\x1b" not in show(tabulation, 100)
    coloured = show(tabulation, 100, force_terminal=True, color_system="standard", no_color=False)
    assert "\x1b[1;32m" in coloured or "\x1b[32m" in coloured
    bare = show(tabulation, 100, force_terminal=True, color_system="standard", no_color=True)
    assert not re.search(r"\x1b\[[\d;]*3[0-7]m", bare)


def test_signs_carry_what_colours_carry(tabulation):
    """Stars, verdict words and failure signs stand in the text itself."""
    lines = show(tabulation, 160).splitlines()
    assert any(line.startswith("★ rloo[n=2]") and "better" in line for line in lines)
    assert any(line.startswith("! my-estimator") for line in lines)
    assert any(line.startswith("= exact") for line in lines)


def test_ascii_output_is_ascii(tabulation):
    """Where the encoding has no signs, every one has a replacement; labels keep theirs as escapes."""
    text = show(tabulation, 160, unicode=False)
    assert text.isascii()
    assert "* rloo[n=2]" in text
    assert "+-" in text


def test_foreign_text_is_shown_and_never_obeyed(tabulation):
    """Control characters and markup of a plugin's reason appear as they are."""
    text = show(tabulation, 160)
    assert "\\x1b[31mevaluate[0]" in text
    assert "rloo[n=2]" in text


def test_a_failure_names_the_next_step(tabulation):
    """Status, phase, reason, and the command that shows the whole story."""
    (line,) = [x for x in show(tabulation, 160).split("\n\n")[1].splitlines() if "my-estimator" in x]
    key = tabulation.tables[0].rows[-2].key
    assert "crashed in evaluate: the worker died by SIGSEGV" in line
    assert line.endswith(f"kexue-bench show {key}")


def test_what_cannot_be_told_from_zero_is_a_bound(tabulation):
    """A bias inside its noise is printed as an upper bound, an exact one as 0, a real one with its spread."""
    table = show(tabulation, 160).split("\n\n")[1]
    lines = {line[2:].split()[0]: line for line in table.splitlines()}
    assert "|b|<1e-6" in lines["reinforce"]
    assert "0.55 ±1 %" in lines["straight-through"]
    assert lines["exact"].split()[3:5] == ["0", "0"]


def test_a_ratio_that_rounding_decides_is_called_exact():
    """An exact row beside a sampled baseline has no factor, in the table and over tasks."""
    book = stored.Book(baseline=stored.method("reinforce"))
    for bits in (1, 2):
        task = Instance(name="toy", params={"bits": bits}, target="x:Y", label=f"toy[bits={bits}]")
        book.sampled(task, stored.method("reinforce"), [1.0, 1.1, 0.9, 1.05])
        book.sampled(task, stored.method("exact"), [1e-17], stop="exact")
    lines = show(read(book.run()), 100).splitlines()
    assert sum(bool(re.match(r"= exact .* better +exact$", line)) for line in lines) == 2
    assert any(re.match(r"  exact +0/2 +- +exact", line) for line in lines)


def test_counts_give_way_to_what_was_measured():
    """Where not everything fits, memory and evaluations go before bias, whatever the headline's order."""
    headline = ("memory", "evaluations", "bias", "mse")
    families = {name: replace(spec, headline=headline) for name, spec in stored.FAMILIES.items()}
    tabulation = analysis.read([stored.study()], metrics=stored.METRICS, families=families, tasks=stored.TASKS)
    narrow, wide = (show(tabulation, width).splitlines()[3] for width in (60, 100))
    assert narrow.split()[:3] == ["method", "bias", "mse"]
    assert wide.split()[:5] == ["method", "memory", "evals", "bias", "mse"]


def test_counts_add_up_in_the_summary(tabulation):
    """The numbers of the summary line are those of the plan."""
    line = next(x for x in show(tabulation, 160).splitlines() if "cases planned" in x)
    total, *parts = map(int, re.findall(r"(\d+) (?:cases planned|ok|crashed|unsupported|timeout|diverged)", line))
    assert total == sum(parts) == tabulation.summaries[0].planned


def test_a_star_counts_among_the_tasks_a_method_was_meant_for():
    """Best on the one task it supports is 1/1, however many tasks there are."""
    base, rival = stored.method("reinforce"), stored.method("rloo", n=2)
    book = stored.Book(baseline=base)
    for name in ("toy", "toy2"):
        task = Instance(name=name, target="x:Y", label=name)
        book.sampled(task, base, [2.0, 2.2, 2.1, 2.0])
        if name == "toy":
            book.sampled(task, rival, [1.0, 1.1, 1.0, 1.2])
        else:
            book.outcome(book.case(task, rival), status="unsupported", reason="needs more")
    text = show(read(book.run()), 100)
    assert re.search(r"rloo\[n=2\] +1/1", text)
    assert re.search(r"reinforce +1/2", text)


def test_a_table_without_any_number_still_explains_itself():
    """All methods failed: rows with reasons, no empty grid."""
    book = stored.Book(baseline=stored.method("reinforce"))
    task = Instance(name="toy", params={}, target="x:Y", label="toy")
    for name in ("reinforce", "rloo"):
        case = book.case(task, stored.method(name))
        book.outcome(case, status="failed", phase="build", reason="tau must be > 0")
    text = show(read(book.run()), 100)
    assert text.count("failed in build: tau must be > 0") == 2
    assert "method  " not in text


def test_both_rows_are_shown_and_the_edge_is_reported(tmp_path):
    """`method` and `method (tuned)` with the choice below the table; ratios refer to the untuned baseline."""
    known = registry()
    finished = execute(build_plan(request("shifted", "plain", tune=8), known), tmp_path)
    tabulation = analysis.read([finished], metrics=known.metrics, families=known.families, tasks=known.tasks)
    (table,) = tabulation.tables
    rows = {row.label: row for row in table.rows}
    assert set(rows) == {"shifted", "shifted (tuned)", "plain", "plain (tuned)"}
    assert table.baseline == "shifted"
    assert dict(rows["shifted (tuned)"].method.params)["width"] == 4.0
    assert dict(rows["shifted"].method.params)["width"] == 1.0
    assert rows["plain (tuned)"].edges == ("task.lr",)
    console = Console(width=120, file=io.StringIO())
    console.print(render(tabulation, width=120))
    text = console.file.getvalue()
    assert "shifted (tuned): width=4, task.lr=0.1 (edge of the values tried), best of 8 trials" in text
    assert "plain (tuned): task.lr=0.1 (edge of the values tried), best of 8 trials" in text
