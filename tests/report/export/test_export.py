"""export: numbers survive exactly, and no text becomes a formula, a command or markup."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import re
from dataclasses import replace
from html.parser import HTMLParser

import jsonschema
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from written import ROW_FORMATS, render_rows, write_rows

from kexue_bench.analysis.comparison import read
from kexue_bench.api import Case, FamilySpec, Instance, Job, Measurement, Outcome, Plan
from kexue_bench.catalog.metrics import CORE_METRICS, keyed
from kexue_bench.errors import ResultsError
from kexue_bench.store import codec
from kexue_bench.store.results import RunWriter, load_run, schema

HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "  =cmd|' /C calc'!A0",
    "\uff1d1+1",
    '"; =1+1',
    "a,b\nc",
    "\x1b[31mred\x1b]8;;http://x\x07",
    "\u202egnp.exe",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](http://evil/x.png)",
    "https://evil.example/x www.evil.example mailto:a@b.c",
    "`code` **bold** _em_ ~~no~~ | cell | $x$ # h",
    "\\input{/etc/passwd}",
    "\\write18{rm -rf /}",
    "^^5cinput{x}",
    "}\\end{tabular}\\input{x}",
    "%\\",
    "[2em] * & $ # _ { } ~ ^ < > | \" ` ''",
    "--- --",
    "*",
]


def row(**changes):
    """A row of a comparison."""
    return {
        "family": "gradients",
        "task": "bernoulli-toy",
        "task_params": {"bits": 200, "t": 0.45},
        "method": "rloo",
        "method_params": {"n": 2},
        "metric": "variance",
        "value": 1.25e-7,
        "ci_low": 1.2e-7,
        "ci_high": None,
        "n": 4096,
        "unit": "",
        "flags": ["heavy-tail"],
        "status": "ok",
        "reason": "",
    } | changes


floats = st.floats(allow_nan=False)


# -- every format -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", [fmt for fmt in ROW_FORMATS if fmt != "parquet"])
def test_a_frame_and_its_records_render_alike(fmt):
    """A DataFrame, numpy's scalars and pandas' missing values included, gives the same text as rows of plain values."""
    plain = [
        {"name": "a", "value": 0.1, "step": 3, "claim": "x"},
        {"name": "b", "value": None, "step": None, "claim": ""},
    ]
    frame = pd.DataFrame(plain).astype({"step": "Int64"})
    assert render_rows(frame, fmt) == render_rows(plain, fmt)
    assert render_rows(frame.to_dict("records"), fmt) == render_rows(plain, fmt)


@pytest.mark.parametrize("fmt", ROW_FORMATS)
def test_an_empty_table_is_a_table(fmt, tmp_path):
    """No row, or a frame with columns only, is written without an error."""
    write_rows([], fmt, tmp_path / "a")
    write_rows(pd.DataFrame({"x": []}), fmt, tmp_path / "b")
    assert (tmp_path / "b").exists()


@pytest.mark.parametrize("fmt", [fmt for fmt in ROW_FORMATS if fmt not in {"parquet", "json"}])
@pytest.mark.parametrize("text", HOSTILE)
def test_no_control_character_of_data_comes_out(fmt, text):
    """The output holds printable characters and its own newlines; a text cannot forge a row."""
    one = render_rows([row(reason="plain")], fmt)
    out = render_rows([row(reason=text, method=text)], fmt)
    assert all(line.isprintable() for line in out.split("\n"))
    assert out.count("\n") == one.count("\n")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """A full disk while exporting costs the new file, never the old one."""
    path = tmp_path / "table.csv"
    write_rows([row()], "csv", path)
    old = path.read_bytes()

    def full(fd):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResultsError, match="full"):
        write_rows([row(), row()], "csv", path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


# -- csv --------------------------------------------------------------------------------------------------------------


def read_csv(text: str) -> list[dict[str, str]]:
    """What the standard library reads."""
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("text", HOSTILE)
def test_csv_has_no_formula_cell(text):
    """Whatever the text, no cell of it or of a header begins like a formula, blanks aside."""
    out = list(csv.reader(io.StringIO(render_rows([{text: text, "value": -1.5}], "csv"))))
    assert len(out) == 2
    cells = [out[0][0], out[1][0]]
    assert not any(re.match(r"\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]", cell) for cell in cells)
    assert out[1][1] == "-1.5"


@given(floats)
def test_csv_keeps_every_bit_of_a_number(value):
    """A float, negative or infinite ones too, is read back as it was; an apostrophe never touches it."""
    assert float(read_csv(render_rows([{"value": value}], "csv"))[0]["value"]) == value


def test_csv_writes_structures_as_json():
    """Parameters are JSON objects with sorted keys, flags a JSON list, missing values nothing."""
    out = read_csv(render_rows([row(task_params={"t": 0.5, "bits": 1})], "csv"))[0]
    assert json.loads(out["task_params"]) == {"bits": 1, "t": 0.5}
    assert json.loads(out["flags"]) == ["heavy-tail"]
    assert out["ci_high"] == ""


# -- json -------------------------------------------------------------------------------------------------------------


def test_json_follows_its_schema():
    """The document validates against the schema that ships, and the schema refuses a row without its metric."""
    rows = [row(), row(value=math.inf, flags=[], verdict="better", ratio=0.2, rank_group="a")]
    document = json.loads(render_rows(rows, "json", run=["0007-x"]))
    jsonschema.Draft202012Validator.check_schema(schema("rows"))
    jsonschema.validate(document, schema("rows"))
    assert document["run"] == ["0007-x"]
    del document["rows"][0]["metric"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema("rows"))


def test_a_real_comparison_and_a_real_frame_follow_the_schema(tmp_path):
    """What `compare --format json` and `export --what frame` write validates, failures among the rows."""
    method = Instance(name="rloo", params={"n": 2}, target="a.b:M", label="rloo[n=2]")
    task = Instance(name="toy", target="a.b:T", label="toy")
    shared = {"family": "gradients", "task": task, "task_version": 1, "stage": "evaluate"}
    good, bad = Case(method=method, **shared), Case(method=replace(method, name="disarm", label="disarm"), **shared)
    plan = Plan(jobs=(Job(cases=(good, bad)),), baselines={"gradients": method})
    measured = Measurement(metric="variance", value=0.5, low=0.4, high=math.inf, flags=frozenset({"bound"}), n=64)
    with RunWriter.create(tmp_path, name="x", plan=plan, environment={}) as writer:
        writer.append([Outcome(key=good.key, status="ok", measurements=(measured,))])
        writer.append([Outcome(key=bad.key, status="crashed", reason="SIGSEGV")])
    run = load_run("latest", tmp_path)
    family = FamilySpec(
        name="gradients",
        title="",
        summary="",
        contract="a.b:C",
        precision_metric="variance",
        baseline="rloo",
        headline=("variance",),
    )
    metrics = keyed(CORE_METRICS)
    tabulation = read([run], metrics=metrics, families={"gradients": family}, tasks={})
    for rows in (tabulation.rows(), run.to_frame()):
        document = json.loads(render_rows(rows, "json", run=[run.path.name]))
        assert {row["status"] for row in document["rows"]} == {"ok", "crashed"}
        jsonschema.validate(document, schema("rows"))


@given(st.text(), floats | st.none())
def test_json_survives_the_round_trip(text, value):
    """Any text and any number comes back as it was; the text is strict JSON in ASCII."""
    out = render_rows([{"reason": text, "value": value}], "json")
    assert out.isascii()
    assert codec.loads(out)["rows"] == [{"reason": text, "value": value}]


def test_json_turns_the_texts_of_a_frame_into_objects():
    """A frame holds parameters and flags as text; the document holds them as what they are."""
    frame = pd.DataFrame([{"task_params": '{"t":0.5}', "labels": "{}", "flags": "exact bound", "value": math.nan}])
    assert json.loads(render_rows(frame, "json"))["rows"] == [
        {"task_params": {"t": 0.5}, "labels": {}, "flags": ["exact", "bound"], "value": None}
    ]
    with pytest.raises(ResultsError, match="JSON objects"):
        render_rows([{"task_params": "n=2"}], "json")


# -- markdown ---------------------------------------------------------------------------------------------------------


def unescaped(text: str, signs: str) -> list[str]:
    """Signs of `signs` that no backslash stands before."""
    return re.findall(f"[{re.escape(signs)}]", re.sub(r"\\.", "", text))


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_has_no_markup_from_data(text):
    """Of a text, no bracket, quote, star, bar or tag is left without a backslash, and no address is a link."""
    line = render_rows([{"reason": text}], "md").splitlines()[2]
    cell = line.removeprefix("| ").removesuffix(" |")
    assert not unescaped(cell, "`*_[]<>|&~$#!{}")
    assert not re.search(r"[a-z]://|www\.|mailto:", cell)


def test_markdown_aligns_and_shortens_numbers():
    """Numbers stand to the right with six digits, texts to the left; the golden text shows the shape."""
    rows = [{"method": "rloo", "variance": 1.23456789e-7, "n": 2}, {"method": "reinforce", "variance": None, "n": 10}]
    assert render_rows(rows, "md") == (
        "| method    |    variance |   n |\n"
        "| --------- | ----------: | --: |\n"
        "| rloo      | 1.23457e-07 |   2 |\n"
        "| reinforce |             |  10 |\n"
    )


def test_markdown_read_by_a_stranger_has_no_tags():
    """A parser of HTML finds no element in the text: every `<` stands behind a backslash."""

    class Tags(HTMLParser):
        found: list[str]

        def handle_starttag(self, tag, attrs):
            self.found.append(tag)

    parser = Tags()
    parser.found = []
    parser.feed(re.sub(r"\\<", "&lt;", render_rows([{"reason": text} for text in HOSTILE], "md")))
    assert parser.found == []


# -- latex ------------------------------------------------------------------------------------------------------------

_PRINTING = (
    r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|textquotedbl|textasciigrave)\{\}"
)


@pytest.mark.parametrize("text", HOSTILE)
def test_latex_has_no_command_from_data(text):
    """What is left of a cell after the printing commands has no backslash, brace, active or special character."""
    body = render_rows([{"reason": text}], "latex").splitlines()[4]
    assert body.endswith(r" \\")
    cell = re.sub(_PRINTING, "", body.removesuffix(r" \\"))
    cell = re.sub(r"\\[{}&%$#_]", "", cell).replace("-{}-", "").removeprefix("{}")
    assert not re.search(r"[\\{}&%$#_~^<>|\"`]", cell)
    assert not cell.startswith(("[", "*")) or body.startswith("{}")


def test_latex_is_a_table_alone():
    """The golden text: booktabs rules, powers of ten, no preamble."""
    rows = [
        {"method": "rloo", "variance": 1.5e-7, "bias": -0.25},
        {"method": "a_b", "variance": math.inf, "bias": None},
    ]
    assert render_rows(rows, "latex") == (
        "\\begin{tabular}{lrr}\n\\toprule\nmethod & variance & bias \\\\\n\\midrule\n"
        "rloo & $1.5 \\times 10^{-7}$ & $-0.25$ \\\\\n"
        "a\\_b & $\\infty$ &  \\\\\n"
        "\\bottomrule\n\\end{tabular}\n"
    )


# -- parquet ----------------------------------------------------------------------------------------------------------


def test_parquet_keeps_types_and_numbers(tmp_path):
    """Read by pyarrow: floats, whole numbers and texts of a frame come back equal, without pandas' own metadata."""
    frame = pd.DataFrame({"value": [0.1, math.nan], "n": [1, 2], "flags": ["", "exact"], "step": [1, None]})
    frame = frame.astype({"step": "Int64"})
    write_rows(frame, "parquet", tmp_path / "t.parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    assert table.schema.metadata is None
    assert table.column("step").to_pylist() == [1, None]
    assert table.column("flags").to_pylist() == ["", "exact"]
    assert table.column("value").to_pylist()[0] == 0.1


def test_parquet_holds_structures_as_json(tmp_path):
    """Rows of mappings: parameters become JSON text, mixed numbers floats."""
    write_rows([row(value=1), row(value=0.5)], "parquet", tmp_path / "t.parquet")
    columns = pq.read_table(tmp_path / "t.parquet").to_pydict()
    assert columns["value"] == [1.0, 0.5]
    assert json.loads(columns["task_params"][0]) == {"bits": 200, "t": 0.45}
