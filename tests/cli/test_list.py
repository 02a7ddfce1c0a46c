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


DECLARED = '''
from dataclasses import dataclass
from kexue_bench import FamilySpec, Unless, discover, hookimpl, method, task

@method("half", "half of the largest", needs="bits", when="task.n > 1", unless=(Unless(when="k > 9", because="slow"),),
        references=("arXiv:1",), fixed={"kind": "max"}, defaults={"k": 7})
@dataclass(frozen=True, kw_only=True)
class Half:
    """`max f / 2`.

    Args:
        kind: what is halved.
        k: how often
            it is halved.

    Raises:
        ValueError: never.
    """

    kind: str
    k: int = 1

@task("toy", "a toy", version=2, kind="record", offers="bits")
@dataclass(frozen=True, kw_only=True)
class Toy:
    n: int = 3

@hookimpl
def kexue_specs():
    family = FamilySpec(name="halves", title="T", summary="s", contract="a:B", precision_metric="mse", baseline="half",
                        headline=("mse",))
    return [family, *discover(__name__, family="halves")]
'''


def test_show_says_everything_once(cli, tmp_path):
    """Summary, formula, parameters, what is held fast and references; the docstring's Args are the parameters."""
    (tmp_path / "halves_declared.py").write_text(DECLARED)
    out = cli("show", "half", "-p", "halves_declared.py").out
    assert out.startswith(
        "method halves/half\n\nhalf of the largest\n\n`max f / 2`.\n\nRaises:\n    ValueError: never.\n\n"
        "parameters:\n  k: int = 7    how often it is halved.\n\nfixed: kind=max\nneeds a task that offers: bits\n"
        "needs a task where: task.n > 1\nskipped where k > 9: slow\nreference: arXiv:1\n"
    )
    out = cli("show", "toy", "-p", "halves_declared.py").out
    assert "kind: record   version: 2   dtype: float32\noffers: bits\n" in out
    assert "1 families, 1 methods, 1 tasks" in " ".join(cli("plugins", "-p", "halves_declared.py").out.split())
    assert "k=7" in cli("list", "methods", "halves", "-p", "halves_declared.py").out
    assert "kind=" not in cli("list", "methods", "halves", "-p", "halves_declared.py").out
