"""`doctor`: what is printed of its checks, and the exit code."""

from __future__ import annotations

import json

import pytest

from kexue_bench.selfcheck import examination
from kexue_bench.selfcheck.diagnosis import Check

CHECKS = (
    Check(name="empty call", found="1 ns", values={"seconds": 1e-9}),
    Check(name="clock step", found="40 ns", values={"seconds": 4e-8}, expected="< 2 us", ok=True, advice="coarse"),
    Check(
        name="work done twice", found="1.5", values={"ratio": 1.5}, expected="2.00", ok=False, advice="do not trust it"
    ),
)


@pytest.fixture
def doctor(cli, monkeypatch):
    """`doctor` on a machine with these checks; what it was asked."""

    def run(checks, *arguments):
        asked = {}
        monkeypatch.setattr(examination, "checks", lambda **options: asked.update(options) or iter(checks))
        return cli("doctor", *arguments), asked

    return run


@pytest.mark.parametrize(("checks", "code"), [(CHECKS[:2], 0), (CHECKS, 1)])
def test_a_failed_check_is_exit_code_1(doctor, tmp_path, checks, code):
    """In the table as in JSON; nothing is stored."""
    assert doctor(checks)[0].code == code
    result, _ = doctor(checks, "--format", "json")
    document = json.loads(result.out)
    assert (result.code, document["ok"]) == (code, code == 0)
    assert [row["name"] for row in document["rows"]] == [check.name for check in checks]
    assert document["rows"][0]["values"] == {"seconds": 1e-9}
    assert list(tmp_path.iterdir()) == []


def test_advice_is_given_where_a_check_failed_only(doctor):
    """Below the table; where none failed, that is said."""
    text = doctor(CHECKS)[0].out
    assert "! work done twice: do not trust it" in text
    assert "coarse" not in text
    assert "!" not in doctor(CHECKS[:2])[0].out


def test_options_reach_the_examination(doctor):
    """As numbers."""
    _, asked = doctor(CHECKS, "--precision", "2%", "--processes", "3", "--seed", "5")
    assert asked == {"precision": 0.02, "processes": 3, "seed": 5}
