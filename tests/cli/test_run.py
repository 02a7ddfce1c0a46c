"""`run`: stored, and told where."""

from __future__ import annotations

from misbehaving import CHAOS, the_run
from toys import FAST, HERE


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
