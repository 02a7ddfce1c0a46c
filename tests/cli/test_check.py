"""`check`: one screen on a package, and the exit code."""

import pytest
from misbehaving import PLUGINS

from kexue_bench.testing import kit
from kexue_bench.testing.findings import Finding


@pytest.fixture
def check(cli, monkeypatch):
    """`check erring`, which loads the erring plugin."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    return lambda *words: cli("check", "erring", "-p", "erring.plugin", *words)


def test_what_is_read_and_built_is_one_screen(check):
    """Metadata, one row for each method and task, what to change, a verdict; a failed check is exit code 1."""
    result = check("--unmeasured")
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[:2] == [
        "plugin erring: erring.plugin (not installed, loaded by -p)",
        "registers 1 families, 9 methods, 4 tasks",
    ]
    assert any(line.split()[0] == "erring/off-grid" and "knobs" in line for line in lines)
    assert "`draw` must take (x, noise, n)" in " ".join(lines)
    assert lines[-1].startswith("something is to be changed:")


FINDINGS = {
    "fine": [Finding(check="a", subject="s"), Finding(check="b", subject="s", ok=None, message="unknown")],
    "failed": [Finding(check="a", subject="s", ok=False, message="change it")],
    "unfinished": [Finding(check="a", subject="s", ok=False, message="an error", finished=False)],
    "both": [
        Finding(check="a", subject="s", ok=False, message="an error", finished=False),
        Finding(check="b", subject="s", ok=False, message="change it"),
    ],
}


@pytest.mark.parametrize(("name", "code"), [("fine", 0), ("failed", 1), ("unfinished", 3), ("both", 1)])
def test_exit_codes_are_those_of_verify(check, monkeypatch, name, code):
    """A failure is 1, whatever else happened; a check that did not finish is 3; undecided is no failure."""
    monkeypatch.setattr(kit, "check_package", lambda *_, **__: FINDINGS[name])
    result = check("--format", "json")
    assert result.code == code
    assert [row["check"] for row in result.rows] == [found.check for found in FINDINGS[name]]
    lines = check().out.splitlines()
    assert lines[-1].startswith("conforms" if name == "fine" else "something is to be changed")
    assert ("undecided, s: b: unknown" in lines) == (name == "fine")


def test_a_fault_on_many_tasks_is_said_once(check, monkeypatch):
    """With the first place and the number of the others."""
    found = [Finding(check="pure", subject="s", ok=False, message="copy it", place=place) for place in ("a", "b", "c")]
    monkeypatch.setattr(kit, "check_package", lambda *_, **__: found)
    assert check().out.count("copy it") == 1
    assert "s: pure (a and 2 more): copy it" in check().out


def test_an_unknown_package_is_a_usage_error(cli):
    """It suggests what is installed."""
    result = cli("check", "gradient")
    assert result.code == 2
    assert "did you mean gradients?" in result.err or "gradients" in result.err
