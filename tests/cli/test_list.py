"""`list`: names can be copied, and everything that is registered is there."""

import pytest

from kexue_bench.api import STATUSES
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry


@pytest.mark.parametrize("kind", ["methods", "tasks", "families", "metrics", "claims"])
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


def test_a_declared_method_is_listed_with_its_defaults(halves):
    """A changed default is shown, a fixed field is not; `plugins` counts what the module declares."""
    assert "k=7" in halves("list", "methods", "halves")
    assert "kind=" not in halves("list", "methods", "halves")
    assert "1 families, 1 methods, 1 tasks" in " ".join(halves("plugins").split())


def test_every_status_is_listed_with_its_meaning(cli):
    """The table that the code asks is the one that is printed; no plugin is needed for it."""
    lines = cli("list", "statuses").out.splitlines()
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == list(STATUSES)
    assert any("on request" in line and "time limit" in line for line in lines)
