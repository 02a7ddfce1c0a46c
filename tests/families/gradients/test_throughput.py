"""Batched estimation costs little more than drawing and evaluating, and far less than a loop over samples."""

from __future__ import annotations

import statistics
import time

import pytest
import torch

from kexue_bench.lab.context import Noise

BITS, BATCH = 200, 1024


def seconds(*calls, rounds):
    """CPU seconds of each call: median over rounds that run them in turn, so that a busy moment meets all of them."""
    samples = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(rounds):
        for call, kept in zip(calls, samples, strict=True):
            start = time.process_time()
            call()
            kept.append(time.process_time() - start)
    return [statistics.median(kept) for kept in samples]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reinforce", "rloo", "disarm"])
def test_score_function_methods_reach_the_roofline(build, context, name):
    """At 200 bits at least 60 % of the speed of their own draws, comparisons and evaluations of f, and nothing else."""
    problem = build("bernoulli-toy", bits=BITS, t=0.499).problem(build(name), context())
    noise, uniforms = Noise.seeded(0), BATCH * (2 if name == "rloo" else 1)
    p = torch.full((BITS,), 0.62)

    def floor():
        u = noise.uniform(uniforms, BITS)
        for rows in (u, u) if name == "disarm" else (u,):
            ((rows < p).float() - 0.499).square().mean(-1)

    ours, bare = seconds(lambda: problem.draw(noise, BATCH), floor, rounds=41)
    assert bare / ours >= 0.6


@pytest.mark.slow
def test_batched_estimation_beats_a_loop_over_samples(build, context):
    """At 200 bits at least 100 times as fast a draw as one autograd call a sample, the usual loop."""
    problem = build("bernoulli-toy", bits=BITS, t=0.499).problem(build("reinforce"), context())
    noise = Noise.seeded(0)
    logits = torch.full((BITS,), 0.5)

    def one_sample():
        with torch.enable_grad():
            leaf = logits.clone().requires_grad_()
            distribution = torch.distributions.Bernoulli(logits=leaf)
            b = distribution.sample()
            surrogate = (b - 0.499).square().mean() * distribution.log_prob(b).sum()
            torch.autograd.grad(surrogate, leaf)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours, loop = seconds(lambda: problem.draw(noise, BATCH), lambda: [one_sample() for _ in range(20)], rounds=15)
    assert (loop / 20) / (ours / BATCH) >= 100
