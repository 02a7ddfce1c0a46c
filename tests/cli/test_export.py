"""`export`: both tables in every format."""

from __future__ import annotations

import pytest
from toys import FAST, HERE, TOY


@pytest.mark.parametrize("what", ["comparison", "frame"])
@pytest.mark.parametrize("form", ["csv", "json", "md", "latex", "parquet"])
def test_every_export_format_is_written(cli, tmp_path, what, form):
    """Both tables in every format, to a file."""
    cli("run", *TOY[1:6], *FAST, *HERE, "-m", "rloo")
    result = cli("export", "--format", form, "--what", what, "--to", str(tmp_path / f"out.{form}"))
    assert result.code == 0, result.err
    assert (tmp_path / f"out.{form}").stat().st_size > 100


@pytest.mark.parametrize("form", ["pytest-benchmark", "pyperf"])
def test_times_are_written_for_other_programs(cli, tmp_path, form):
    """Every method that was timed, by its name; a run without times is a usage error."""
    cli("run", "gradients", "-t", "bernoulli-toy", "-m", "rloo", "--stage", "time", "--processes", "1", *HERE)
    result = cli("export", "--format", form, "--to", str(tmp_path / "times.json"))
    assert result.code == 0, result.err
    assert '"rloo-bernoulli-toy"' in (tmp_path / "times.json").read_text()
    cli("run", *TOY[1:6], *FAST, *HERE, "-m", "rloo")
    result = cli("export", "--format", form)
    assert result.code == 2
    assert "--stage time" in result.err
