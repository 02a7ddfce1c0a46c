"""The promises of trainings and subjects: an honest method keeps each, and one planted violation breaks it."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from kexue_bench.api import Case, Instance
from kexue_bench.catalog.core_claims import CORE_CLAIMS, decide
from kexue_bench.lab import promises, state
from kexue_bench.lab.context import Context
from kexue_bench.lab.stages import target, verify
from kexue_bench.lab.training import Training, adam

CASE = Case(
    family="f",
    task=Instance(name="t", target="m:T", kind="trained"),
    task_version=1,
    method=Instance(name="a", target="m:A"),
    stage="verify",
    of="training",
    replicates=(0, 1),
    dtype="float64",
)


class Regression:
    """Two weights of a line for each replicate; the method is called with errors, batch, state and noise."""

    steps = 1000

    def __init__(self, optimizer=adam):
        self.optimizer = optimizer
        self.data = torch.arange(48.0, dtype=torch.float64).reshape(16, 3).sin()

    def build(self, method, ctx):
        model = nn.Module()
        model.weight = nn.Parameter(ctx.noise("init", stack=0).normal(len(ctx.replicates), 2))

        def loss(batch, state, noise):
            error = model.weight @ batch["inputs"].mT - batch["targets"]
            return method.loss(error, batch, noise), method.learn(state, error)

        return Training(
            model=model,
            batches=lambda step: {"inputs": self.data[step::4, :2], "targets": self.data[step::4, 2]},
            loss=loss,
            make_optimizer=lambda parameters: self.optimizer(parameters, lr=0.1),
            noise=ctx.noise("noise", stack=0),
            joins=method.joins(),
            replicates=len(ctx.replicates),
        )


class Square:
    def loss(self, error, batch, noise):
        return (error + 1e-3 * noise.normal(len(error), 1)).square().mean(1)

    def learn(self, state, error):
        return error.detach().mean(1)

    def joins(self):
        return ()


class Counted(Square):
    """Equal losses, another state each time."""

    def __init__(self):
        self.calls = 0

    def learn(self, state, error):
        self.calls += 1
        return torch.tensor(float(self.calls))


def changed(loss):
    """A method whose loss is this function of the honest one, the error, the batch and the noise."""

    class Changed(Square):
        def loss(self, error, batch, noise):
            return loss(super().loss(error, batch, noise), error, batch, noise)

    return Changed()


def first(effect):
    """A method that does something and then is honest."""

    def loss(value, error, batch, noise):
        effect(batch)
        return value

    return changed(loss)


def check(name, method, task=None, case=CASE):
    ctx = Context(replace(case, claim=name, options={"check": f"kexue_bench.lab.promises:training_{name}"}))
    verify(task or Regression(), method, ctx)
    (evidence,) = ctx.measurements
    return evidence


TRAINING = ("repeatable", "own_stream", "pure", "finite", "stacked")
BROKEN = {
    "a state that counts": ("repeatable", Counted()),
    "torch": ("own_stream", changed(lambda value, *_: value + 1e-3 * torch.rand(1).double())),
    "python": ("own_stream", changed(lambda value, *_: value + 1e-3 * random.random())),
    "numpy": ("own_stream", changed(lambda value, *_: value + 1e-3 * np.random.random())),  # noqa: NPY002  # what is to be caught
    "seeds": ("own_stream", first(lambda batch: torch.manual_seed(0))),
    "writes inputs": ("pure", first(lambda batch: batch["inputs"].data.mul_(2))),
    "writes targets": ("pure", first(lambda batch: batch["targets"].data.neg_())),
    "default dtype": ("pure", first(lambda batch: torch.set_default_dtype(torch.float64))),
    "nan": ("finite", changed(lambda value, *_: value * torch.nan)),
    "infinite": ("finite", changed(lambda value, *_: value + torch.inf)),
    "mean over replicates": ("stacked", changed(lambda value, *_: value.mean())),
    "a loss of all": ("stacked", changed(lambda value, *_: value + 0.1 * value.sum())),
    "a gradient of another": (
        "stacked",
        changed(lambda value, error, *_: value + (both := error.mean(1) * error.flip(0).mean(1)) - both.detach()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAINING)
def test_an_honest_training_keeps_every_promise(name):
    """Mean squares with noise of the training's own stream."""
    evidence = check(name, Square())
    assert (decide(evidence), evidence.claim) == ("PASS", name.replace("_", "-"))


@pytest.mark.parametrize("planted", BROKEN)
def test_a_planted_violation_breaks_its_promise(planted):
    """Each one fails the promise it is planted for."""
    name, method = BROKEN[planted]
    assert decide(check(name, method)) == "FAIL"


def test_three_steps_are_taken_whatever_the_task_trains():
    """A violation in the fourth step is not seen: a promise costs three steps of any task."""
    seen = []
    check("finite", first(lambda batch: seen.append(1)))
    assert len(seen) == promises.STEPS == 3


def test_what_was_written_is_put_back():
    """Batches that are views of data that others share are as before, and so are the settings."""
    task = Regression()
    before = task.data.clone()
    evidence = check("pure", first(lambda batch: batch["inputs"].data.mul_(2)), task)
    assert evidence.value == 3
    assert "3 tensors of batches" in evidence.note
    assert torch.equal(task.data, before)
    check("pure", BROKEN["default dtype"][1])
    assert torch.get_default_dtype() == torch.float32


def test_the_shared_data_sets_are_watched(monkeypatch):
    """A method that finds the data of the process and writes to it is caught, and the data put back."""
    shared = torch.zeros(3)
    monkeypatch.setattr(promises.data, "loaded", lambda: (shared,))
    evidence = check("pure", first(lambda batch: shared.add_(1)))
    assert (evidence.value, evidence.note) == (1, "changed: 1 tensors of shared data")
    assert torch.equal(shared, torch.zeros(3))


def test_the_global_generators_are_left_as_they_were():
    """Checking for stray randomness leaves no trace of its own seeds."""
    torch.manual_seed(5)
    before = state.generators()
    check("own_stream", BROKEN["torch"][1])
    assert state.generators() == before


def test_gradients_of_rounding_errors_are_no_difference():
    """A parameter that the loss does not see gets whole steps from Adam in directions that nothing decides."""

    class Blind(Regression):
        def build(self, method, ctx):
            training = super().build(method, ctx)
            weight, honest = training.model.weight, training.loss
            start = ctx.noise("split").normal(1)
            # Rounding errors of a sum, of other sizes in a stack and alone.
            blind = torch.nn.Parameter(start.expand(len(ctx.replicates)).clone())

            def loss(batch, state, noise):
                value, state = honest(batch, state, noise)
                return value + blind * 1e-16 * (len(weight) - 1.5), state

            training.model.blind = blind
            return Training(
                model=training.model,
                batches=training.batches,
                loss=loss,
                make_optimizer=training.make_optimizer,
                noise=training.noise,
                replicates=training.replicates,
            )

    assert decide(check("stacked", Square(), Blind())) == "PASS"


def test_a_step_that_mixes_parameters_is_seen():
    """Averaging over replicates after a step changes no first loss and no first gradient."""

    class Averaged(Regression):
        def build(self, method, ctx):
            training = super().build(method, ctx)
            step = training.step

            def mixed():
                step()
                with torch.no_grad():
                    training.model.weight.copy_(
                        training.model.weight.mean(0, keepdim=True).expand(len(ctx.replicates), 2)
                    )

            training.step = mixed
            return training

    assert decide(check("stacked", Square(), Averaged())) == "FAIL"


def test_a_kink_at_the_start_is_no_violation_and_one_that_lasts_is():
    """What shows in one step only may be rounding that decides at a kink; in two steps, the stack mixes."""

    def method(steps):
        class Kink(Square):
            def loss(self, error, batch, noise):
                at = len(seen.setdefault(len(error), []))
                seen[len(error)].append(1)
                # The singles are built one after the other, so that each counts from its own start.
                return super().loss(error, batch, noise) * (1.1 if len(error) == 2 and at < steps else 1.0)

        seen = {}
        return Kink()

    # Adam would remember the step.
    assert decide(check("stacked", method(1), Regression(torch.optim.SGD))) == "PASS"
    assert decide(check("stacked", method(2), Regression(torch.optim.SGD))) == "FAIL"


# -- subjects ---------------------------------------------------------------------------------------------------------


class Measured:
    """Records what the method makes of a draw, and the draws themselves."""

    def subject(self, method, ctx):
        return method

    def evaluate(self, subject, ctx):
        x = ctx.noise("noise").normal(4)
        ctx.record("error", float(subject(x)))
        ctx.detail("x", x)


class Steps:
    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return x.sum() + 1e-9 * self.calls


def seeded(x):
    torch.manual_seed(0)
    return x.sum()


def careless(x):
    torch.set_default_dtype(torch.float64)
    return x.sum()


def check_subject(name, method):
    options = {"check": f"kexue_bench.lab.promises:subject_{name}"}
    ctx = Context(replace(CASE, of="subject", options=options, task=replace(CASE.task, kind="subject")))
    verify(Measured(), method, ctx)
    return next(row for row in ctx.measurements if row.metric == "violation")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("repeatable", Steps()),
        ("own_stream", lambda x: x.sum() + torch.rand(1)),
        ("own_stream", lambda x: x.sum() + random.random()),
        ("own_stream", seeded),
        ("pure", careless),
        ("finite", lambda x: x.sum() * torch.nan),
        ("finite", lambda x: x.sum() + torch.inf),
    ],
)
def test_subjects_keep_or_break_their_promises(name, wrong):
    """An honest subject keeps each promise; each planted violation breaks the one it is planted for."""
    honest = check_subject(name, torch.sum)
    assert (decide(honest), honest.claim) == ("PASS", name.replace("_", "-"))
    assert decide(check_subject(name, wrong)) == "FAIL"
    assert torch.get_default_dtype() == torch.float32


def test_every_promise_of_the_core_has_its_check_here():
    """The targets in the table exist; those of trainings and subjects are in this module."""
    for spec in CORE_CLAIMS:
        assert callable(target(spec.target))
        assert spec.target.startswith("kexue_bench.lab.promises:") == (spec.of != "draws")
