"""The user's own points: they are read, fitted and scored in their units, and what cannot be used is refused."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from kexue_energy import Energy, ScoreMatching
from kexue_energy.energy.tasks.own import LEAST, OwnPoints, read_points


def values(d=2):
    return np.random.default_rng(0).normal(size=(400, d)) * 3 + 1


@pytest.fixture
def files(tmp_path):
    """Points in all formats."""
    np.save(tmp_path / "x.npy", values())
    torch.save(torch.from_numpy(values()), tmp_path / "x.pt")
    pd.DataFrame(values()).to_csv(tmp_path / "x.csv", index=False)
    return tmp_path


@pytest.mark.parametrize("name", ["x.npy", "x.pt", "x.csv"])
def test_every_format_holds_the_same_points(files, name):
    """To the last bit."""
    assert torch.equal(read_points(str(files / name)), torch.from_numpy(values()))


class _Normal(Energy):
    """The standard normal of scaled points."""

    def forward(self, x):
        return x.square().sum(-1) / 2


@pytest.mark.parametrize("d", [1, 2])
def test_the_likelihood_is_in_the_units_of_the_file(tmp_path, context, d):
    """A standard normal of the scaled points is N(mean, sd^2) of the file: mean |z|^2 / 2 + log sd + log(2 pi) / 2."""
    np.save(tmp_path / "x.npy", values(d))
    task = OwnPoints(path=str(tmp_path / "x.npy"), width=2, steps=1)
    ctx = context("own-points", replicates=(0, 1))
    training = task.build(ScoreMatching(), ctx)
    training.energy = _Normal(d)
    found = task.measure(training, ctx)()["nll"]
    held = task._split(ctx)[1]
    level = math.log(2 * math.pi) / 2 * d + np.log(values(d).std(0)).sum()
    assert torch.allclose(found, held.square().sum(-1).mean(1) / 2 + level, rtol=1e-6)


def test_held_out_points_are_not_trained_on(files, context):
    """A fifth of the points, another one in every replicate, and no batch contains them."""
    task, ctx = OwnPoints(path=str(files / "x.npy")), context("own-points", replicates=(0, 1))
    train, held = task._split(ctx)
    assert (train.shape[1], held.shape[1]) == (320, 80)
    for r in range(2):
        known = {tuple(row) for row in task.points(ctx, ctx.again().noise("data", stack=0), 500)[r].tolist()}
        assert known <= {tuple(row) for row in train[r].tolist()}
        assert not known & {tuple(row) for row in held[r].tolist()}
    assert not torch.equal(held[0], held[1])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (values(3), r"must hold points \[N, 1\] or \[N, 2\]"),
        (values()[: LEAST - 1], "must have 100 to 1,000,000 points, got 99"),
        (np.full((200, 2), np.nan), "must hold finite numbers, got 400"),
        (np.ones((200, 2)), "coordinates that vary"),
        (np.concatenate([values(), [[900.0, 0.0]]]), "got 1 points outside"),
        (np.array([["a", "b"]] * 200), "must hold points"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path, array, message):
    """With the name of the file and what was found."""
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ValueError, match=rf"x\.npy.*{message}"):
        OwnPoints(path=str(tmp_path / "x.npy"))
