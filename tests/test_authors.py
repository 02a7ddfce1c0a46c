"""The page for authors leads from an empty directory to a row, a conformance run and a benchmark."""

import argparse
import ast
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from projects import registered

from kexue_bench.cli.verbs import VERBS

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


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_of_the_page_run_in_order(tmp_path):
    """From an empty directory; installing is what it would have left, because there may be no network."""
    where, path = tmp_path, [str(folder) for folder in sys.path]
    for program, *words in COMMANDS:
        if program == "cd":
            where = where / words[0]
        elif program == "pip":
            path.insert(0, str(registered(where)))
        else:
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
    assert {path.name for path in where.glob("*.json")} == {"tests.json", "run.json", "pyperf.json"}
    assert json.loads((where / "pyperf.json").read_text())["benchmarks"]
