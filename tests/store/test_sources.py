"""sources: what a process really loaded is listed, and a list is compared with the files as they are now."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import types
from pathlib import Path

import pytest
from folders import make_plan, ok

from kexue_bench.store import sources
from kexue_bench.store.details import digest_of, write_once
from kexue_bench.store.results import RunWriter
from kexue_bench.store.sources import SOURCES, Loaded, edited, read_text


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """A module beside no package, written a while ago, imported now."""
    file = tmp_path / "helper_of_a_method.py"
    file.write_text("SCALE = 1.0\n")
    os.utime(file, (time.time() - 60,) * 2)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("helper_of_a_method")
    yield file
    del sys.modules["helper_of_a_method"]


def listed() -> dict:
    """What a fresh look at this process finds."""
    found = Loaded()
    found.take(time.time_ns())
    return json.loads(found.text())


def test_a_list_has_sources_by_digest_and_distributions_by_version(helper):
    """Neither the standard library nor a file of an installed distribution is a source; this program, editable, is."""
    found = listed()
    file, digest = found["modules"]["helper_of_a_method"]
    assert (Path(file).expanduser(), len(digest)) == (helper, 16)
    assert "kexue_bench.store.sources" in found["modules"]
    assert not {"json", "os", "numpy", "torch", "pytest", "_pytest.python", "__main__"} & set(found["modules"])
    assert not [file for file, _ in found["modules"].values() if "site-packages" in file]
    assert found["packages"]["pytest"] == pytest.__version__
    assert "kexue-bench" not in found["packages"]


def test_a_process_that_cannot_open_files_lists_what_it_cannot_read_as_unknown(helper, monkeypatch):
    """A method that used up the descriptors is not told that the worker failed."""

    def refuse(top):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(sources, "_installed", refuse)
    assert listed()["modules"]["helper_of_a_method"][1] == ""


def test_a_file_that_changed_after_the_job_began_is_unknown(helper):
    """The old content may have been loaded: whatever the file holds later, the case runs again."""
    begun = time.time_ns()
    os.utime(helper)
    later = helper.stat().st_mtime_ns
    found = Loaded()
    found.take(min(begun, later - 1))
    assert json.loads(found.text())["modules"]["helper_of_a_method"][1] == ""
    assert not sources._Present().matches(found.text())


def test_a_module_is_looked_at_once(helper):
    """A second case of the same process reports what was loaded, not what the file holds by then."""
    found = Loaded()
    found.take(time.time_ns())
    before = found.text()
    helper.write_text("SCALE = 0.5\n")
    found.take(time.time_ns())
    assert found.text() == before


def test_strange_modules_are_no_trouble(monkeypatch):
    """A lazy module, an object without a dictionary, a file that is none: nothing is imported and nothing raises."""

    class Lazy(types.ModuleType):
        def __getattr__(self, name):
            raise RuntimeError(name)

    for number, module in enumerate((Lazy("lazy"), 3, types.ModuleType("plain"))):
        monkeypatch.setitem(sys.modules, f"strange_{number}", module)
    sys.modules["strange_2"].__file__ = "/nowhere/at/all.py"
    modules = listed()["modules"]
    assert modules["strange_2"] == ["/nowhere/at/all.py", ""]
    assert not {"strange_0", "strange_1"} & set(modules)


def test_the_home_folder_is_not_named(helper, monkeypatch):
    """A list travels with a run, and says no more about its author than the run does."""
    monkeypatch.setenv("HOME", str(helper.parent))
    assert listed()["modules"]["helper_of_a_method"][0] == f"~/{helper.name}"


def lent() -> str:
    """The list of a process that loaded the helper alone."""
    modules = {name: entry for name, entry in listed()["modules"].items() if name == "helper_of_a_method"}
    assert modules
    return json.dumps({"modules": modules, "packages": {}})


def run_with(root, text):
    """A run whose first case loaded what a list says; the folder and the outcomes."""
    plan = make_plan()
    with RunWriter.create(root, name="x", plan=plan, environment={}) as writer:
        writer.keep(SOURCES, [text])
        outcomes = [ok(plan.cases[0], sources=digest_of(text)), ok(plan.cases[1])]
        writer.append(outcomes)
        return writer.path, outcomes


def test_an_edited_file_is_found_without_importing_it(helper, tmp_path):
    """The outcome that loaded it, and no other; a file with its old content back is unchanged."""
    path, outcomes = run_with(tmp_path / "results", lent())
    assert edited(path, outcomes) == frozenset()
    helper.write_text("raise SystemExit\n")
    assert edited(path, outcomes) == {outcomes[0].key}
    helper.write_text("SCALE = 1.0\n")
    assert edited(path, outcomes) == frozenset()
    helper.unlink()
    assert edited(path, outcomes) == {outcomes[0].key}


def test_a_project_that_moved_is_unchanged(helper, tmp_path, monkeypatch):
    """Where the file is gone, the module is looked for by its name."""
    path, outcomes = run_with(tmp_path / "results", lent())
    moved = tmp_path / "moved"
    moved.mkdir()
    helper.rename(moved / helper.name)
    monkeypatch.syspath_prepend(moved)
    del sys.modules["helper_of_a_method"]
    assert edited(path, outcomes) == frozenset()
    importlib.import_module("helper_of_a_method")


def test_another_version_of_a_loaded_distribution_is_found(tmp_path):
    """Of any distribution, not only of the numerical ones."""
    text = json.dumps({"modules": {}, "packages": {"rich": "0.1"}})
    path, outcomes = run_with(tmp_path / "results", text)
    assert edited(path, outcomes) == {outcomes[0].key}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"modules": [], "packages": []}', '{"modules": {"m": ["/dev/zero", "00"]}, "packages": {}}',
     '{"modules": {"m": [1, 2]}, "packages": {}}', '{"modules": {"m": "x"}, "packages": {"\\u0000": "1"}}',
     '{"modules": {"m": ["\\u0000", "00"]}, "packages": {}}', "[" * 5000, '{"modules": 3}'],
)  # fmt: skip
def test_a_strange_list_means_that_the_case_runs_again(tmp_path, text):
    """Nothing in a list makes a resume fail, or read anything but plain files."""
    path, outcomes = run_with(tmp_path / "results", text)
    assert edited(path, outcomes) == {outcomes[0].key}


def test_a_missing_damaged_or_linked_list_means_that_the_case_runs_again(helper, tmp_path):
    """What was loaded is not known any more."""
    path, outcomes = run_with(tmp_path / "results", lent())
    (file,) = (path / SOURCES).iterdir()
    content = file.read_text()
    (tmp_path / "elsewhere").write_text(content)
    for change in (
        lambda: file.write_text(content + " "),
        file.unlink,
        lambda: file.symlink_to(tmp_path / "elsewhere"),
    ):
        change()
        assert edited(path, outcomes) == {outcomes[0].key}
    file.unlink()
    write_once(path / SOURCES, [content])
    assert edited(path, outcomes) == frozenset()
    assert read_text(path / SOURCES, "../run") is None


def test_side_files_go_along_with_copied_outcomes(tmp_path):
    """A resume into a new folder copies the lists and the vectors of what it replays, as far as they are whole."""
    path, outcomes = run_with(tmp_path / "results", "text")
    outcomes[1] = ok(make_plan().cases[1], details={"a": digest_of("vector"), "b": digest_of("gone")})
    write_once(path / "details", ["vector"])
    with RunWriter.create(tmp_path / "results", name="y", plan=make_plan(), environment={}) as writer:
        writer.adopt(path, outcomes)
        assert [file.read_text() for file in (writer.path / "details").iterdir()] == ["vector"]
        assert [file.read_text() for file in (writer.path / SOURCES).iterdir()] == ["text"]
