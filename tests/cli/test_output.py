"""How results are read and written is checked before a run, and may be meant for one family."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--format", "jsn"), "did you mean"),
        (("--columns", "varance"), "did you mean"),
        (("--margin", "5"), "margin must lie between 0 and 1"),
        (("--alpha", "0"), "alpha must lie between 0 and 1"),
    ],
)
def test_reading_options_are_checked_before_the_run(cli, tmp_path, arguments, says):
    """A typing error in an output option does not cost a run."""
    result = cli("compare", *arguments)
    assert result.code == 2
    assert says in result.err
    assert list(tmp_path.iterdir()) == []


def test_columns_may_name_the_family_they_are_meant_for(cli, odd):
    """Other families keep their own columns; an unknown one is refused with what was meant."""
    cli("run", "gradients", "-t", "bernoulli-toy", "-m", "rloo", "--stage", "evaluate", "--isolation", "none")
    usual = cli("report").out
    assert cli("report", "--columns", "logdet/error", "--sort", "logdet/error").out == usual
    assert cli("report", "--columns", "gradients/bias").out == cli("report", "--columns", "bias").out != usual
    wrong = cli("report", "--columns", "near/wondr", "-p", odd)
    assert wrong.code == 2
    assert "did you mean wonder" in wrong.err
