"""Draws without replacement from all states of independent variables, and the weights of an unordered set of them."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from kexue_gradients.laws import in_dtype

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise
    from kexue_gradients.contract import Distribution

_NOWHERE = -1e30  # log-probability and key of a branch that does not exist; finite, so that differences are


def draw_without_replacement(distribution: Distribution, noise: Noise, repeats: int, k: int) -> tuple[Tensor, Tensor]:
    """Draws k different states in order, by a beam search over perturbed log-probabilities (arXiv:1903.06059).

    Args:
        distribution: the variables; they are chosen one after the other.
        noise: drawn from once, in shape `[R, k, 2, *batch, L]` or `[R, k, *batch, L, K]`.
        repeats: R.
        k: states.

    Returns:
        States `[R, k, *logits.shape]` in the order drawn, and their log-probabilities `[R, k, *batch]` in float64.

    Raises:
        ValueError: there are fewer than k states.
    """
    logits = distribution.logits
    bits = distribution.kind == "bernoulli"
    classes = torch.stack([torch.zeros_like(logits), logits], dim=-1) if bits else logits
    length, branches = classes.shape[-2:]
    if length * math.log(branches) < math.log(k) - 1e-9:
        raise ValueError(f"k must be at most the number of states, {branches**length}, got {k}")
    log_p = classes.double().log_softmax(-1)
    noise = in_dtype(noise, logits.dtype)
    gumbel = (
        noise.gumbel(repeats, k, 2, *logits.shape).movedim(2, -1) if bits else noise.gumbel(repeats, k, *logits.shape)
    )
    shape = (repeats, k, *distribution.batch)
    total = log_p.new_full(shape, _NOWHERE)
    total[:, 0] = 0.0
    # Keys need no more digits than the noise has; probabilities do.
    key, steps = total.to(logits.dtype), []
    for place in range(length):
        branch = total.unsqueeze(-1) + log_p[..., place, :]
        keys = _truncated(branch.to(logits.dtype) + gumbel[..., place, :], key.unsqueeze(-1))
        # The branches of all beams side by side, the best k of them kept.
        best = keys.movedim(-1, 2).flatten(1, 2).topk(k, dim=1)
        key = best.values
        total = branch.movedim(-1, 2).flatten(1, 2).gather(1, best.indices)
        steps.append(best.indices)
    choices = _followed(steps, branches)
    if bits:
        return choices.to(logits.dtype), total
    return functional.one_hot(choices, branches).to(logits.dtype), total


def _followed(steps: list[Tensor], branches: int) -> Tensor:
    """The choices `[R, k, *batch, L]` that led to each state; a step holds `beam * branches + choice`."""
    choices = [steps[-1] % branches]
    beam = steps[-1] // branches
    for step in reversed(steps[:-1]):
        taken = step.gather(1, beam)
        choices.append(taken % branches)
        beam = taken // branches
    return torch.stack(choices[::-1], dim=-1)


def _truncated(keys: Tensor, largest: Tensor) -> Tensor:
    """Gumbel keys `[..., K]` given that the largest of them is `largest`, `[..., 1]`."""
    # log(1 - exp(keys - max)), with the sign that makes the sum below the truncated key.
    gap = (keys - keys.amax(-1, keepdim=True)).clamp_max(0)
    v = largest - keys + torch.log(-torch.expm1(gap))
    return largest - v.clamp_min(0) - torch.log1p(torch.exp(-v.abs()))


def set_ratios(p: Tensor) -> tuple[Tensor, Tensor]:
    """How much more likely an unordered set is once its first states are known.

    Args:
        p: probabilities of k different states, `[R, k, *batch]`, float64.

    Returns:
        `R(S, s) [R, k, *batch]` and `R^{-s}(S, s') [R, k, k, *batch]`, 1 for s' = s.
    """
    k = p.shape[1]
    everything = frozenset(range(k))
    known: dict[frozenset[int], Tensor] = {}

    def rest(gone: frozenset[int]) -> Tensor:
        """Probability of all states except those drawn; never below that of those still to come, despite rounding."""
        lost, left = (p[:, sorted(part)].sum(1) for part in (gone, everything - gone))
        return torch.maximum(1 - lost, left)

    def completing(gone: frozenset[int]) -> Tensor:
        """Probability that the states of the set come next, in any order, once those drawn are removed."""
        if gone == everything:
            return torch.ones_like(p[:, 0])
        if gone not in known:
            first = sum(
                (p[:, s] * completing(gone | {s}) for s in sorted(everything - gone)), torch.zeros_like(p[:, 0])
            )
            known[gone] = first / rest(gone)
        return known[gone]

    whole = completing(frozenset())
    alone = [completing(frozenset({s})) for s in range(k)]
    first = torch.stack([one / whole for one in alone], dim=1)
    second = torch.ones(len(p), k, k, *p.shape[2:], dtype=p.dtype, device=p.device)
    for s, other in combinations(range(k), 2):
        pair = completing(frozenset({s, other}))
        second[:, s, other], second[:, other, s] = pair / alone[s], pair / alone[other]
    return first, second
