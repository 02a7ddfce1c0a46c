"""`list` and `show`: names can be copied, and everything that is registered is there."""

import pytest

from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry


@pytest.mark.parametrize("kind", ["methods", "tasks", "families", "metrics"])
def test_everything_registered_is_listed(cli, kind):
    """Every name stands whole on one line, also in a narrow pipe."""
    registry = Registry(load_plugins())
    table = getattr(registry, kind)
    names = [key if isinstance(key, str) else key[1] for key in table]
    words = set(cli("list", kind).out.split())
    assert set(names) <= words


def test_a_family_narrows_the_list(cli):
    """`list methods logdet` leaves the others out."""
    out = cli("list", "methods", "logdet").out
    assert "slq" in out
    assert "rloo" not in out


def test_runs_are_listed_with_what_they_hold(cli):
    """A stored run shows how much of its plan has an outcome, and when it was made."""
    assert "no run" in cli("list", "runs").out
    cli("run", "gradients", "-t", "bernoulli-toy", "-m", "rloo", "--stage", "evaluate", "--isolation", "none")
    out = cli("list", "runs").out
    assert "0001-" in out
    assert "2 of 2" in out
    assert "UTC" in out


@pytest.mark.parametrize("name", ["rloo", "gradients/exact", "bernoulli-toy", "gradients", "work-variance"])
def test_show_knows_every_kind_of_name(cli, name):
    """A method, a method of one family, a task, a family and a metric."""
    result = cli("show", name)
    assert result.code == 0
    assert name.rpartition("/")[2] in result.out
