"""The user's own model: trained as torch would, started alike for every method, and refused if it cannot be used."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import kexue_bench
from kexue_bench.api import Case, Instance
from kexue_bench.errors import UsageError
from kexue_bench.lab.context import Context
from kexue_orthogonality import Soft
from kexue_orthogonality.methods.controls import Nothing
from kexue_orthogonality.tasks.own import OwnModule

MODELS = """
import torch
from torch import nn

X = torch.linspace(-1, 1, 64).reshape(16, 4)
Y = X.sum(1, keepdim=True)

def make():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    def loss(model, step):
        part = slice(8 * (step % 2), 8 * (step % 2) + 8)
        return (model(X[part]) - Y[part]).square().mean()
    return model, loss, lambda model: (model(X) - Y).square().mean()

def pair():
    return make()[:2]

def alone():
    return make()[0]

def rows():
    model, _, _ = make()
    return model, lambda model, step: (model(X) - Y).square()

def detached():
    model, _, _ = make()
    return model, lambda model, step: torch.zeros(())

def infinite():
    model, loss, _ = make()
    return model, lambda model, step: loss(model, step) / 0

def bare():
    return nn.Sequential(nn.LayerNorm(4)), lambda model, step: model(X).square().mean()

def half():
    return nn.Linear(4, 4).half(), lambda model, step: model(X.half()).square().mean()

def huge():
    return nn.Linear(10_000, 10_000, device="meta"), lambda model, step: None

def mistaken():
    model, _, _ = make()
    return model, lambda model, step: model(X[:, :3]).mean()
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Functions that return models."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.py").write_text(MODELS)
    return str(tmp_path / "m.py")


def context(replicate=0):
    return Context(
        Case(
            family="orthogonality",
            task=Instance(name="own-module", target="m:T"),
            task_version=1,
            method=Instance(name="m", target="m:M"),
            stage="evaluate",
            replicates=(replicate,),
        )
    )


def trained(file, method, replicate=0, steps=5):
    task, ctx = OwnModule(path=f"{file}:make", steps=steps, lr=0.01), context(replicate)
    with torch.no_grad():
        training = task.build(method, ctx)
        start = [p.detach().clone() for p in training.model.parameters()]
        found = ctx.train(training, steps=steps, measure=task.measure(training, ctx))
    return start, training.model, found.final


def test_without_a_method_it_is_adam_of_torch(file):
    """The same weights after five steps of torch's own loop from the same start, and the loss on all rows."""
    start, model, final = trained(file, Nothing())
    other = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    with torch.no_grad():
        for p, value in zip(other.parameters(), start, strict=True):
            p.copy_(value)
    x = torch.linspace(-1, 1, 64).reshape(16, 4)
    y = x.sum(1, keepdim=True)
    optimizer = torch.optim.Adam(other.parameters(), lr=0.01)
    for step in range(5):
        part = slice(8 * (step % 2), 8 * (step % 2) + 8)
        optimizer.zero_grad()
        (other(x[part]) - y[part]).square().mean().backward()
        optimizer.step()
    other.requires_grad_(False)
    for p, expected in zip(model.parameters(), other.parameters(), strict=True):
        assert p.detach().numpy() == pytest.approx(expected.numpy(), abs=1e-6)
    assert float(final["held-loss"]) == pytest.approx(float((other(x) - y).square().mean()), rel=1e-5)
    # The first weight decides: the second has one row of length |w|.
    singular = [torch.linalg.svdvals(other[i].weight.detach().double()) for i in (0, 2)]
    expected = max(float((s.square() - 1).square().sum().sqrt()) for s in singular)
    assert float(final["orthogonality-error"]) == pytest.approx(expected, rel=1e-5)


def test_methods_start_alike_and_replicates_do_not(file):
    """The global generators of the process are left as they are."""
    state = torch.get_rng_state()
    (first, *_), (second, *_), (other, *_) = (
        trained(file, method, replicate)[0] for method, replicate in ((Nothing(), 0), (Soft(), 0), (Nothing(), 1))
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_penalty_makes_weights_more_orthogonal(file):
    """After a hundred steps with a large weight the error is smaller than without."""
    plain, held = (trained(file, method, steps=100)[2] for method in (Nothing(), Soft(weight=1.0)))
    assert float(held["orthogonality-error"]) < 0.5 * float(plain["orthogonality-error"])


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("own-module", "needs the parameter 'path'"),
        ("own-module[path=m.py:alone]", "must return (model, loss) or (model, loss, held), got (Sequential)"),
        ("own-module[path=m.py:rows]", "must return one number, got [16, 1]"),
        ("own-module[path=m.py:detached]", "must have a graph"),
        ("own-module[path=m.py:infinite]", "losses must be finite at the start"),
        ("own-module[path=m.py:bare]", "m.py:bare: the model has no linear"),
        ("own-module[path=m.py:half]", "in float32 or in float64"),
        ("own-module[path=m.py:huge]", "at most 50,000,000 parameters"),
        ("own-module[path=m.py:make,exclude=3]", "exclude must name modules"),
        ("own-module[path=m.py:make,steps=0]", "steps must be >= 1"),
        ("own-module[path=m.py:maker]", "did you mean make"),
        ("own-module[path=gone.py:make]", "must name a file that exists"),
    ],
)
def test_a_bad_request_is_an_error_of_usage(file, tmp_path, task, words):
    """Nothing runs and nothing is stored."""
    with pytest.raises(UsageError) as caught:
        kexue_bench.compare("orthogonality", tasks=task, quiet=True)
    assert words in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "results").exists()


def test_the_question_is_answered_from_the_command_line_and_from_python(file, capsys):
    """A model without held-out data too; a loss that raises is a row with its reason."""
    from kexue_bench.cli.main import main

    words = ["-m", "none,soft", "--stage", "evaluate", "-r", "2"]
    assert main(["compare", "orthogonality", "-t", "own-module[path=m.py:make,steps=20,exclude=2]", *words]) == 0
    assert "own-module[path=m.py:make,steps=20,exclude=2]" in capsys.readouterr().out
    found = kexue_bench.compare(
        "orthogonality",
        "soft",
        "own-module[path=m.py:pair,steps=5]",
        stages="evaluate",
        replicates=1,
        output=None,
        quiet=True,
    )
    assert {"none", "soft"} == {row.label for row in found.tables[0].rows}
    assert found.statuses == {"ok": 2}
    found = kexue_bench.compare(
        "orthogonality",
        "soft",
        "own-module[path=m.py:mistaken,steps=5]",
        stages="evaluate",
        replicates=1,
        output=None,
        quiet=True,
    )
    assert found.statuses == {"failed": 2}
