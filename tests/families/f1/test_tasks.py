"""The tasks measure what they state, and stacked replicates equal single ones."""

from __future__ import annotations

import json
import math

import pytest
import torch

import kexue_f1 as f1
from kexue_bench.lab import stages
from kexue_f1.tasks.bundled import BreastCancerF1, DigitsF1, WineF1
from kexue_f1.tasks.gaussian import GaussianF1, MisspecifiedF1
from kexue_f1.tasks.minibatch import MinibatchF1
from kexue_f1.tasks.multilabel import MultilabelF1, best_logistic_f1


def _rows(ctx, metric, **labels):
    return [m.value for m in ctx.measurements if m.metric == metric and m.point is None and dict(m.labels) == labels]


def _evaluated(context, task, method, *, name="task", replicates=(0,), **case):
    ctx = context(name, replicates=replicates, **case)
    stages.evaluate(task, method, ctx)
    return ctx


def _frozen(context, method, budget=2**14, **params):
    ctx = context("minibatch-f1", params, options={"budget": budget})
    stages.evaluate(MinibatchF1(**params), method, ctx)
    return ctx


# -- frozen batches ---------------------------------------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize(("batch", "exact"), [(16, 0.0766209), (64, 0.1711879)])
def test_minibatch_f1_reproduces_the_exact_optimum(context, batch, exact):
    """The best expected batch F1 at d = 2, prior 0.01: exact, measured and by the loss, within four standard errors."""
    ctx = _frozen(context, f1.SoftF1(), budget=2**17, batch=batch)
    assert _rows(ctx, "batch-f1-best") == [pytest.approx(exact, abs=5e-8)]
    for metric in ("batch-f1", "loss-f1"):
        (row,) = [m for m in ctx.measurements if m.metric == metric]
        assert abs(row.value - exact) < 2.05 * (row.high - row.low) / 2
        assert row.high - row.low < 0.01


@pytest.mark.statistical
@pytest.mark.parametrize("batch", [16, 64, 256])
def test_gradient_of_soft_f1_at_the_posterior(context, reference, batch):
    """Mean over batches and full gradient match the Monte Carlo reference within four combined standard errors."""
    (row,) = [r for r in reference["gradient"] if r["prior"] == 0.01 and r["B"] == batch]
    task = MinibatchF1(batch=batch, point="bayes")
    problem = task.problem(f1.SoftF1(), context("minibatch-f1", {"batch": batch}))
    # The gradient of the loss is minus that of F1. 20,000 items represent the distribution.
    assert (-problem.truth).tolist() == pytest.approx(row["full"], abs=0.002)
    noise = context("minibatch-f1").noise("noise")
    draws = torch.cat([problem.draw(noise.at(i), 4096) for i in range(16)]).double()
    error = [math.hypot(a, b) for a, b in zip(row["se"], (draws.std(0) / 256).tolist(), strict=True)]
    for found, expected, se in zip((-draws.mean(0)).tolist(), row["mean"], error, strict=True):
        assert abs(found - expected) < 4 * se


def test_share_of_batches_without_gradient(context):
    """A share of (1 - prior)^B batches is empty and gives soft F1 zero gradient; with eps = 1 it is never zero."""
    ctx = _frozen(context, f1.SoftF1(), batch=16)
    (row,) = [m for m in ctx.measurements if m.metric == "zero-gradient"]
    assert row.low - 0.01 < 0.99**16 < row.high + 0.01
    assert _rows(_frozen(context, f1.SoftF1(eps=1.0), budget=2**10, batch=16), "zero-gradient") == [0]


def test_smoothing_turns_the_gradient_around(context):
    """At prior 0.01, B = 16 and eps = 1, the mean gradient of batches points away from that on all data."""
    assert _rows(_frozen(context, f1.SoftF1(eps=1.0), batch=16), "cosine")[0] < -0.5
    assert _rows(_frozen(context, f1.SoftF1(), batch=16), "cosine")[0] > 0.9


@pytest.mark.parametrize("method", [f1.GlobalSoftF1(), f1.EmaSoftF1(), f1.BinaryCrossEntropy()], ids=repr)
def test_losses_without_batch_bias(context, method):
    """Their relative bias is not distinguishable from zero; that of soft F1 is two thirds."""
    (row,) = [m for m in _frozen(context, method, batch=16).measurements if m.metric == "relative-bias"]
    assert row.low == 0
    assert row.high < 0.3
    assert _rows(_frozen(context, f1.SoftF1(), batch=16), "relative-bias")[0] > 0.6


def test_nothing_to_tell(context):
    """At d = 0 the largest F1 is 2 prior / (1 + prior)."""
    ctx = _frozen(context, f1.BinaryCrossEntropy(), budget=2**10, d=0.0, prior=0.1)
    assert _rows(ctx, "best-f1") == [pytest.approx(0.2 / 1.1, abs=1e-12)]


def test_threshold_gap_is_rounding(context):
    """The posterior at the best threshold, found by search, is half the largest F1 up to rounding."""
    ctx = _frozen(context, f1.BinaryCrossEntropy(), budget=2**10, d=1.0, prior=0.1)
    assert _rows(ctx, "threshold-gap")[0] < 1e-9


# -- populations ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def short():
    """A short training."""
    return GaussianF1(steps=60, batch=64)


def test_rows_of_a_training(context, short):
    """F1 and regret under every threshold reading add up to the best F1; `gfm` has no row."""
    ctx = _evaluated(context, short, f1.BinaryCrossEntropy(), replicates=(0, 1))
    best = 0.6121260028
    for reading in ("0.5", "tuned", "half-f"):
        values, regrets = (_rows(ctx, metric, reading=reading) for metric in ("f1", "f1-regret"))
        assert len(values) == 2
        assert [a + b for a, b in zip(values, regrets, strict=True)] == pytest.approx([best] * 2, abs=1e-6)
    assert not _rows(ctx, "f1", reading="gfm")
    assert len(_rows(ctx, "average-precision")) == len(_rows(ctx, "calibration-error")) == 2
    assert {m.point for m in ctx.measurements if m.metric == "f1" and dict(m.labels) == {"reading": "tuned"}} == {
        None,
        60,
    }


def test_a_loss_without_probabilities_has_no_row_that_needs_them(context, short):
    """A loss without probabilities has no calibration error and no `half-f` reading."""
    ctx = _evaluated(context, short, f1.LovaszHinge())
    assert _rows(ctx, "f1", reading="tuned")
    assert not _rows(ctx, "f1", reading="half-f")
    assert not _rows(ctx, "calibration-error")


@pytest.mark.parametrize("method", [f1.SoftF1(), f1.Dinkelbach(every=7), f1.EmaSoftF1()], ids=repr)
def test_a_stack_is_its_members(context, short, method):
    """Replicate 1 in a stack of three has the same rows as alone, up to rounding."""
    stack = _evaluated(context, short, method, replicates=(0, 1, 2))
    alone = _evaluated(context, short, method, replicates=(1,))
    for reading in ("0.5", "tuned"):
        expected = _rows(alone, "f1", reading=reading)[0]
        assert _rows(stack, "f1", reading=reading)[1] == pytest.approx(expected, abs=2e-3)


def test_exact_scores_are_those_of_many_items(context, short):
    """Exact F1 and average precision match those on 200,000 new items within four standard errors."""
    from sklearn import metrics

    from kexue_bench.lab.noise import Noise

    ctx = context("g")
    training = short.build(f1.BinaryCrossEntropy(), ctx)
    trained = ctx.train(training, steps=60, measure=short.measure(training, ctx), marks=())
    x, y = short.population.draw(Noise.seeded(1), 1, 200_000)
    scores = training.score.scores(x).detach()[0]
    found = metrics.f1_score(y[0], scores >= 0)
    assert float(trained.final["f1[reading=0.5]"]) == pytest.approx(found, abs=4 * 0.004)
    found = metrics.average_precision_score(y[0], scores)
    assert float(trained.final["average-precision"]) == pytest.approx(found, abs=4 * 0.004)


@pytest.mark.parametrize(
    ("method", "collapses"), [(f1.SoftF1(eps=1.0), True), (f1.SoftF1(), False), (f1.BinaryCrossEntropy(), False)]
)
def test_the_empty_batch_collapse_is_named(context, method, collapses):
    """With eps = 1 and one positive in a hundred, nothing is predicted positive, and the collapse is flagged."""
    ctx = _evaluated(context, GaussianF1(prior=0.01, steps=200), method, replicates=(0, 1))
    assert _rows(ctx, "collapse") == [float(collapses)] * 2
    flags = {flag for m in ctx.measurements if m.metric == "collapse" for flag in m.flags}
    assert flags == ({"empty-batch-collapse"} if collapses else set())


def test_on_all_data_nothing_collapses(context):
    """The same loss and prior do not collapse if every step uses all data."""
    ctx = _evaluated(context, GaussianF1(prior=0.01, steps=100, batch=0, lr=0.1), f1.SoftF1(eps=1.0))
    assert _rows(ctx, "collapse") == [0]
    assert _rows(ctx, "f1", reading="0.5")[0] > 0.29


@pytest.mark.slow
def test_a_tuned_threshold_is_not_enough_where_the_score_is_wrong(context):
    """With positives on two sides, soft F1 beats cross-entropy at its best threshold."""
    task = MisspecifiedF1(steps=1000, batch=0)
    plug_in = _rows(_evaluated(context, task, f1.BinaryCrossEntropy()), "f1", reading="tuned")[0]
    direct = _rows(_evaluated(context, task, f1.SoftF1()), "f1", reading="tuned")[0]
    assert plug_in < 0.42
    assert direct > plug_in + 0.05
    assert task.best()[0] == pytest.approx(0.514, abs=5e-4)


# -- data sets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "least"), [(BreastCancerF1(steps=150), 0.9), (WineF1(steps=150), 0.85), (DigitsF1(steps=300), 0.6)]
)
def test_bundled_data(context, task, least):
    """A linear score learns each bundled data set."""
    ctx = _evaluated(context, task, f1.BinaryCrossEntropy(), replicates=(0, 1))
    for reading in ("0.5", "tuned", "half-f"):
        assert min(_rows(ctx, "f1", reading=reading)) > least
    assert min(_rows(ctx, "average-precision")) > least


def test_parts_do_not_overlap(context):
    """The three parts add up to the data set, and training items have mean 0 and standard deviation 1."""
    parts = WineF1().parts(context("w"))
    assert [part[0].shape[1] for part in parts] == [107, 35, 36]
    torch.testing.assert_close(parts[0][0].mean(1), torch.zeros(1, 13), rtol=0, atol=1e-5)
    torch.testing.assert_close(parts[0][0].std(1), torch.ones(1, 13), rtol=0, atol=1e-5)
    assert sum(float(part[1].sum()) for part in parts) == 71


def test_several_labels(context):
    """All three averages are measured, `gfm` is best in `f1-samples`, and the right model has a small regret."""
    ctx = _evaluated(context, MultilabelF1(steps=200), f1.BinaryCrossEntropy())
    by_samples = {r: _rows(ctx, "f1-samples", reading=r)[0] for r in ("0.5", "tuned", "half-f", "gfm")}
    assert max(by_samples, key=lambda r: by_samples[r]) == "gfm"
    assert 0 < _rows(ctx, "f1-regret", reading="tuned")[0] < 0.1
    assert _rows(ctx, "f1-micro", reading="tuned")[0] > 0.5


@pytest.mark.statistical
def test_best_macro_f1_against_items():
    """The integral matches the best F1 of the true posterior on 400,000 items within four standard errors of 0.002."""
    from kexue_f1.metrics import best_threshold

    offsets = torch.tensor([0.0, -2.0, -4.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    chance = torch.sigmoid(2 * torch.randn(1, 400_000, 3, generator=generator, dtype=torch.float64) + offsets)
    y = (torch.rand(chance.shape, generator=generator) < chance).double()
    found = best_threshold(chance, y)[1][0]
    torch.testing.assert_close(best_logistic_f1(2.0, offsets), found, rtol=0, atol=0.008)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: GaussianF1(d=0.0), "d must be > 0"),
        (lambda: GaussianF1(prior=1.0), "prior must lie in"),
        (lambda: GaussianF1(batch=20_000), "batch must lie in 1 .. 10000"),
        (lambda: GaussianF1(steps=0), "steps must be >= 1"),
        (lambda: GaussianF1(lr=0.0), "lr must be > 0"),
        (lambda: MisspecifiedF1(dimensions=1), "dimensions must be >= 2"),
        (lambda: MinibatchF1(batch=0), "batch must be >= 1"),
        (lambda: MinibatchF1(point="start"), "point must be one of"),
        (lambda: DigitsF1(digit=10), "digit must lie in 0 .. 9"),
        (lambda: WineF1(cultivar=3), "cultivar must lie in 0 .. 2"),
        (lambda: MultilabelF1(labels=1), "labels must be >= 2"),
    ],
)
def test_settings_are_checked(build, says):
    """A setting out of range raises a ValueError that names it."""
    with pytest.raises(ValueError, match=says):
        build()


def test_a_batch_larger_than_the_data_is_refused(context):
    """A batch larger than the training part is rejected once the data are loaded."""
    with pytest.raises(ValueError, match=r"batch must lie in 1 \.\. 107"):
        WineF1(batch=150).build(f1.BinaryCrossEntropy(), context("w"))


def test_a_foreign_reading_is_applied(context, short):
    """A reading registered by a third party has its own rows."""
    readings = json.dumps({"zero": "kexue_f1.readings:Half", "0.5": "kexue_f1.readings:Half"})
    ctx = context("g", options={"readings": readings})
    stages.evaluate(short, f1.BinaryCrossEntropy(), ctx)
    assert _rows(ctx, "f1", reading="zero") == _rows(ctx, "f1", reading="0.5") != []


def test_tuning_scores_are_finite(context, short):
    """The score that `--tune` maximizes is finite and plausible."""
    assert 0.5 < short.score(f1.SoftF1(), context("g")) < 0.62
    assert 0.8 < WineF1(steps=50).score(f1.SoftF1(), context("w")) <= 1


def test_every_loss_fulfils_the_contract(losses):
    """Every loss has `init`, `loss` and `probability`."""
    for method in losses.values():
        assert all(callable(getattr(method, verb)) for verb in ("init", "loss", "probability"))
