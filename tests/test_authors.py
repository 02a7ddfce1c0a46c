"""The page for authors: its commands, from an empty directory to a benchmark, and an example of every hook."""

import argparse
import ast
import contextlib
import importlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from projects import registered

from kexue_bench.catalog import hookspecs
from kexue_bench.cli.main import main
from kexue_bench.cli.verbs import VERBS
from kexue_bench.testing import check_package, complain

PAGE = (Path(__file__).parents[1] / "docs" / "authors.md").read_text()
COMMANDS = [
    shlex.split(line) for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
MODULES = {"kexue-bench": "kexue_bench", "pytest": "pytest", "pytest-benchmark": "pytest_benchmark"}


def test_every_command_can_be_parsed():
    """Its verb exists and takes its options; the page uses each of the verbs that authors need."""
    ours = [command[1:] for command in COMMANDS if command[0] == "kexue-bench"]
    for verb, *words in ours:
        parser = argparse.ArgumentParser(exit_on_error=False)
        importlib.import_module(f"kexue_bench.cli.{verb}").configure(parser)
        parser.parse_args(words)
    assert {"new", "compare", "check", "export"} <= {verb for verb, *_ in ours} <= set(VERBS)
    assert {command[0] for command in COMMANDS} == {*MODULES, "cd", "pip"}


def test_every_example_names_what_the_kit_has():
    """What is imported from the kit exists there, and every check of the table is one that it makes."""
    kit = importlib.import_module("kexue_bench.testing")
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "kexue_bench.testing":
                assert {alias.name for alias in node.names} <= set(dir(kit))
    rows = re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    folder = Path(kit.__file__).parent
    source = "".join(path.read_text() for path in [*folder.glob("*.py"), folder.parent / "catalog" / "core_claims.py"])
    assert [name for name in sorted(named) if f'"{name}"' not in source] == []


HOOKS = {
    "kexue_families": "means / numbers",
    "kexue_methods": "one-entry",
    "kexue_tasks": "the mean of 1 .. k",
    "kexue_metrics": "far-share",
    "kexue_claims": "claim means/in-range: no estimate is beyond the numbers",
    "kexue_readings": "read-error[reading=half]",
    "kexue_published": "reproduced: numbers 1 of 1",
    "kexue_reporters": "numbers: one-entry\n",
    "kexue_commands": "3.0\n",
    "kexue_specs": "first-entry",
    "kexue_skip": "skipped (too many numbers for this machine",
    "kexue_environment": '"rack":"7"',
    "kexue_run_started": "4 cases\n",
    "kexue_case_finished": "one-entry on numbers[k=5]: ok\n",
    "kexue_run_finished": "stored in results/0004-",
}
"""Hook -> what its example on the page leaves in the output or in the record of the run."""


def _example(name: str) -> str:
    """A section of the page, by the file that it builds."""
    return next(part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE) if f"`{name}`" in part.partition("```")[0])


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the commands on the two plugins print and store, in order and in one folder."""
    folder, printed = tmp_path_factory.mktemp("hooks"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(folder)
        patch.setenv("RACK", "7")
        patch.setenv("COLUMNS", "160")
        for name in ("means.py", "watch.py"):
            Path(name).write_text("\n\n".join(re.findall(r"```python\n(.*?)```", _example(name), re.DOTALL)))
            for line in re.findall(r"^\$ kexue-bench (.*)$", _example(name), re.MULTILINE):
                verb, *words = shlex.split(line)
                options = {
                    "compare": ["--stage", "evaluate", "--isolation", "none"],
                    "verify": ["--isolation", "none"],
                    "check": ["--unmeasured"],
                }.get(verb, [])
                assert main([verb, *words, *options]) == 0, (line, printed.getvalue())
    return printed.getvalue() + next((folder / "results").glob("0004-*/run.json")).read_text()


def test_every_hook_has_an_example():
    """Each hook of the specification is named in the text, and implemented in a block that the next test runs."""
    hooks = {name for name in vars(hookspecs) if name.startswith("kexue_")}
    assert hooks == set(HOOKS)
    code = "".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    assert [hook for hook in sorted(hooks) if f"def {hook}(" not in code or f"`{hook}`" not in PAGE] == []


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_a_hook_does_what_it_says(seen, hook):
    """Its mark is in the output of the commands, or in the record of the run."""
    assert HOOKS[hook] in seen


def _from_nothing():
    """The method that the page writes."""
    return re.search(r"written from nothing:\n\n```python\n(.*?)```", PAGE, re.DOTALL)[1]


def test_the_method_of_the_page_conforms(tmp_path):
    """Written with what the contract says, it keeps every promise and its claim, in one dtype."""
    hook = '\n\n@hookimpl\ndef kexue_specs():\n    return discover(__name__, family="gradients")\n'
    source = _from_nothing().replace("import method\n", "import discover, hookimpl, method\n") + hook
    (tmp_path / "half_step.py").write_text(source)
    found = check_package(
        "half_step", tasks="bernoulli-toy", dtypes=["float64"], plugins=str(tmp_path / "half_step.py")
    )
    complain(found)
    assert {"unbiased", "declared-cost", "contract", "docstring"} <= {each.check for each in found if each.ok}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_of_the_page_run_in_order(tmp_path):
    """From an empty directory to the steps of CI; installing is what it would have left: there may be no network."""
    where, path = tmp_path, [str(folder) for folder in sys.path]

    def run(program, *words):
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        # The entry point of the plugin is that of the installed version.
        env["PYTEST_ADDOPTS"] = "-p no:cacheprovider -p kexue_bench.testing.plugin"
        command = [sys.executable, "-m", MODULES[program], *words]
        done = subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (program, words, done.stdout, done.stderr)
        if words[0] == "compare" and program == "kexue-bench":
            assert "half-step" in done.stdout
        if words[0] == "check":
            assert "conforms:" in done.stdout
        if program == "pytest-benchmark":
            assert "half-step-bernoulli-toy" in done.stdout

    for program, *words in COMMANDS:
        if program == "cd":
            where = where / words[0]
        elif program == "pip":
            path.insert(0, str(registered(where)))
            (where / "src" / "half_step" / "method.py").write_text(_from_nothing())
        else:
            run(program, *words)
    for step in re.findall(r"- run: (.*)", (where / ".github" / "workflows" / "test.yml").read_text()):
        if not step.startswith("pip"):
            run(*shlex.split(step))
    assert {path.name for path in where.glob("*.json")} == {"tests.json", "run.json", "pyperf.json", "benchmark.json"}
    assert json.loads((where / "pyperf.json").read_text())["benchmarks"]
