"""The example of every method runs, and what `show` prints of it can be pasted."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import installed
import pytest
import torch

from kexue_bench.catalog.source import docstring_of
from kexue_bench.cli import show
from kexue_bench.cli.show import split_example

ROOT = Path(__file__).parents[2]
FAMILIES = ("f1", "gradients", "logdet", "orthogonality", "smoothing")
SPECS = [spec for family in FAMILIES for spec in installed.methods(family)]


@pytest.fixture(autouse=True)
def _one_thread_and_grad(one_thread):
    with torch.enable_grad():
        yield


ABSENT = {spec.target for spec in SPECS if spec.requires and importlib.util.find_spec(spec.requires) is None}


@pytest.mark.parametrize("target", sorted({spec.target for spec in SPECS} - ABSENT), ids=lambda t: t.partition(":")[2])
def test_the_example_of_a_method_gives_what_it_says(target):
    """A doctest in the class docstring, of at least one line."""
    module, _, name = target.partition(":")
    cls = getattr(importlib.import_module(module), name)
    found = doctest.DocTestFinder(recurse=False).find(cls, name, globs={name: cls})
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_ONLY_FIRST_FAILURE)
    results = [runner.run(test) for test in found]
    assert sum(result.attempted for result in results) > 1
    assert not any(result.failed for result in results)


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.target not in ABSENT], ids=lambda spec: spec.name)
def test_the_printed_snippet_runs_as_it_stands(spec):
    """Import line and example, as `kexue-bench show NAME` prints them, in an empty namespace."""
    assert ">>>" not in split_example(docstring_of(spec.target))[0]
    lines = show._method_lines(spec, split_example(docstring_of(spec.target))[1])
    snippet = "\n".join(line.removeprefix("  ") for line in lines[lines.index("use it:") + 1 :])
    exec(snippet, {"__name__": "pasted"})


def test_the_comparison_from_python_runs_as_a_script(tmp_path):
    """Tables, verdict, number and claims on the standard output, nothing on the other, and no file left behind."""
    script = ROOT / "examples" / "compare_estimators.py"
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "plugins")))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "best in own-loss[B=16] on bernoulli-toy[t=0.45]: rloo[n=8]" in done.stdout
    assert "every claim of disarm holds: True" in done.stdout
    assert list(tmp_path.iterdir()) == []
