"""`recommend`: answers from stored runs, or runs what is missing."""

from __future__ import annotations

from types import SimpleNamespace

import installed
import pytest
from toys import FAST, HERE

from kexue_bench.cli.recommend import _chosen
from kexue_bench.cli.show import snippet_of

TASK = ("-t", "bernoulli-toy")
RUN = ("run", "gradients", *TASK, "--stage", "evaluate", *FAST, *HERE, "-m", "rloo", "-m", "disarm", "-m", "reinmax")


def test_a_stored_run_is_answered_from(cli, tmp_path):
    """The answer names the run and prints the code of the first choice; nothing is run."""
    cli(*RUN)
    result = cli("recommend", "gradients", *TASK, "--need", "unbiased", "--budget", "8 evaluations")
    assert result.code == 0
    assert result.out.startswith("gradients: unbiased, at most 8 evaluations; measured on bernoulli-toy")
    assert "from run 0001: kexue-bench report 0001 gradients --full" in result.out
    assert "use it:\n  from kexue_gradients import " in result.out
    assert len(list((tmp_path / "results").iterdir())) == 1


@pytest.mark.parametrize(("params", "text"), [({"n": 5}, "Rloo(n=5)"), ({"n": 2}, "Rloo()")])
def test_parameters_of_the_choice_are_in_its_code(params, text):
    """Those that differ from their defaults."""
    (spec,) = [spec for spec in installed.methods("gradients") if spec.name == "rloo"]
    assert f"method, noise = {text}, " in "\n".join(
        snippet_of(spec, installed.registry().families["gradients"], params)
    )


def test_the_code_is_that_of_the_family():
    """Two families of one run may have methods of one name."""
    registry = installed.registry()
    cases = [
        SimpleNamespace(family=family, method=SimpleNamespace(label="exact", name="exact", params={}))
        for family in ("gradients", "samplers")
    ]
    run = SimpleNamespace(plan=SimpleNamespace(cases=cases))
    assert _chosen(run, registry, "samplers", "exact")[0].target.startswith("kexue_energy")


def test_what_is_missing_is_run_first(cli, tmp_path):
    """Without a stored run the task is run, after saying so; a second question reads it."""
    first = cli("recommend", "smoothing", "-t", "relu")
    assert first.code == 0
    assert "no stored run answers this: running relu first" in first.err
    assert "time: unknown, no stored run has these tasks" in first.err
    second = cli("recommend", "smoothing", "-t", "relu")
    assert "no stored run" not in second.err
    assert second.out == first.out
    assert len(list((tmp_path / "results").iterdir())) == 1


def test_typing_errors_are_refused_before_anything_runs(cli, tmp_path):
    """A family, a claim or a budget that does not exist."""
    assert cli("recommend", "gradient").code == 2
    assert "did you mean unbiased" in cli("recommend", "gradients", "--need", "unbised").err
    assert "positive number with a unit" in cli("recommend", "gradients", "--budget", "5 parsecs").err
    assert list(tmp_path.iterdir()) == []
