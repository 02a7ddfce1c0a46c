"""What tuning sees of this family: the score of the VAE, and the knobs of learned control variates."""

from __future__ import annotations

import json
import math
from collections import defaultdict

import installed
import pytest

from kexue_bench.api import Instance, Outcome
from kexue_bench.catalog.fields import fields_of
from kexue_bench.plan.plan import Request, build_plan
from kexue_bench.plan.tuning import search
from kexue_bench.run.worker import run_job
from kexue_bench.store import codec
from kexue_gradients.methods.rloo import Rloo

METHODS, TASKS = installed.methods("gradients"), installed.tasks("gradients")


def test_the_score_is_the_exact_elbo_on_held_out_images_after_the_training(build, context):
    """The same training by hand, measured by hand; with a useless learning rate it is that of the untrained model."""
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
    """An extreme learning rate leaves no finite parameter."""
    assert math.isnan(build("digits-vae", steps=60, lr=1e38).score(Rloo(), context("digits-vae", {"steps": 60})))


def test_every_method_can_be_tuned_on_the_trained_task(build):
    """Those without a knob tune the learning rate: all get the same number of trials."""
    task_spec = next(spec for spec in TASKS if spec.name == "digits-vae")
    task = Instance(name="digits-vae", target=task_spec.target, params={"steps": 10, "lr": 3e-3})
    for spec in METHODS:
        params = {field.name: field.default for field in fields_of(spec)}
        found = search(Instance(name=spec.name, target=spec.target, params=params), task, spec, task_spec, 6)
        assert len(found.trials) == 6


# -- learned control variates -----------------------------------------------------------------------------------------

LEARNED = {
    "rebar": {"temperature", "eta", "rate"},
    "relax": {"temperature", "rate"},
    "double-cv": {"rate"},
    "rodeo": {"rate"},
    "nvil": {"rate", "hidden"},
}
"""Besides `warmup`, which matters at frozen parameters only."""
TRIALS = 8


def planned(task, *methods):
    """Evaluation and tuning of methods, by default of all with a learned control variate."""
    return build_plan(
        Request(
            families=("gradients",),
            methods=methods or tuple(LEARNED),
            tasks=(task,),
            tune=TRIALS,
            stages=("evaluate",),
            budget=2**16,
        ),
        installed.registry(),
    )


def ran(job, chosen=None):
    """Outcome of a job of one case, run in this process."""
    told = {"kind": "run", "job": codec.encode(job), "chosen": {job.cases[0].key: chosen} if chosen else {}}
    answer = codec.unseal(run_job(json.dumps(told | {"attempt": 1, "fingerprints": {}, "details": ""})))
    return codec.decode(Outcome, answer["outcomes"][0])


@pytest.mark.parametrize("task", ["bernoulli-toy", "digits-vae-frozen", "digits-vae"])
def test_learned_control_variates_get_equally_many_trials_over_their_own_knobs(task):
    """Eight each, the first of them the setting of the untuned row.

    A training also tunes its learning rate, and no warm-up, which it does not have.
    """
    found = {c.method.name: json.loads(str(c.options["points"])) for c in planned(task).cases if c.stage == "tune"}
    extra = {"task.lr"} if task == "digits-vae" else {"warmup"}
    assert {name: len(found[name]) for name in LEARNED} == dict.fromkeys(LEARNED, TRIALS)
    for spec in (s for s in METHODS if s.name in LEARNED):
        assert set(found[spec.name][0]) == LEARNED[spec.name] | extra
        defaults = {field.name: field.default for field in fields_of(spec)}
        first = {name: value for name, value in found[spec.name][0].items() if name != "task.lr"}
        assert first == {name: defaults[name] for name in first}


def test_tuning_keeps_the_best_point_and_it_is_better_on_fresh_draws():
    """On a bit whose states hardly differ, t = 0.499 at logit 0, implicit MLE at its default strength is far off."""
    plan = planned("bernoulli-toy[t=0.499,theta=0.0]", "imle", "gumbel-softmax")
    jobs = {(job.cases[0].method.label, job.cases[0].stage): job for job in plan.jobs}
    for name, knob in (("imle", "strength"), ("gumbel-softmax", "temperature")):
        outcome = ran(jobs[f"{name} (tuned)", "tune"])
        rows = [row for row in outcome.measurements if row.metric == "score"]
        assert len(rows) == TRIALS
        scores = defaultdict(list)
        for row in rows:
            scores[row.labels[knob]].append(row.value)
        best = max(scores, key=lambda value: sum(scores[value]) / len(scores[value]))
        assert str(outcome.chosen[knob]) == best
        tuned, untuned = ran(jobs[f"{name} (tuned)", "evaluate"], dict(outcome.chosen)), ran(jobs[name, "evaluate"])
        after, before = (
            next(row.value for row in found.measurements if row.metric == "work-variance") for found in (tuned, untuned)
        )
        assert after < before / 3
