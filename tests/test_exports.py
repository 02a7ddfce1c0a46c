"""Names of a package are listed once, and nothing is imported before it is asked for."""

from __future__ import annotations

import sys

import pytest

INIT = """
from typing import TYPE_CHECKING
from kexue_bench.exports import lazy
if TYPE_CHECKING:
    from . import tools as tools
    from .shapes import Circle as Circle
    from .shapes import Square as Box
__getattr__, __dir__ = lazy(__name__)
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with two modules, imported afresh."""
    folder = tmp_path / "exporting"
    folder.mkdir()
    (folder / "__init__.py").write_text(INIT)
    (folder / "shapes.py").write_text("class Circle: pass\nclass Square: pass\n")
    (folder / "tools.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import exporting

    yield exporting
    for name in [name for name in sys.modules if name.partition(".")[0] == "exporting"]:
        del sys.modules[name]


def test_a_name_imports_its_home_and_no_other(package):
    """Under the name it is exported by."""
    assert "exporting.shapes" not in sys.modules
    assert package.Box.__name__ == "Square"
    assert "exporting.shapes" in sys.modules
    assert "exporting.tools" not in sys.modules


def test_a_module_can_be_exported(package):
    """`from . import tools` is the module itself."""
    assert package.tools.answer == 42


def test_names_are_listed_and_others_are_missing(package):
    """`dir` holds what can be asked for; anything else is an AttributeError that names the package."""
    assert {"Box", "Circle", "tools"} <= set(dir(package))
    with pytest.raises(AttributeError, match="module 'exporting' has no attribute 'Square'"):
        package.Square  # evaluated for the error


def test_a_loader_that_gives_no_source_is_no_obstacle(package, monkeypatch):
    """Pytest loads the package of a plugin itself, to rewrite its assertions, and its loader has no `get_source`."""
    monkeypatch.setattr(package.__spec__, "loader", object())
    assert package.Box.__name__ == "Square"
