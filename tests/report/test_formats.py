"""formats: one table of formats, one text where one does not fit, and plugins' reporters beside the core's."""

import errno
import os
import sys
from pathlib import Path

import pytest
from rich.text import Text
from written import row, write_rows

from kexue_bench.api import ReporterSpec
from kexue_bench.errors import PluginError, ResultsError, UsageError
from kexue_bench.report import formats
from kexue_bench.report.formats import COMPARED, FORMATS, ROWS, VERIFIED, Document, by_suffix, choose, fitting, write


@pytest.fixture
def reporters(tmp_path, monkeypatch):
    """A plugin's format `shout`, one that takes the name of a format of the core, and one that cannot be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "format_targets.py").write_text(
        "def shout(tabulation, stream):\n    stream.write(tabulation.upper())\n"
    )
    yield {
        name: ReporterSpec(name=name, target=target, summary="")
        for name, target in (
            ("shout", "format_targets:shout"),
            ("json", "format_targets:shout"),
            ("gone", "format_targets:gone"),
        )
    }
    sys.modules.pop("format_targets", None)


def document(**parts):
    return Document(parts={name: lambda part=part: part for name, part in parts.items()}, runs=("0001",))


def test_the_formats_of_a_frame_are_those_made_of_rows(reporters):
    """A frame has neither a page nor a view, and reporters take a comparison."""
    assert list(fitting(ROWS, reporters)) == ["json", "csv", "md", "latex", "parquet"]
    assert set(fitting(VERIFIED)) == {"table", "json", "csv", "md", "latex", "html", "parquet"}
    assert set(fitting(COMPARED, reporters)) == {*FORMATS, "shout", "gone"}


@pytest.mark.parametrize(("name", "has"), [("jsn", ROWS), ("jsn", COMPARED), ("table", ROWS), ("shout", VERIFIED)])
def test_a_format_that_does_not_fit_is_refused_with_those_that_do(name, has, reporters):
    """Misspelt, unknown, or not made of what there is: one text for all."""
    with pytest.raises(UsageError, match=f"--format must be one of .*csv, md, latex.*, got '{name}'"):
        choose(name, has, reporters)


def test_a_misspelt_format_gets_its_correction():
    """As every other name."""
    with pytest.raises(UsageError, match="did you mean json"):
        choose("jsn", COMPARED)


def test_a_binary_format_needs_a_file():
    """A terminal cannot show it."""
    with pytest.raises(UsageError, match=r"add --to FILE\.parquet"):
        choose("parquet", ROWS)
    assert choose("parquet", ROWS, to=Path("x")).binary


def test_a_reporter_of_a_plugin_writes_what_it_prints(reporters, capsys, tmp_path):
    """To the standard output and to a file alike; a format of the core cannot be replaced."""
    form = choose("shout", COMPARED, reporters)
    write(document(tabulation="quiet"), form)
    assert capsys.readouterr().out == "QUIET"
    write(document(tabulation="quiet"), form, tmp_path / "x")
    assert (tmp_path / "x").read_text() == "QUIET"
    assert choose("json", COMPARED, reporters) is FORMATS["json"]
    with pytest.raises(PluginError, match="reporter 'gone' cannot be loaded"):
        write(document(tabulation=""), choose("gone", COMPARED, reporters))


def test_parts_are_made_only_when_a_format_asks_for_them(capsys):
    """Rows of a large comparison cost nothing where a table is printed."""
    made = []
    parts = {"view": lambda: Text("seen"), "rows": lambda: made.append("rows")}
    write(Document(parts=parts), FORMATS["table"])
    assert capsys.readouterr().out == "seen\n"
    assert made == []


def test_a_table_in_a_file_has_no_colours(tmp_path):
    """It is read by editors."""
    write(document(view=Text("seen", style="red")), FORMATS["table"], tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_text() == "seen\n"


def test_the_head_of_a_json_document_stands_before_its_rows():
    """`verify` says its level, `doctor` whether all is well."""
    made = Document(parts={"rows": lambda: [{"a": 1}]}, runs=("0001",), head={"alpha": 1e-4})
    assert FORMATS["json"].of(made) == '{"schema":"kexue-bench/1","run":["0001"],"alpha":0.0001,"rows":[\n{"a":1}\n]}\n'


@pytest.mark.parametrize("form", FORMATS.values(), ids=lambda form: form.name)
def test_every_format_has_its_suffix(form):
    """`save` finds the format that `--format` names."""
    assert by_suffix(Path(f"x{form.suffix.upper()}"), COMPARED) is form


def test_an_unknown_suffix_is_refused_with_the_known_ones():
    """Where a page cannot be made, `.html` is none of them."""
    with pytest.raises(UsageError, match=r"use one of \.json, \.csv"):
        by_suffix(Path("x.html"), ROWS)


def test_a_file_that_cannot_be_written_is_an_error_of_results(tmp_path):
    """Exit code 4, with the reason of the system."""
    with pytest.raises(ResultsError, match="cannot be written"):
        formats.write(document(rows=[]), FORMATS["csv"], tmp_path / "no" / "x.csv")


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
