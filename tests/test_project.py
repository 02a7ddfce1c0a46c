"""The project as a stranger meets it: its commands, its imports and its entry points agree with each other."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from lists import LISTS, written

from kexue_bench._version import __version__
from kexue_bench.analysis.stats import Verdict
from kexue_bench.api import Stage
from kexue_bench.report import cells, screen

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
UNTESTED = {
    "__main__.py": "one call; the tests of the command line start it",
    "_version.py": "one constant",
    "lab/problems.py": "values and a Protocol; the tests of what takes them build them",
    "lab/tasks.py": "Protocols alone; type checkers read them",
    "run/ground.py": "one call, made when the fork server imports it; the tests of `store/sources.py` say what it does",
    "run/listeners.py": "Protocols alone; type checkers read them",
}
"""Modules without a test file of their name, and why; the `__init__.py` of packages come on top."""


def test_ci_runs_the_test_command_of_the_readme():
    """The README's second command and CI's are the same line."""
    commands = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci/run").read_text().splitlines()


def test_constraints_pin_every_dependency_and_no_address():
    """Whatever the metadata names has a pinned version, and no index is named."""
    text = (ROOT / "constraints.txt").read_text()
    pinned = {line.partition("==")[0].lower() for line in text.splitlines() if "==" in line}
    extras = PYPROJECT["project"]["optional-dependencies"]
    wanted = PYPROJECT["project"]["dependencies"] + extras["docs"] + extras["test"]
    assert {re.match(r"[\w-]+", name)[0].lower() for name in wanted} - {"kexue-bench"} <= pinned
    assert "://" not in text


def test_the_version_is_that_of_the_changelog():
    """The newest section of the changelog, with its date, and the citation name the version of the code."""
    newest = re.search(r"^## (\S+) \((\d{4}-\d{2}-\d{2})\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    citation = (ROOT / "CITATION.cff").read_text()
    assert newest[1] == __version__
    assert f"version: {newest[1]}\ndate-released: {newest[2]}\n" in citation


def test_every_entry_point_is_in_the_wheel():
    """A family that is registered is also packaged."""
    packages = {Path(p).name for p in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}
    modules = {value.partition(".")[0] for value in PYPROJECT["project"]["entry-points"]["kexue_bench"].values()}
    assert modules <= packages


def test_plugin_modules_import_no_torch():
    """Every first-party plugin registers its specs without torch, numpy or a module of methods or tasks."""
    modules = sorted(PYPROJECT["project"]["entry-points"]["kexue_bench"].values())
    code = (
        "import sys, importlib\n"
        f"for name in {modules}: importlib.import_module(name)\n"
        "print([m for m in sys.modules if m in ('torch', 'numpy') or '.methods.' in m or '.tasks.' in m])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_importing_the_package_is_light():
    """`import kexue_bench` loads none of the heavy libraries."""
    code = "import sys, kexue_bench; print([m for m in ('torch','pandas','numpy','rich','scipy') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_what_a_script_needs_is_importable_from_the_package():
    """By name, by attribute and by star-free listing; the rooms `run`, `plan` and `report` stay packages."""
    code = (
        "import types, kexue_bench\n"
        "from kexue_bench import Comparison, Run, compare, load_run, verify\n"
        "from kexue_bench.lab import Context, Joins, Noise, Sampling, Training\n"
        "assert issubclass(kexue_bench.errors.UsageError, kexue_bench.errors.KexueError)\n"
        "assert {'compare', 'verify', 'Comparison', 'errors', 'load_run', 'Run'} <= set(dir(kexue_bench))\n"
        "for room in ('run', 'plan', 'report'):\n"
        "    assert isinstance(getattr(kexue_bench, room), types.ModuleType)\n"
        "print(Comparison.__module__, 'pandas' in __import__('sys').modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "kexue_bench.session.results False\n"


def test_the_readmes_own_method_runs(tmp_path):
    """The file that the README tells a stranger to write is loaded and listed as it stands there."""
    source = re.search(r"```python\n# my_method.py\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    (tmp_path / "my_method.py").write_text(source)
    command = ["compare", "gradients", "-p", "my_method.py", "-m", "half-rloo", "-t", "bernoulli-toy"]
    options = ["--stage", "evaluate", "--budget", "4096", "--isolation", "none", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "kexue_bench", *command, *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"half-rloo"' in done.stdout


@pytest.mark.parametrize("page", LISTS)
def test_the_lists_of_a_page_are_those_of_the_code(page):
    """Every column, status and module is explained: `python tests/support/lists.py` writes the lists anew."""
    assert (ROOT / page).read_text(encoding="utf-8") == written(page)


def test_every_mark_is_in_the_glossary():
    """Signs of tables and maps, verdicts and stages have an entry."""
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    marks = {*cells.MARKS.values(), cells.BIASED, *(sign for sign, _ in screen._MARKS.values()), "!", "≠"}
    words = {*get_args(Verdict), *get_args(Stage)} - {"baseline"}
    assert [word for word in sorted({*marks, *words} - {"", " "}) if f"`{word}`" not in text] == []


def test_the_index_names_every_page():
    """A page that nothing leads to is not read."""
    docs = ROOT / "docs"
    linked = set(re.findall(r"\]\((\S+?\.md)", (docs / "index.md").read_text(encoding="utf-8")))
    assert {path.name for path in docs.glob("*.md")} - {"index.md"} == linked - {"../README.md"}


def test_every_module_has_the_tests_of_its_name():
    """`kexue_bench/ROOM/NAME.py` is tested in `tests/ROOM/test_NAME.py`, or an exception gives its reason."""
    core = ROOT / "kexue_bench"
    modules = {path.relative_to(core) for path in core.rglob("*.py") if path.name != "__init__.py"}
    bare = {str(m) for m in modules if not (ROOT / "tests" / m.parent / f"test_{m.name}").exists()}
    assert sorted(bare - set(UNTESTED)) == []
    assert sorted(set(UNTESTED) - bare) == [], "an exception has a test by now, or its module is gone"
