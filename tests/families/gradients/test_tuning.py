"""What tuning sees of this family: the autoencoder's score, and knobs that are real fields with their default in it."""

from __future__ import annotations

import math

import pytest

from kexue_bench.api import Instance
from kexue_bench.registry import fields_of
from kexue_bench.tuning import search
from kexue_gradients.method_specs import METHODS
from kexue_gradients.methods.rloo import Rloo
from kexue_gradients.plugin import kexue_tasks


def test_the_score_is_the_exact_elbo_on_held_out_images_after_the_training(build, context):
    """The same training by hand, measured by hand; with a useless learning rate it is the untrained model's."""
    task = build("digits-vae", steps=40)
    ctx = context("digits-vae", {"steps": 40})
    training = task.build(Rloo(), ctx)
    for _ in range(40):
        training.step()
    by_hand = float(training.model.bound(training.model.test_images))
    assert task.score(Rloo(), context("digits-vae", {"steps": 40})) == pytest.approx(by_hand, rel=1e-6)
    idle = build("digits-vae", steps=40, lr=1e-12).score(Rloo(), context("digits-vae", {"steps": 40}))
    assert idle < by_hand - 1


def test_a_score_that_diverged_is_not_a_number(build, context):
    """A learning rate beyond all measure leaves no finite parameter."""
    assert math.isnan(build("digits-vae", steps=60, lr=1e38).score(Rloo(), context("digits-vae", {"steps": 60})))


@pytest.mark.parametrize("spec", [s for s in (*METHODS, *kexue_tasks()) if s.knobs], ids=lambda s: s.name)
def test_knobs_are_fields_whose_default_lies_on_the_grid(spec):
    """So that the untuned setting is among the trials, and tuning never loses for want of trying it."""
    declared = {field.name: field.default for field in fields_of(spec.target)}
    assert all(declared[knob.field] in knob.grid for knob in spec.knobs)
    assert all(list(knob.grid) == sorted(set(knob.grid)) for knob in spec.knobs)


def test_every_method_can_be_tuned_on_the_trained_task(build):
    """Those without a knob turn the learning rate: all make the same number of trials."""
    task_spec = next(spec for spec in kexue_tasks() if spec.name == "digits-vae")
    task = Instance(name="digits-vae", target=task_spec.target, params={"steps": 10, "lr": 3e-3})
    for spec in METHODS:
        params = {field.name: field.default for field in fields_of(spec.target)}
        found = search(Instance(name=spec.name, target=spec.target, params=params), task, spec, task_spec, 6)
        assert len(found.trials) == 6
