"""source: what the desk knows of a module, read again only when its file has changed."""

import os
import sys
import types

import pytest

from kexue_bench.catalog import source
from kexue_bench.catalog.source import docstring_of, module_of, sheet_of, tables_of
from kexue_bench.errors import PluginError
from kexue_bench.store import cache


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A module that must not be imported, as new processes see it: their memory is empty, their cache on disk."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("KEXUE_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_SETTLED", -1)
    path = tmp_path / "once_read.py"
    path.write_text('raise SystemExit\nclass A:\n    """One."""\n')
    yield path
    source._cache.cache_clear()


@pytest.fixture
def reads(monkeypatch):
    """Every source that is parsed."""
    seen = []
    monkeypatch.setattr(source, "read", lambda text, real=source.read: seen.append(text) or real(text))
    return seen


def restart(monkeypatch):
    """End the process, and begin another."""
    source._cache().save()
    source._cache.cache_clear()
    monkeypatch.setattr(source, "_read", {})


def test_a_file_is_read_once_in_a_process_and_once_for_all(file, reads, monkeypatch):
    """The next process finds its sheet in the cache, equal to what was read."""
    restart(monkeypatch)
    first = sheet_of(file)
    assert sheet_of(file) is first
    restart(monkeypatch)
    assert sheet_of(file) == first
    assert len(reads) == 1


def test_an_edited_file_is_read_again(file, reads, monkeypatch):
    """In the same process and in the next; at the same size its time tells."""
    restart(monkeypatch)
    assert docstring_of("once_read:A") == "One."
    file.write_text(file.read_text().replace("One", "Two"))
    os.utime(file, ns=(1, 1))
    assert docstring_of("once_read:A") == "Two."
    restart(monkeypatch)
    file.write_text(file.read_text().replace("Two", "Six"))
    assert docstring_of("once_read:A") == "Six."
    assert len(reads) == 3


def test_a_reader_that_was_edited_reads_again(file, reads, monkeypatch):
    """Sheets of another reader are not used."""
    restart(monkeypatch)
    sheet_of(file)
    source._cache().save()
    source._cache.cache_clear()
    monkeypatch.setattr(source, "_read", {})
    other = file.with_name("another_reader.py")
    other.write_text("")
    monkeypatch.setattr(source.sheets, "__file__", str(other))
    sheet_of(file)
    assert len(reads) == 2


def test_what_is_not_a_sheet_is_read_again(file, reads, monkeypatch):
    """Whatever the cache holds in its place."""
    restart(monkeypatch)
    right = sheet_of(file)
    stamp = cache.stamp_of(file)
    for wrong in ({}, [], [{}, {}, {}, [["A"]], []], [{"A": [[["deep"], 1]]}, {}, {}, [], []], "text"):
        source._cache().put(str(file), stamp, wrong)
        restart(monkeypatch)
        assert sheet_of(file) == right
    assert len(reads) == 6


def test_tables_are_parsed_once(file, monkeypatch):
    """What TOML can say and JSON cannot is parsed each time, and keeps nothing else from being stored."""
    restart(monkeypatch)
    plain, infinite = file.with_name("plain.toml"), file.with_name("infinite.toml")
    plain.write_text('[[figure]]\nname = "a"\nlow = 1.5\nn = 2\n')
    infinite.write_text("low = inf\nday = 2026-01-01\n")
    first = [tables_of(plain), tables_of(infinite)]
    restart(monkeypatch)
    assert [tables_of(plain), tables_of(infinite)] == first
    monkeypatch.setattr("tomllib.loads", lambda _: {"parsed": "again"})
    assert [tables_of(plain), tables_of(infinite)] == [first[0], {"parsed": "again"}]


def test_what_cannot_be_read_says_why(file):
    """A file that is gone, one that is not Python, one with null bytes."""
    file.write_text("def f(:\n")
    with pytest.raises(PluginError, match=r"once_read\.py:1 is not Python"):
        sheet_of(file)
    file.write_bytes(b"a = 1\0")
    with pytest.raises(PluginError, match=r"once_read\.py:1 is not Python"):
        sheet_of(file)
    file.write_bytes(b"# coding: no-such-code\n")
    with pytest.raises(PluginError, match=r"once_read\.py:1 is not Python"):
        sheet_of(file)
    file.unlink()
    with pytest.raises(PluginError, match=r"once_read\.py cannot be read: No such file"):
        sheet_of(file)


@pytest.mark.parametrize("name", ["no_such_module", "no_such_package.m", "sys", "once_read.inner", "math"])
def test_a_module_without_python_source_is_named(file, name):
    """Not there, built in, compiled, or below a module that is not a package."""
    with pytest.raises(PluginError, match=f"the module '{name}' cannot be found as Python source"):
        module_of(name)


def test_a_module_that_only_its_loader_knows_is_found(file, monkeypatch):
    """A plugin of `-p` that is one file stands in `sys.modules` and on no path."""
    loaded = types.ModuleType("elsewhere_loaded")
    loaded.__file__ = str(file)
    monkeypatch.setitem(sys.modules, "elsewhere_loaded", loaded)
    assert module_of("elsewhere_loaded").path == file


def test_places_are_written_without_the_machine(file):
    """`package/module.py:3`, so that a report names no folder of a user."""
    assert module_of("once_read").at(3) == "once_read.py:3"
    assert module_of("kexue_bench").at(1) == "kexue_bench/__init__.py:1"
    assert module_of("kexue_bench.catalog.source").at(2) == "kexue_bench/catalog/source.py:2"


def test_another_installation_keeps_its_own_cache(file, reads, monkeypatch):
    """Two that differ would else throw away each other's entries at every call, and read both."""
    restart(monkeypatch)
    here = source._cache().path
    assert sheet_of(file)
    restart(monkeypatch)
    monkeypatch.setattr(source.sheets, "__file__", str(file))
    restart(monkeypatch)
    assert source._cache().path != here
    assert sheet_of(file)
    source._cache().save()
    assert here.exists()
