"""The user's own matrix and operator: estimators meet the truth of the file, and what cannot be used is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import sparse

import kexue_bench
from kexue_bench.api import Case, Instance
from kexue_bench.errors import UsageError
from kexue_bench.lab import own, stages
from kexue_bench.lab.context import Context
from kexue_bench.store import cache
from kexue_logdet import SLQ, Exact, Hutchinson, OwnMatrix, OwnOperator, PowerSeries
from kexue_logdet.matrices import Matrix


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A kernel, dense and sparse, a Jacobian, and functions that return operators."""
    monkeypatch.chdir(tmp_path)
    np.save("K.npy", kernel())
    sparse.save_npz("A.npz", sparse.diags_array([-1.0, 3.0, -1.0], offsets=[-1, 0, 1], shape=(50, 50)).tocsc())
    np.save("J.npy", jacobian())
    (tmp_path / "ops.py").write_text(OPERATORS)
    return tmp_path


def kernel(n=40):
    x = np.random.default_rng(0).normal(size=(n, 3))
    return np.exp(-((x[:, None] - x[None]) ** 2).sum(-1) / 6) + 0.1 * np.eye(n)


def jacobian(n=20):
    return 0.5 * np.random.default_rng(1).normal(size=(n, n)) / n**0.5 / 2


OPERATORS = """
import torch
from kexue_logdet import Bounds, Operator

CHAIN = 3 * torch.eye(30, dtype=torch.float64) - torch.diag(torch.ones(29), 1) - torch.diag(torch.ones(29), -1)
HALF = 0.5 * torch.eye(6, dtype=torch.float64).roll(1, 1)

def chain():
    return Operator.of(CHAIN, "spd", bounds=Bounds(low=1.0, high=5.0, provenance="proven"))

def trained():
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    return Operator(kind="spd", n=3, product=lambda v: scale * v, params=(scale,))

def cycle():
    return Operator.of(HALF, "residual")

def single():
    return Operator.of(CHAIN.float(), "spd")

def nothing():
    return None

def batch():
    return Operator.of(CHAIN.expand(2, 30, 30), "spd")

def traced():
    return Operator.of(CHAIN, "spd", target="trace")

def large():
    return Operator(kind="spd", n=5000, product=lambda v: v)

def bent():
    return Operator(kind="spd", n=3, product=lambda v: v.abs() + v.square())

def slanted():
    return Operator.of(torch.triu(torch.ones(3, 3, dtype=torch.float64)), "spd")

def flat():
    return Operator(kind="spd", n=3, product=lambda v: v.sum(0))

def infinite():
    return Operator(kind="spd", n=3, product=lambda v: v / 0)

def indefinite():
    return Operator.of(-CHAIN, "spd")

def wrong():
    raise RuntimeError("inside")
"""


def rows(task, method, **options):
    ctx = Context(
        Case(
            family="logdet",
            task=Instance(name="t", target="m:T"),
            task_version=1,
            method=Instance(name="m", target="m:M"),
            stage="evaluate",
            dtype="float64",
            options={"precision": 0.05, "budget": 64, "work": "products"} | options,
        )
    )
    with torch.no_grad():
        stages.evaluate(task, method, ctx)
    return {row.metric: row for row in ctx.measurements}


@pytest.mark.parametrize(
    ("file", "matrix"),
    [("K.npy", kernel()), ("A.npz", 3 * np.eye(50) - np.eye(50, k=1) - np.eye(50, k=-1))],
    ids=["dense", "sparse"],
)
def test_estimates_of_every_target_meet_another_truth(files, file, matrix):
    """By the eigenvalues of numpy; `exact` factors what the file holds and pays no product."""
    values = np.linalg.eigvalsh(matrix)
    for target, expected in (("logdet", np.log(values)), ("trace", values), ("inverse", 1 / values)):
        task = OwnMatrix(path=str(files / file), kind="spd", target=target)
        assert task.truth() == pytest.approx(expected.sum(), rel=1e-10)
        exact = rows(task, Exact(), deterministic=True)
        assert exact["estimate"].value == pytest.approx(expected.sum(), rel=1e-10)
        assert exact.get("products") is None or exact["products"].value == 0
    drawn = rows(OwnMatrix(path=str(files / file), kind="spd"), SLQ(steps=20))
    assert drawn["estimate"].low < np.log(values).sum() < drawn["estimate"].high
    drawn = rows(OwnMatrix(path=str(files / file), kind="spd", target="trace"), Hutchinson(probes=4))
    assert drawn["estimate"].low < values.sum() < drawn["estimate"].high


def test_a_known_bound_makes_both(files):
    """The upper one is the largest row sum, which no eigenvalue exceeds; without it methods are told nothing."""
    op = OwnMatrix(path=str(files / "K.npy"), kind="spd", low=0.1).operator()
    values = np.linalg.eigvalsh(kernel())
    assert op.bounds.low == 0.1 < values[0]
    assert values[-1] < op.bounds.high == pytest.approx(kernel().sum(1).max())
    assert OwnMatrix(path=str(files / "K.npy"), kind="spd").operator().bounds.high is None


def test_a_residual_meets_another_truth(files):
    """By the complex eigenvalues of J; row and column sums bound its norm."""
    np.save("small.npy", 0.2 * jacobian())
    for file, scale in (("J.npy", 1.0), ("small.npy", 0.2)):
        task = OwnMatrix(path=str(files / file), kind="residual")
        expected = np.log(np.abs(1 + np.linalg.eigvals(scale * jacobian()))).sum()
        assert task.truth() == pytest.approx(expected, rel=1e-9)
        drawn = rows(task, PowerSeries(degree=40))
        assert drawn["estimate"].low < expected < drawn["estimate"].high
    norm = task.operator().bounds.norm
    assert np.linalg.norm(0.2 * jacobian(), 2) <= norm < 1


def test_an_operator_is_what_its_function_returns(files):
    """Closed forms: a tridiagonal determinant by its recurrence, log(1 - 2^-6) of half a cycle, 3 log 2 of a scale."""
    before, value = 1.0, 3.0
    for _ in range(29):
        before, value = value, 3 * value - before
    for name, kind, expected in (
        ("chain", "spd", math.log(value)),
        ("cycle", "residual", math.log1p(-(0.5**6))),
        ("trained", "spd", 3 * math.log(2)),
    ):
        task = OwnOperator(path=f"{files}/ops.py:{name}", kind=kind)
        assert task.truth() == pytest.approx(expected, rel=1e-12)
    drawn = rows(OwnOperator(path=f"{files}/ops.py:chain", kind="spd", bounds="known"), PowerSeries(degree=60))
    assert drawn["products"].value == 180
    exact = rows(OwnOperator(path=f"{files}/ops.py:chain", kind="spd"), Exact(), deterministic=True)
    assert exact["products"].value == 30


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("nothing", "spd", "ops.py:nothing must return a kexue_logdet.Operator, got NoneType"),
        ("cycle", "spd", "must return a spd operator, got residual; use own-residual-operator"),
        ("chain", "residual", "must return a residual operator, got spd; use own-operator"),
        ("batch", "spd", r"one operator, got a batch \[2\]"),
        ("traced", "spd", "target is 'logdet', got 'trace'"),
        ("large", "spd", "at most 4096 rows, got 5000"),
        ("bent", "spd", "linear in the block"),
        ("slanted", "spd", "must be symmetric"),
        ("flat", "spd", "shape and dtype of its block"),
        ("infinite", "spd", "products must be finite"),
        ("indefinite", "spd", "must be positive definite"),
    ],
)
def test_a_function_that_returns_something_else_is_refused(files, name, kind, words):
    """Before a case runs, by its name without the folder."""
    with pytest.raises((ValueError, TypeError), match=words):
        OwnOperator(path=f"{files}/ops.py:{name}", kind=kind)


def test_an_operator_in_another_dtype_or_without_bounds_is_refused(files):
    """The run's dtype is said; so is what bounds=known needs."""
    with pytest.raises(ValueError, match=r"in torch\.float64, got torch\.float32"):
        rows(OwnOperator(path=f"{files}/ops.py:single", kind="spd"), SLQ())
    with pytest.raises(ValueError, match="without bounds; set them"):
        OwnOperator(path=f"{files}/ops.py:trained", kind="spd", bounds="known")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"target": "log"}, "target must be one of"),
        ({"low": -1.0}, "low must be a finite bound"),
        ({"low": 1e9}, "low must be a lower bound of the eigenvalues"),
        ({"budget": -1}, "budget must be >= 0"),
    ],
)
def test_parameters_are_checked(files, arguments, words):
    """As in every other task."""
    with pytest.raises(ValueError, match=words):
        OwnMatrix(path=str(files / "K.npy"), kind="spd", **arguments)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("own-matrix", "needs the parameter 'path'"),
        ("own-matrix[path=K.npz]", "must name a file that exists"),
        ("own-matrix[path=J.npy]", "J.npy must be symmetric"),
        ("own-matrix[path=ops.py]", "must be in a file .npy"),
        ("own-matrix[path=flat.npy]", "flat.npy must be positive definite"),
        ("own-residual[path=K.npy]", "||J||_2 must be < 1"),
        ("own-operator[path=ops.py:nothing]", "must return a kexue_logdet.Operator"),
        ("own-operator[path=ops.py:chian]", "did you mean chain"),
    ],
)
def test_a_bad_file_is_an_error_of_usage(files, task, words):
    """From Python as from the command line, which prints the same error: nothing runs and nothing is stored."""
    np.save("flat.npy", np.ones((4, 4)))
    with pytest.raises(UsageError) as caught:
        kexue_bench.compare("logdet", tasks=task, quiet=True)
    assert words in str(caught.value)
    assert str(files) not in str(caught.value)
    assert not (files / "results").exists()


def test_the_question_is_answered_from_the_command_line_and_from_python(files, capsys):
    """The same numbers under the file's name; code that raises is a row with its traceback."""
    from kexue_bench.cli.main import main

    words = ["-m", "slq", "-m", "exact", "--stage", "evaluate", "--budget", "64"]
    assert main(["compare", "logdet", "-t", "own-matrix[path=K.npy]", *words]) == 0
    assert "own-matrix[path=K.npy]" in capsys.readouterr().out
    found = kexue_bench.compare(
        "logdet",
        ["slq", "exact"],
        "own-operator[path=ops.py:wrong]",
        stages="evaluate",
        budget=64,
        output=None,
        quiet=True,
    )
    assert found.statuses == {"failed": 2}
    assert "RuntimeError: inside" in found.failures[0]["reason"]


def test_another_process_does_not_factor_the_matrix_again(files, monkeypatch):
    """A new read of the same file takes the value that was kept on disk; after a change it is factored again."""
    monkeypatch.setattr(cache, "_SETTLED", -1)
    place = f"{files}/K.npy"
    value = OwnMatrix(path=place, kind="spd").truth()
    assert value == pytest.approx(np.linalg.slogdet(kernel())[1], rel=1e-12)
    factored = []
    monkeypatch.setattr(Matrix, "value", lambda self, kind, target: factored.append(target) or 7.0)
    own._READ.clear()
    assert OwnMatrix(path=place, kind="spd").truth() == value
    assert factored == []
    np.save("K.npy", 2 * kernel())
    assert OwnMatrix(path=place, kind="spd").truth() == 7.0
