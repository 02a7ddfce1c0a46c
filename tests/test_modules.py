"""modules: the source of a module is found without importing it or its parents."""

from __future__ import annotations

import sys

import pytest

from kexue_bench.modules import find, source_of


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Packages whose import would fail, with a module inside."""
    inner = tmp_path / "unimportable" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner.parent, inner):
        (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (inner / "leaf.py").write_text("x = 1\n")
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "leaf.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_module_is_found_and_its_parents_stay_unimported(package):
    """`importlib.util.find_spec` would import them, and both would raise."""
    assert source_of("unimportable.inner.leaf") == package / "unimportable" / "inner" / "leaf.py"
    assert source_of("unimportable.inner") == package / "unimportable" / "inner" / "__init__.py"
    assert not {name for name in sys.modules if name.startswith("unimportable")}


@pytest.mark.parametrize("name", ["no_such_module", "unimportable.missing", "unimportable.inner.leaf.deeper", ""])
def test_what_does_not_exist_has_no_spec(package, name):
    """Neither a missing name nor one below a module that is no package."""
    assert find(name) is None
    assert source_of(name) is None


def test_a_folder_without_init_has_no_source_but_its_modules_have(package):
    """A namespace package is no file."""
    assert source_of("bare") is None
    assert source_of("bare.leaf") == package / "bare" / "leaf.py"


def test_a_module_that_is_built_in_has_no_source():
    """Its code cannot be read, so a fingerprint has nothing to hash."""
    assert find("sys") is not None
    assert source_of("sys") is None
