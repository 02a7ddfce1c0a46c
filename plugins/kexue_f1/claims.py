"""Checks of what the losses claim; each measures the loss itself or its draws on batches and gives no verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from kexue_bench import claim
from kexue_bench.api import Evidence
from kexue_bench.lab.claims import unbiased
from kexue_f1.metrics import f1
from kexue_f1.populations import best_gaussian_f1, gaussian_f1
from kexue_f1.readings import score_at

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling
    from kexue_f1.contract import F1Loss
    from kexue_f1.methods.global_soft_f1 import GlobalSoftF1

_CERTAIN = 50.0
_PROBLEMS, _ITEMS = 4096, 12
_STEP = 1e-6
REGRET = 0.005
"""A classifier whose F1 is less than this below the best counts as the best."""


@claim("batch-size-invariant", "the expected gradient of a batch is the gradient on all data", order=10)
def batch_size_invariant(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The core's test that the draws, gradients of batches, have the gradient on all data as their mean."""
    return replace(unbiased(problem, method, ctx), claim="batch-size-invariant")


@claim("gradient-matches-value", "the gradient matches central differences of the value", order=20)
def gradient_matches_value(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """Central differences in double precision at random logits, relative to the largest entry of the gradient."""
    loss = cast("F1Loss", method)
    z, y = _problems(ctx, 64, torch.float64)
    state = loss.init(y)

    def value(at: Tensor) -> Tensor:
        return loss.loss(at, y, state)[0]

    with torch.enable_grad():
        at = z.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(value(at).sum(), at)
    steps = _STEP * torch.eye(_ITEMS, dtype=z.dtype, device=z.device).unsqueeze(1)
    differences = torch.stack([(value(z + h) - value(z - h)) / (2 * _STEP) for h in steps], dim=1)
    worst = float((differences - gradient).abs().max() / gradient.abs().max().clamp_min(1e-12))
    note = f"largest difference from central differences {worst:.2g} of the largest entry, 64 batches of {_ITEMS}"
    return _violation("gradient-matches-value", worst, note, tolerance=1e-5)


@claim("upper-bound(f1)", "the loss is never below one minus F1", order=30)
def above_f1(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The largest value of one minus F1 less the loss over random batches; F1 is 1 if nothing is true or predicted."""
    return _above("upper-bound(f1)", cast("F1Loss", method), ctx, jaccard=False)


@claim("upper-bound(jaccard)", "the loss is never below one minus Jaccard, hence never below one minus F1", order=40)
def above_jaccard(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The largest value of one minus Jaccard less the loss over random batches, with the same convention."""
    return _above("upper-bound(jaccard)", cast("F1Loss", method), ctx, jaccard=True)


@claim("vertex-exact(f1)", "the loss is one minus F1 if every decision is certain", order=50)
def is_f1_at_vertices(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The loss against one minus F1 at random certain decisions, on batches with a positive."""
    return _at_vertices("vertex-exact(f1)", cast("F1Loss", method), ctx, jaccard=False)


@claim("vertex-exact(jaccard)", "the loss is one minus Jaccard if every decision is certain", order=60)
def is_jaccard_at_vertices(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The loss against one minus Jaccard at random certain decisions, on batches with a positive."""
    return _at_vertices("vertex-exact(jaccard)", cast("F1Loss", method), ctx, jaccard=True)


@claim("consistent", "on all data, the minimizer of the loss has the best F1", order=70)
def consistent(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The smallest loss among 540 linear scores on two normal classes, and the F1 of its own decisions.

    5,000 items at the quantiles of normals two standard deviations apart, one in ten positive; the steepest slopes
    approximate an optimum at infinity. The violation is the regret of the decisions against the best F1, known in
    closed form.
    """
    loss, d, prior, items = cast("F1Loss", method), 2.0, 0.1, 5000
    positives = round(prior * items)
    x = torch.cat([_normal_quantiles(items - positives), d + _normal_quantiles(positives)]).to(ctx.device, ctx.dtype)
    y = torch.cat([x.new_zeros(items - positives), x.new_ones(positives)])
    thresholds = torch.linspace(-0.5, 4.0, 60, device=x.device, dtype=x.dtype)
    best, found = torch.inf, 0.0
    for slope in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0):
        scores = slope * (x - thresholds.unsqueeze(1))
        targets = y.expand(len(scores), -1)
        values = loss.loss(scores, targets, loss.init(targets))[0]
        own = score_at(torch.full_like(scores[:1, :1], 0.5), loss.probability)
        place = int(values.argmin())
        if float(values[place]) < best:
            best = float(values[place])
            found = float(thresholds[place]) + (0.0 if own is None else float(own)) / slope
    regret = best_gaussian_f1(d, prior)[1] - gaussian_f1(d, prior, found)
    note = f"the minimizer predicts positive for x >= {found:.3f}, which loses {regret:.4f} of F1"
    return _violation("consistent", regret, note, tolerance=REGRET)


@claim("neutral-when-empty", "a batch without positives has zero gradient", order=80)
def neutral_when_empty(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The largest entry of the gradient on batches without positives."""
    loss = cast("F1Loss", method)
    z, _ = _problems(ctx, 64, ctx.dtype)
    y = torch.zeros_like(z)
    with torch.enable_grad():
        at = z.clone().requires_grad_()
        value, _ = loss.loss(at, y, loss.init(y))
        (gradient,) = torch.autograd.grad(value.sum(), at)
    largest = float(gradient.abs().max())
    return _violation("neutral-when-empty", largest, f"largest entry of the gradient {largest:.2g} in 64 empty batches")


@claim("gradient-of(soft-f1)", "right after a refresh on all data, the gradient is that of soft F1", order=85)
def gradient_of_soft_f1(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The gradient on the data of the last refresh against that of 1 - 2 sum p y / sum (p + y), p the sigmoid."""
    loss = cast("GlobalSoftF1", method)
    z, y = _problems(ctx, 64, torch.float64)
    y[:, 0] = 1.0
    state = loss.refresh(z, y, None)
    with torch.enable_grad():
        at = z.clone().requires_grad_()
        (found,) = torch.autograd.grad(loss.loss(at, y, state)[0].sum(), at)
        p = torch.sigmoid(at)
        (expected,) = torch.autograd.grad((1 - 2 * (p * y).sum(1) / (p + y).sum(1)).sum(), at)
    worst = float((found - expected).abs().max() / expected.abs().max())
    note = f"largest difference from the gradient of soft F1: {worst:.2g} of its largest entry"
    return _violation("gradient-of(soft-f1)", worst, note, tolerance=1e-9)


@claim("stacked", "a problem has the same loss in a stack as alone", always=True, order=90)
def stacked(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """A stack of five problems against each of them in a stack of one, and the first without a stack."""
    loss = cast("F1Loss", method)
    z, y = _problems(ctx, 5, ctx.dtype)
    together, _ = loss.loss(z, y, loss.init(y))
    if together.shape != (5,):
        return _violation("stacked", 1.0, f"a stack of 5 must have 5 losses, got shape {tuple(together.shape)}")
    alone = [loss.loss(z[r : r + 1], y[r : r + 1], loss.init(y[r : r + 1]))[0] for r in range(5)]
    bare, _ = loss.loss(z[0], y[0], loss.init(y[0]))
    if bare.shape != ():
        return _violation("stacked", 1.0, f"the loss of one batch [B] must be a number, got shape {tuple(bare.shape)}")
    expected = torch.cat([*alone, bare.reshape(1)])
    gap = float((torch.cat([together, together[:1]]) - expected).abs().max() / expected.abs().max().clamp_min(1e-12))
    note = f"largest difference {gap:.2g} of the largest loss between a stack of 5 and its members"
    return _violation("stacked", gap, note, tolerance=1e-5)


def _above(claim: str, loss: F1Loss, ctx: Context, *, jaccard: bool) -> Evidence:
    z, y = _problems(ctx, _PROBLEMS, ctx.dtype)
    score = _scores(z > 0, y, jaccard=jaccard, empty=1.0)
    values, _ = loss.loss(z, y, loss.init(y))
    slack = values.double() - (1 - score)
    worst = max(0.0, -float(slack.min()))
    least = float(slack.min())
    note = f"{_PROBLEMS} random batches of {_ITEMS}, some with ties; smallest slack {least:.2g}"
    return _violation(claim, worst, note, tolerance=1e-5)


def _at_vertices(claim: str, loss: F1Loss, ctx: Context, *, jaccard: bool) -> Evidence:
    z, y = _problems(ctx, _PROBLEMS, ctx.dtype)
    y[:, 0] = 1.0
    called = z > 0
    values, _ = loss.loss(torch.where(called, _CERTAIN, -_CERTAIN).to(z), y, loss.init(y))
    worst = float((values.double() - (1 - _scores(called, y, jaccard=jaccard, empty=0.0))).abs().max())
    note = f"{_PROBLEMS} batches of {_ITEMS} certain decisions, largest difference {worst:.2g}"
    return _violation(claim, worst, note, tolerance=1e-5)


def _problems(ctx: Context, count: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Random batches `[count, 12]`: scores on several scales, some rounded to ties, and random shares of positives."""
    noise = ctx.noise("measure")
    z = noise.normal(count, _ITEMS).to(dtype)
    size = torch.tensor([0.3, 1.0, 3.0, 10.0], dtype=dtype, device=z.device)
    z = z * size[torch.arange(count, device=z.device) % 4].unsqueeze(1)
    # Central differences must avoid kinks, so only the large set of problems has ties.
    if count == _PROBLEMS:
        z[::3] = (2 * z[::3]).round() / 2
    share = noise.uniform(count, 1)
    y = (noise.uniform(count, _ITEMS) < share).to(dtype)
    y[1::2, 0] = 1.0
    return z, y


def _scores(called: Tensor, y: Tensor, *, jaccard: bool, empty: float) -> Tensor:
    """F1 or Jaccard of decisions `[R, B]`, `empty` if nothing is true or predicted; `[R]` float64."""
    value = f1(called.unsqueeze(2), y.unsqueeze(2))
    value = value / (2 - value) if jaccard else value
    nothing = ~called.any(1) & ~(y > 0).any(1)
    return torch.where(nothing, empty, value)


def _normal_quantiles(count: int) -> Tensor:
    return torch.special.ndtri((torch.arange(count, dtype=torch.float64) + 0.5) / count)


def _violation(claim: str, value: float, note: str, *, tolerance: float = 0.0) -> Evidence:
    return Evidence(claim=claim, metric="violation", value=value, tolerance=tolerance, note=note)
