"""The user's own rows: operators meet the hard function of them, and what cannot be used is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import kexue_bench
from kexue_bench.errors import UsageError
from kexue_bench.lab.noise import Noise
from kexue_smoothing.tasks.matching import Bench
from kexue_smoothing.tasks.own import MOST, OwnRows, read_rows


def values():
    return np.random.default_rng(0).normal(size=(200, 8)) * 3


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Rows in all formats."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", values())
    torch.save(torch.from_numpy(values()), "x.pt")
    pd.DataFrame(values()).to_csv("x.csv", index=False)
    return tmp_path


@pytest.mark.parametrize("name", ["x.npy", "x.pt", "x.csv"])
def test_every_format_holds_the_same_rows(files, name):
    """To the last bit."""
    assert torch.equal(read_rows(str(files / name)), torch.from_numpy(values()))


def test_rows_are_drawn_with_replacement(files):
    """Each drawn row is one of the file, and all of them are drawn sooner or later."""
    task = OwnRows(path=str(files / "x.npy"), function="max", k=1, level=0.05)
    drawn = task.rows(Noise.seeded(0, dtype=torch.float64), 4000)
    known = {tuple(row) for row in values().tolist()}
    assert {tuple(row) for row in drawn.tolist()} == known


@pytest.mark.parametrize(
    ("function", "level", "unit"), [("max", 0.05, "std"), ("one-hot", 0.4, ""), ("sort", 0.1, "std")]
)
def test_the_level_is_the_mean_error_of_the_operator(files, function, level, unit):
    """By the definition of the error in numpy, on other rows of the same file, within 10 %."""
    from kexue_smoothing.methods.softmax import Softmax

    task = OwnRows(path=str(files / "x.npy"), function=function, k=1, level=level)
    operator = Softmax().of(function) if hasattr(Softmax(), "of") else Softmax()
    bench = Bench(operator, task.setting, Noise.seeded(3, dtype=torch.float64))
    x = torch.from_numpy(values())
    soft = operator.apply(x, softness=bench.softness)
    if function == "max":
        error = np.abs(soft.numpy() - values().max(1))
    elif function == "one-hot":
        error = np.abs(soft.numpy() - np.eye(8)[values().argmax(1)]).sum(1)
    else:
        error = np.abs(soft.numpy() - np.sort(values(), 1)).mean(1)
    scale = values().std(1).mean() if unit else 1.0
    assert error.mean() == pytest.approx(level * scale, rel=0.1)


BAD = {
    "empty.npy": (lambda path: Path(path).touch(), "cannot be read as .npy"),
    "pickle.npy": (lambda path: Path(path).write_bytes(pickle.dumps(values())), "cannot be read as .npy"),
    "objects.npy": (lambda path: np.save(path, np.array([[{}]]), allow_pickle=True), "cannot be read as .npy"),
    "dict.pt": (lambda path: torch.save({"x": torch.ones(2, 2)}, path), r"must hold rows .* got the shape \[\]"),
    "empty.csv": (lambda path: Path(path).touch(), "cannot be read as .csv"),
    "x.txt": (lambda path: Path(path).touch(), "must be in a file .npy, .pt, .csv, got 'x.txt'"),
    "vector.npy": (lambda path: np.save(path, np.ones(5)), r"got the shape \[5\]"),
    "narrow.npy": (lambda path: np.save(path, np.ones((5, 1))), r"got the shape \[5, 1\]"),
    "wide.npy": (lambda path: np.save(path, np.ones((1, 5000))), r"got the shape \[1, 5000\]"),
    "none.npy": (lambda path: np.save(path, np.ones((0, 5))), r"got the shape \[0, 5\]"),
    "huge.pt": (lambda path: torch.save(torch.zeros(1).expand(MOST, 2), path), "at most 10,000,000 numbers"),
    "text.csv": (lambda path: Path(path).write_text("a,b\nx,y\n"), "must hold numbers"),
    "nan.csv": (lambda path: Path(path).write_text("a,b\n1,\n"), "finite numbers, got 1"),
    "flat.npy": (lambda path: np.save(path, np.ones((5, 3))), "entries differ"),
    "complex.npy": (lambda path: np.save(path, 1j * np.ones((5, 3))), "must hold numbers, got complex128"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_refused_by_their_name(files, name):
    """What, got and do, without the folder."""
    write, words = BAD[name]
    write(str(files / name))
    with pytest.raises(ValueError, match=words) as caught:
        read_rows(str(files / name))
    assert name in str(caught.value)
    assert str(files) not in str(caught.value)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("own-rows-max", "needs the parameter 'path'"),
        ("own-rows-top-k[path=x.npy,k=8]", "k must be between 1 and the entries of a row of x.npy minus 1, 7, got 8"),
        ("own-rows-max[path=x.npy,level=0]", "level must be > 0"),
        ("own-rows-sort[path=gone.npy]", "must name a file that exists"),
    ],
)
def test_a_bad_request_is_an_error_of_usage(files, task, words):
    """Nothing runs and nothing is stored."""
    with pytest.raises(UsageError) as caught:
        kexue_bench.compare("smoothing", tasks=task, quiet=True)
    assert words in str(caught.value)
    assert not (files / "results").exists()


def test_the_question_is_answered_from_the_command_line_and_from_python(files, capsys):
    """The operators have the same error, and their gradients are compared."""
    from kexue_bench.cli.main import main

    words = ["-m", "softmax", "--stage", "evaluate", "--budget", "512"]
    assert main(["compare", "smoothing", "-t", "own-rows-one-hot[path=x.csv]", *words]) == 0
    assert "own-rows-one-hot[path=x.csv]" in capsys.readouterr().out
    found = kexue_bench.compare(
        "smoothing", "softmax", "own-rows-rank[path=x.pt]", stages="evaluate", budget=512, output=None, quiet=True
    )
    (row,) = [row for row in found.tables[0].rows if row.label == "softmax"]
    assert row.cells["smooth-error"].value == pytest.approx(0.5, rel=0.2)
