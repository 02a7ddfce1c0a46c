"""The user's own objective: the truth of its gradient, a reference where there are too many states, and refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import kexue_bench
from kexue_bench.errors import NotOffered, UsageError
from kexue_bench.lab.noise import Noise
from kexue_gradients import Distribution, Gaussian, Rloo
from kexue_gradients.own import load, reference
from kexue_gradients.tasks.own import LARGEST, OwnObjective

FUNCTIONS = """
import torch

def linear(x):
    return x @ torch.arange(1.0, x.shape[1] + 1, dtype=x.dtype)

def pairs(x):
    return (x[:, 1:] * x[:, :-1]).sum(-1)

def choice(x):
    return (x @ torch.linspace(-1, 2, x.shape[2], dtype=x.dtype)).mean(-1) ** 2

def square(x):
    return (x - 0.5).square().sum(-1)

def one(x):
    return float(x.sum()) ** 2

def looked_up(x):
    table = torch.arange(2.0 ** x.shape[1])
    if ((x != 0) & (x != 1)).any():
        raise IndexError("no such state")
    return table[(x @ 2 ** torch.arange(x.shape[1], dtype=x.dtype)).long()].to(x.dtype)

def noisy(x):
    return x.sum(-1) + torch.rand(len(x))

def mixed(x):
    return x.sum(-1) - x.sum(-1).mean()

def whole(x):
    return x.sum()

def infinite(x):
    return x.sum(-1) / 0

def nothing(x):
    return None

def writes(x):
    return x.mul_(2).sum(-1)

def raises(x):
    raise RuntimeError("inside")
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Functions of samples."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.py").write_text(FUNCTIONS)
    return str(tmp_path / "f.py")


def bits(n):
    return Distribution(kind="bernoulli", logits=Noise.seeded(3, dtype=torch.float64).normal(n))


@pytest.mark.parametrize("repeat", range(3))
def test_a_reference_holds_the_closed_form_within_its_error(file, repeat):
    """E linear has the gradient d p_d (1 - p_d); E of a square of normals 2 (mu - 1/2) and 2 sigma."""
    law = Distribution(kind="bernoulli", logits=Noise.seeded(10 + repeat, dtype=torch.float64).normal(40))
    mean, error = reference(replace(load(f"{file}:linear", law, one=False), smooth=False), law, evaluations=2**15)
    p = law.logits.sigmoid()
    gap = float((mean - torch.arange(1, 41) * p * (1 - p)).norm())
    # The length is that of the worst covariance: three times the expected error is far too much for 40 entries.
    assert 0.2 * error < gap < error
    mu = Noise.seeded(20 + repeat, dtype=torch.float64).normal(5)
    law = Gaussian(mu=mu, sigma=torch.ones_like(mu))
    own = load(f"{file}:square", law, one=False)
    for smooth in (True, False):
        mean, error = reference(replace(own, smooth=smooth), law, evaluations=2**15)
        gap = float((mean - torch.stack([2 * (mu - 0.5), torch.full_like(mu, 2.0)], -1)).norm())
        assert gap < error


def test_a_reference_in_blocks_is_the_mean_of_all_estimates(file):
    """The error is that of numpy's covariance over the same estimates, whatever the block; RLOO suits what has no
    gradient.
    """
    law = bits(2000)
    own = replace(load(f"{file}:linear", law, one=False), smooth=False)
    mean, error = reference(own, law, evaluations=8192)
    block = 2**20 // 2000 // 8
    sizes = [min(block, 1024 - start) for start in range(0, 1024, block)]
    noise = Noise.seeded(2, dtype=torch.float64)
    parts = [Rloo(n=8).estimate(law, own.objective(), noise.at(i), size) for i, size in enumerate(sizes)]
    found = torch.cat([part.gradient for part in parts]).numpy()
    assert mean.numpy() == pytest.approx(found.mean(0), rel=1e-9, abs=1e-9)
    assert error == pytest.approx(1.959963984540054 * math.sqrt(found.var(0, ddof=1).sum() / 1024), rel=1e-9)


def test_a_smooth_f_gets_the_estimates_of_less_variance(file):
    """MuProp is exact for a linear f; a reference from it is the closed form."""
    law = bits(40)
    mean, error = reference(load(f"{file}:linear", law, one=False), law, evaluations=2048)
    p = law.logits.sigmoid()
    assert mean.numpy() == pytest.approx((torch.arange(1, 41) * p * (1 - p)).numpy(), rel=1e-9)
    assert error < 1e-9


def test_few_states_are_summed_over(file):
    """14 bits are, 15 are not; the truth of a product of neighbours is a closed form."""
    task = OwnObjective(path=f"{file}:pairs", law="bernoulli", variables=14, classes=2)
    assert task.enumerable
    assert LARGEST == 2**14
    assert not OwnObjective(path=f"{file}:pairs", law="bernoulli", variables=15, classes=2).enumerable
    assert OwnObjective(path=f"{file}:choice", law="categorical", variables=4, classes=11).enumerable
    assert not OwnObjective(path=f"{file}:choice", law="categorical", variables=5, classes=11).enumerable
    assert not OwnObjective(path=f"{file}:square", law="gaussian", variables=1, classes=2).enumerable


def test_what_f_lacks_is_found_by_calling_it(file):
    """A table that is looked up has no values between its states; a number of Python has no gradient."""
    law = bits(3)
    smooth = load(f"{file}:pairs", law, one=False)
    assert (smooth.relaxed, smooth.smooth) == (True, True)
    looked = load(f"{file}:looked_up", law, one=False)
    assert (looked.relaxed, looked.smooth) == (False, False)
    alone = load(f"{file}:one", law, one=True)
    assert (alone.relaxed, alone.smooth) == (True, False)
    assert alone.f(torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])).tolist() == [4.0, 9.0]
    with pytest.raises(NotOffered, match=r"f\.py:looked_up is not defined between its states"):
        looked.objective().value(torch.full((2, 3), 0.5))
    with pytest.raises(NotOffered, match=r"f\.py:one has no gradient"):
        alone.objective().value_and_gradient(torch.ones(2, 3))
    with pytest.raises(NotOffered, match="too many states"):
        smooth.objective().enumerate()


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("noisy", ValueError, "must return the same number for the same x"),
        ("mixed", ValueError, "must treat each sample alone"),
        ("whole", ValueError, r"must return \[4\], one number a sample, .* got \[\]; write one=true"),
        ("infinite", ValueError, "must return finite numbers"),
        ("nothing", TypeError, r"must return a tensor \[S\], got NoneType"),
        ("writes", ValueError, "must not write to its argument"),
    ],
)
def test_an_f_that_cannot_be_measured_is_refused(file, name, error, words):
    """By its name, without the folder."""
    with pytest.raises(error, match=words) as caught:
        load(f"{file}:{name}", bits(5), one=False)
    assert str(caught.value).startswith(f"f.py:{name} ")


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("own-bits[path=f.py:linear]", "needs the parameter 'variables'"),
        ("own-bits[path=f.py:linear,variables=0]", "variables must be >= 1"),
        ("own-classes[path=f.py:choice,variables=1,classes=1]", "classes >= 2"),
        ("own-bits[path=f.py:linear,variables=3,scale=inf]", "finite"),
        ("own-bits[path=f.py:linear,variables=3,reference=9]", "reference must be >= 1024"),
        ("own-bits[path=f.py:whole,variables=3]", "one number a sample"),
        ("own-bits[path=f.py,variables=3]", "write file.py:function"),
        ("own-bits[path=gone.py:f,variables=3]", "must name a file that exists"),
        ("own-normals[path=f.py:lineal,variables=3]", "did you mean linear"),
    ],
)
def test_a_bad_request_is_an_error_of_usage(file, tmp_path, task, words):
    """Nothing runs and nothing is stored."""
    with pytest.raises(UsageError) as caught:
        kexue_bench.compare("gradients", tasks=task, quiet=True)
    assert words in str(caught.value)
    assert not (tmp_path / "results").exists()


def test_the_question_is_answered_from_the_command_line_and_from_python(file, capsys):
    """Enumerated and by a reference: an unbiased method shows no bias, one that f does not suit says why."""
    from kexue_bench.cli.main import main

    words = ["-m", "rloo,exact", "--stage", "evaluate", "--budget", "2048"]
    assert main(["compare", "gradients", "-t", "own-bits[path=f.py:looked_up,variables=4]", *words]) == 0
    assert "own-bits[path=f.py:looked_up,variables=4]" in capsys.readouterr().out
    found = kexue_bench.compare(
        "gradients",
        ["rloo", "exact", "straight-through"],
        [
            "own-classes[path=f.py:choice,variables=30,classes=3,reference=16384]",
            "own-bits[path=f.py:one,variables=4,one=true]",
        ],
        stages="evaluate",
        budget=4096,
        output=None,
        quiet=True,
    )
    many, alone = found.tables
    rows = {row.label: row for row in many.rows}
    assert "too many states" in rows["exact"].reason
    assert "reference" in rows["rloo"].cells["bias"].flags
    assert rows["rloo"].cells["bias"].low == 0
    assert np.isfinite(rows["straight-through"].cells["bias"].value)
    rows = {row.label: row for row in alone.rows}
    assert "f.py:one has no gradient" in rows["straight-through"].reason
    assert rows["exact"].cells["bias"].value == pytest.approx(0, abs=1e-5)
