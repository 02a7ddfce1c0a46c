"""Run the command line in this process, in a folder of its own."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest
from misbehaving import PLUGINS

from kexue_bench.cli.main import main


@dataclass(frozen=True)
class Result:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self):
        """The rows of `--format json`."""
        return json.loads(self.out)["rows"]


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """`cli("compare", "gradients", ...)`, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr("sys.argv", ["kexue-bench", *arguments])
        with redirect_stdout(out), redirect_stderr(err):
            code = main(list(arguments))
        return Result(code, out.getvalue(), err.getvalue())

    return run


DECLARED = '''
from dataclasses import dataclass
from kexue_bench import FamilySpec, Unless, discover, hookimpl, method, task

@method("half", "half of the largest", needs="bits", when="task.n > 1", unless=(Unless(when="k > 9", because="slow"),),
        references=("arXiv:1",), fixed={"kind": "max"}, defaults={"k": 7})
@dataclass(frozen=True, kw_only=True)
class Half:
    """`max f / 2`.

    Args:
        kind: what is halved.
        k: how often
            it is halved.

    Raises:
        ValueError: never.
    """

    kind: str
    k: int = 1

@task("toy", "a toy", version=2, kind="record", offers="bits", facts={"rows": "n ** 2"})
@dataclass(frozen=True, kw_only=True)
class Toy:
    n: int = 3

@hookimpl
def kexue_specs():
    family = FamilySpec(name="halves", title="T", summary="s", contract="a:B", precision_metric="mse", baseline="half",
                        headline=("mse",))
    return [family, *discover(__name__, family="halves")]
'''


@pytest.fixture
def halves(cli, tmp_path):
    """`halves("show", ...)`: what a command prints with a plugin that fixes one field and changes a default."""
    (tmp_path / "halves_shown.py").write_text(DECLARED)
    yield lambda *words: cli(*words, "-p", "halves_shown.py").out
    sys.modules.pop("halves_shown", None)


PLUGIN = """
from kexue_bench import FamilySpec, MethodSpec, MetricSpec, TaskSpec, hookimpl

@hookimpl
def kexue_families():
    return [
        FamilySpec(name=name, title=name, summary="", contract="", precision_metric="mse", baseline="m", headline=())
        for name in ("near", "far")
    ]

@hookimpl
def kexue_methods():
    return [MethodSpec(name="m", family="gradient", target="a:B", summary="")]

@hookimpl
def kexue_metrics():
    return [
        MetricSpec(name="wonder", family="near", unit="nats", summary="one"),
        MetricSpec(name="wonder", family="far", direction="higher", summary="another"),
    ]
"""


@pytest.fixture
def odd(tmp_path):
    """A plugin with two families that share the name of a metric, and a method of an unknown family."""
    (tmp_path / "odd.py").write_text(PLUGIN)
    yield "odd.py"
    sys.modules.pop("odd", None)


@pytest.fixture
def chaos_cli(cli, monkeypatch):
    """The command line of this process, which can import the misbehaving plugin."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    return cli
