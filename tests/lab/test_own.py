"""own: code of the user's is loaded in a worker, and content is read once."""

import re
import sys

import pytest
import torch

from kexue_bench.lab.own import RefusedError, content, function_of, kept, once
from kexue_bench.lab.state import global_seed
from kexue_bench.store import cache


@pytest.fixture(autouse=True)
def path(monkeypatch):
    """The import path as it was."""
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_content_is_read_once_until_it_changes(tmp_path):
    """The second call gets the same object; an edited file is read again."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    calls = []

    def read(place):
        calls.append(place)
        return (tmp_path / "a.txt").read_text()

    assert [once(read, str(file)) for _ in range(3)] == ["one"] * 3
    assert calls == [str(file)]
    file.write_text("three")
    assert once(read, str(file)) == "three"


def test_few_contents_are_kept(tmp_path):
    """Memory is bounded: after five files the first is read again."""
    files = [tmp_path / f"{i}.txt" for i in range(5)]
    calls = []

    def read(place):
        calls.append(place)
        return place

    for file in (*files, files[0]):
        file.write_text("")
        once(read, str(file))
    assert len(calls) == 6


CODE = """
from __future__ import annotations
from dataclasses import dataclass
import beside_own

@dataclass
class Point:
    x: int

def make():
    return Point(beside_own.VALUE)

number = 3
"""


def test_a_function_is_loaded_with_the_modules_beside_its_file(tmp_path):
    """Dataclasses with deferred annotations included."""
    (tmp_path / "model.py").write_text(CODE)
    (tmp_path / "beside_own.py").write_text("VALUE = 7\n")
    assert function_of(f"{tmp_path}/model.py:make")().x == 7


def test_a_file_never_hides_an_installed_module(tmp_path):
    """Neither by its own name nor beside another."""
    (tmp_path / "json.py").write_text("import statistics\ndef make(): return statistics.mean([1, 3])\n")
    (tmp_path / "statistics.py").write_text("mean = None\n")
    assert function_of(f"{tmp_path}/json.py:make")() == 2
    assert hasattr(sys.modules["json"], "dumps")


def test_what_cannot_be_called_is_refused(tmp_path):
    """The name is told without its folder."""
    (tmp_path / "model.py").write_text("number = 3\n")
    with pytest.raises(TypeError, match=r"^model\.py:number must be a function, got int$"):
        function_of(f"{tmp_path}/model.py:number")


def test_a_file_that_raises_leaves_no_module(tmp_path):
    """A second try loads it again."""
    (tmp_path / "model.py").write_text("raise OSError('no')\n")
    known = set(sys.modules)
    for _ in range(2):
        with pytest.raises(OSError, match="no"):
            function_of(f"{tmp_path}/model.py:make")
    assert set(sys.modules) - known == set()


def test_a_file_is_read_by_its_suffix_or_refused_by_name(tmp_path):
    """An unknown suffix, a refusal and any other error each name the file without its folder."""

    def refuse(path):
        raise RefusedError("must hold rows, got none")

    readers = {".a": lambda path: path.read_text(), ".b": refuse}
    for name in ("x.a", "x.b", "x.c"):
        (tmp_path / name).write_text("text")
    assert content(f"{tmp_path}/x.a", readers, what="a table") == "text"
    for name, message in (
        ("x.b", "x.b must hold rows, got none"),
        ("x.c", "a table must be in a file .a, .b, got 'x.c'"),
        ("y.a", "y.a cannot be read as .a, got FileNotFoundError: "),
    ):
        with pytest.raises(ValueError, match="^" + re.escape(message)):
            content(f"{tmp_path}/{name}", readers, what="a table")


def test_a_number_is_computed_once_for_all_processes(tmp_path, monkeypatch):
    """Until its file changes; another number of the same file is another one; a file that is too new is not trusted."""
    file, made = tmp_path / "K.npy", []
    file.write_text("one")

    def number(what):
        return kept(lambda: made.append(what) or len(made) / 10, str(file), what)

    assert [number("new-a") for _ in range(2)] == [0.1, 0.2]
    monkeypatch.setattr(cache, "_SETTLED", -1)
    assert [number(what) for what in ("a", "a", "b", "a")] == [0.3, 0.3, 0.4, 0.3]
    file.write_text("three")
    assert number("a") == 0.5


def test_a_file_that_seeds_leaves_the_global_generators_as_they_were(tmp_path):
    """Its own draws follow its seed; the next draw here is what it would have been."""
    (tmp_path / "seeded.py").write_text("import torch\ntorch.manual_seed(7)\nw = torch.rand(2)\ndef f(): return w\n")
    with global_seed(0):
        wanted = torch.rand(2)
    with global_seed(0):
        found = function_of(f"{tmp_path}/seeded.py:f")()
        assert torch.equal(torch.rand(2), wanted)
    with global_seed(7):
        assert torch.equal(found, torch.rand(2))
