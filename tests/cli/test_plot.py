"""`plot` end to end: from a stored run to a file, or the reason why there is nothing to draw."""

from __future__ import annotations

from pages import words

from kexue_bench.cli.main import main


def test_the_command_draws_a_stored_run(tmp_path, monkeypatch, capsys):
    """From a run to a file; a kind that the run has nothing for is refused with the reason."""
    monkeypatch.chdir(tmp_path)
    run = ["run", "gradients", "-t", "bernoulli-toy[power=3]", "-m", "rloo,straight-through", "--budget", "4096"]
    assert main([*run, "--stage", "evaluate", "--isolation", "none", "-j", "1"]) == 0
    for kind in ("bias-variance", "mse-budget"):
        assert main(["plot", "latest", "--kind", kind, "--to", f"{kind}.svg"]) == 0
        assert {"rloo", "straight-through", "gradients / bernoulli-toy[power=3]"} <= set(
            words(tmp_path / f"{kind}.svg")
        )
    assert main(["plot", "--kind", "mse-budget", "--to", "one.svg", "-m", "rloo"]) == 0
    assert "straight-through" not in words(tmp_path / "one.svg")
    assert main(["plot", "--kind", "path", "--to", "path.svg"]) == 2
    assert "nothing to draw" in capsys.readouterr().err
    assert main(["plot", "--kind", "curve", "--to", "curve.svg"]) == 2
    assert "several points" in capsys.readouterr().err


def test_the_command_draws_a_training_over_its_cost(tmp_path, monkeypatch, capsys):
    """The same curve over steps and over operations; a cost that nobody counted is refused with what there is."""
    monkeypatch.chdir(tmp_path)
    run = ["run", "orthogonality", "-t", "digits-mlp[steps=2,width=8]", "-m", "none,soft", "-r", "2"]
    assert main([*run, "--stage", "evaluate", "--isolation", "none", "-j", "1"]) == 0
    for over, axis in (("", "steps"), ("flops", "flops")):
        assert main(["plot", "--kind", "curve", "--over", over, "--to", "digits.svg"]) == 0
        assert {"none", "soft", axis, "test-nll (nats)"} <= set(words(tmp_path / "digits.svg"))
    assert main(["plot", "--kind", "curve", "--over", "time", "--to", "digits.svg"]) == 2
    assert "with a time a step" in capsys.readouterr().err
    assert main(["plot", "--kind", "curve", "--over", "joules", "--to", "digits.svg"]) == 2
    assert "got 'joules'" in capsys.readouterr().err


def test_the_command_draws_a_sweep(tmp_path, monkeypatch):
    """Errors over products, with the law beside them and the axis named by the task."""
    monkeypatch.chdir(tmp_path)
    task = "budget-sweep[name=bigstep,n=40,first=8,last=16,trials=20]"
    run = ["run", "logdet", "-t", task, "-m", "xtrace,hutchinson", "--stage", "evaluate", "--isolation", "none"]
    assert main([*run, "-j", "1"]) == 0
    assert main(["plot", "--kind", "curve", "--to", "sweep.svg"]) == 0
    found = words(tmp_path / "sweep.svg")
    assert {"xtrace", "hutchinson", "products", "relative-error"} <= set(found)
    assert any("dashed: Hutchinson, closed form" in text for text in found)
