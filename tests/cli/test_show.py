"""`show`: everything about one method, task, family or metric, each thing once."""

import pytest

from kexue_bench.cli.show import split_example


@pytest.mark.parametrize(
    "name", ["rloo", "gradients/exact", "bernoulli-toy", "gradients", "work-variance", "tight-bound"]
)
def test_show_knows_every_kind_of_name(cli, name):
    """A method, a method of one family, a task, a family, a metric and a claim."""
    result = cli("show", name)
    assert result.code == 0
    assert name.rpartition("/")[2] in result.out


def test_show_says_everything_once(halves):
    """Summary, formula, parameters, fixed fields and references each appear once."""
    out = halves("show", "half")
    assert out.startswith(
        "method halves/half\n\nhalf of the largest\n\n`max f / 2`.\n\nRaises:\n    ValueError: never.\n\n"
        "parameters:\n  k: int = 7    how often it is halved.\n\nfixed: kind=max\nneeds a task that offers: bits\n"
        "runs only if: task.n > 1\nskipped if k > 9: slow\nreference: arXiv:1\n"
    )
    out = halves("show", "toy")
    assert "kind: record   version: 2   dtype: float32\noffers: bits\ntask.rows = n ** 2\n" in out


def test_args_are_shown_as_parameters_only(halves):
    """The `Args:` section is not part of the prose, so a fixed field, which cannot be set, is not described."""
    out = halves("show", "half")
    assert "Args:" not in out
    assert "what is halved" not in out
    assert out.count("how often") == 1
    assert "Raises:" in out


def test_the_sections_after_an_example_stay_prose():
    """Only the section itself is cut out; outputs become comments, continuation lines stay."""
    text = "Head.\n\nExamples:\n    >>> def f():\n    ...     return 1\n    >>> f()\n    1\n\nRaises:\n    No.\n"
    prose, snippet = split_example(text)
    assert prose.split() == ["Head.", "Raises:", "No."]
    assert snippet == "def f():\n    return 1\nf()\n# 1"
    assert split_example("Head.") == ("Head.", "")


def test_a_metric_is_listed_and_shown_for_each_family_that_has_it(cli, odd):
    """A bare name shows every owner, `family/name` one; the core's metrics stand beside those of a family."""
    both = cli("show", "wonder", "-p", odd).out
    assert "metric near/wonder: one" in both
    assert "metric far/wonder: another" in both
    assert "near/wonder" not in cli("show", "far/wonder", "-p", odd).out
    assert "metric time: " in cli("show", "far/time", "-p", odd).out
    rows = [line.split()[:2] for line in cli("list", "metrics", "far", "-p", odd).out.splitlines()]
    assert ["far", "wonder"] in rows
    assert ["near", "wonder"] not in rows
    assert ["(all)", "time"] in rows


def test_a_claim_is_shown_with_its_check_and_who_makes_it(cli):
    """The docstring of the check; of a claim for several objects, each check; a promise is made by every method."""
    out = cli("show", "smoothing/tight-bound").out
    assert out.startswith("claim smoothing/tight-bound: some input reaches the declared bound\n\nThe share of the")
    assert "softmax" in out
    both = cli("show", "repeatable").out
    assert both.count("made by: every method") == 3
    assert "a fresh training" in both


def test_a_family_is_shown_with_its_contract(cli):
    """The functions with their docstrings, so that a method can be written without a look at the package."""
    out = cli("show", "gradients").out
    assert "class GradientMethod(Protocol):" in out
    assert "independent estimates of the gradient" in out
