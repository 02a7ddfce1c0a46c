"""`run`: stored, and told where."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import pytest
from misbehaving import CHAOS, the_run
from toys import FAST, HERE

from kexue_bench.api import Plan
from kexue_bench.catalog.plugins import Hooks
from kexue_bench.catalog.registry import Registry
from kexue_bench.cli import compare, options, run, runs, verify
from kexue_bench.errors import KexueError
from kexue_bench.session.running import Session
from kexue_bench.store.results import Run


def test_a_run_is_stored_and_its_folder_is_the_last_line(cli, tmp_path):
    """No table is printed; the tally adds up, and the folder can be read."""
    result = cli("run", "gradients", "-t", "bernoulli-toy", "-m", "rloo", "--stage", "evaluate", *FAST, *HERE)
    assert result.code == 0
    tally, folder = result.out.splitlines()
    assert tally == "planned 2 = ok 2"
    assert (tmp_path / folder).resolve() == the_run(tmp_path).path.resolve()


def test_a_failed_case_is_told_and_makes_the_run_incomplete(chaos_cli):
    """Exit code 3, with where and why before the tally."""
    result = chaos_cli("run", *CHAOS, "-m", "raises", "--stage", "evaluate", *HERE)
    assert result.code == 3
    assert result.out.startswith("failed in evaluate: chaos/run raises: RuntimeError: told to raise\n")
    assert "planned 2 = ok 1 + failed 1\n" in result.out


def test_a_dry_run_stores_nothing(cli, tmp_path):
    """The plan alone."""
    result = cli("run", "gradients", "-n", "--isolation", "none")
    assert result.code == 0
    assert result.out.startswith("plan: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", [run, compare, verify])
def test_the_last_line_prints_the_path_of_the_run_as_text(verb, monkeypatch, capsys):
    """`-o` may hold an escape sequence or a mark that reverses what follows: they are printed as escapes."""
    place = Path("results\x1b[31m\u202e") / "0001-20260101T000000Z-f"
    stored = Run(path=place, number=1, plan=Plan(jobs=()), environment={}, outcomes={})
    monkeypatch.setattr(runs, "run_request", lambda *_, **__: Session(run=stored))
    monkeypatch.setattr(options, "load", lambda _: (Registry([]), Hooks([])))
    for module, name in ((compare, "check_reading_options"), (compare, "print_comparison")):
        monkeypatch.setattr(module, name, lambda *_: None)
    parser = argparse.ArgumentParser()
    verb.configure(parser)
    with contextlib.suppress(KexueError):
        verb.execute(parser.parse_args([]))
    out, err = capsys.readouterr()
    assert "0001-20260101T000000Z-f" in out + err
    assert "\x1b" not in out + err
    assert "\u202e" not in out + err
