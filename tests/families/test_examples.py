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
from kexue_bench.cli.show import snippet_of, split_example
from kexue_bench.lab import Noise

ROOT = Path(__file__).parents[2]
FAMILIES = ("averaging", "energy", "f1", "gradients", "logdet", "orthogonality", "samplers", "smoothing")
REGISTRY = installed.registry()
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


RUNNABLE = [spec for spec in SPECS if spec.target not in ABSENT]


@pytest.mark.parametrize("spec", RUNNABLE, ids=lambda spec: spec.name)
def test_the_printed_loop_runs_as_it_stands_and_draws_anew(spec, monkeypatch):
    """50 steps in an empty namespace; where there is noise, every step has its own, and so has the loop's state."""
    assert ">>>" not in split_example(docstring_of(spec.target))[0]
    asked = []
    real = Noise.at
    monkeypatch.setattr(Noise, "at", lambda noise, step: asked.append(step) or real(noise, step))
    _, *lines = snippet_of(spec, REGISTRY.families[spec.family])
    scope = {"__name__": "pasted"}
    exec("\n".join(line.removeprefix("  ") for line in lines), scope)
    if spec.name == "exact":
        return  # Its example is printed: independent draws need no loop.
    assert scope["step"] == 49
    assert "noise.at" not in "".join(lines) or [step for step in asked if step in range(50)] == sorted(asked)
    if spec.family in {"gradients", "logdet"}:
        assert set(asked) == set(range(50))
    for name in ("encoder", "decoder", "model"):
        for parameter in scope[name].parameters() if name in scope else ():
            assert parameter.isfinite().all()


@pytest.mark.parametrize("name", ["rloo", "relax", "disarm-tree", "pathwise", "vimco"])
def test_two_steps_of_a_frozen_loop_differ(name):
    """With a learning rate of 0 the parameters stay, so that only the noise can move the gradient."""
    (spec,) = [spec for spec in SPECS if spec.family == "gradients" and spec.name == name]
    _, *lines = snippet_of(spec, REGISTRY.families["gradients"])
    code = "\n".join(line.removeprefix("  ") for line in lines).replace("lr=1e-3", "lr=0.0")
    head, found = code.replace("    optimizer.step()", "    optimizer.step(); seen.append(sample.gradient)"), []
    exec(head, {"__name__": "pasted", "seen": found})
    assert not torch.equal(found[0], found[1])


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
