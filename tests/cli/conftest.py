"""Run the command line in this process, in a folder of its own."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

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
