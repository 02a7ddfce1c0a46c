"""`import`: there and back, the same seconds; theirs beside ours."""

import pytest

TIMED = ("-m", "rloo", "-t", "bernoulli-toy", "--stage", "time", "--processes", "2", "--isolation", "none")


def times(result):
    """Label -> value of a unit, and its interval, from `--format json`."""
    rows = [row for row in result.rows if row["metric"] == "time"]
    return {row["label"]: (row["value"], row["ci_low"], row["ci_high"], row["n"]) for row in rows}


def test_there_and_back_are_the_same_seconds(cli):
    """In both formats; the run is stored, and stands beside the one that it came from."""
    ours = times(cli("compare", "gradients", *TIMED, "--format", "json"))
    assert set(ours) == {"rloo", "reinforce"}
    for name in ("pytest-benchmark", "pyperf"):
        cli("export", "1", "--format", name, "--to", f"{name}.json")
        result = cli("import", f"{name}.json", "--format", "json")
        assert result.code == 0
        assert f"read from {name}: 2 benchmarks" in result.err
        found = times(result)
        assert {label: pytest.approx(row) for label, row in ours.items()} == found
    beside = cli("compare", "1", "2", "--format", "json")
    assert set(times(beside)) == {"rloo @0001", "rloo @0002", "reinforce @0001", "reinforce @0002"}


def test_a_file_of_neither_is_an_error(cli, tmp_path):
    """And nothing is stored."""
    (tmp_path / "x.json").write_text("{}")
    result = cli("import", "x.json")
    assert result.code == 2
    assert "is not a JSON file of pytest-benchmark or pyperf" in result.err
    assert not (tmp_path / "results").exists()
