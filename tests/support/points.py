"""Where wrong methods show: the search for the verification points of gradient tasks.

A point is good if no mutant of the gallery hides there. Its power is the smallest ratio, over the mutants that run on
it, of the bias there to the largest bias at any candidate, biases being shares of the truth and 1 being enough.
`python -m points` (with `tests/support` and the plugins on the path) prints the best candidates of each task and the
power of the points in use.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import gallery
import torch

from kexue_bench.api import Case, Instance
from kexue_bench.lab.context import Context
from kexue_bench.plan.plan import Request, build_plan
from kexue_bench.run import worker

BIASED = 0.01
"""A smaller bias, as a share of the truth, does not count: the mutant is another correct method."""
# Where the truth is nearly 0 (t at 1/2, mu at the centre) any error is large beside it, and any noise larger.
CANDIDATES: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "bernoulli-toy": {"power": (2.0,), "theta": (-2.1, -1.3, -0.83, 0.0, 0.5, 1.6), "t": (0.28, 0.37, 0.45)},
    "gaussian-cost": {
        "function": ("quadratic", "cos"),
        "k": (-0.4, 0.45, 0.9, 2.0),
        "mu": (0.6, 0.7, 1.0),
        "sigma": (0.7, 1.0, 1.4),
    },
    "gamma-cost": {"function": ("linear", "square"), "shape": (1.0, 2.3, 2.5)},
}


def candidates(task: str) -> list[dict[str, Any]]:
    """Every combination of the grid."""
    grid = CANDIDATES[task]
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def used(task: str) -> list[dict[str, Any]]:
    """Parameters of the verification points that the task declares."""
    plan = build_plan(Request(families=("gradients",), stages=("verify",)), gallery.registry())
    found = {case.task.label: dict(case.task.params) for case in plan.cases if case.task.name == task}
    return [params for params in found.values() if params.get("bits", 1) == 1]


def power(task: str, params: Mapping[str, Any]) -> float:
    """The smallest share of its largest bias that a mutant shows here; 0 if the truth is 0."""
    here = _biases(task, _frozen(params))
    return min((min(1.0, here.get(key, 0.0)) / best for key, best in _largest(task).items()), default=0.0)


@cache
def _largest(task: str) -> dict[str, float]:
    """Mutant -> largest bias at any candidate, at most 1, for those that are biased anywhere."""
    found: dict[str, float] = {}
    for params in candidates(task):
        for key, bias in _biases(task, _frozen(params)).items():
            found[key] = max(found.get(key, 0.0), min(1.0, bias))
    return {key: bias for key, bias in found.items() if bias > BIASED}


def _frozen(params: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(params.items()))


@cache
def _biases(task: str, params: tuple[tuple[str, Any], ...]) -> dict[str, float]:
    """Mutant -> |E g - truth| / |truth|, where both are known without sampling error."""
    return dict(_measured(task, dict(params)))


def _measured(task: str, params: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for mutant in gallery.mutants("gradients"):
        for case in gallery.cases("gradients", mutant.method):
            if case.claim == "unbiased" and case.task.name == task:
                break
        else:
            continue
        with gallery.applied(mutant), torch.no_grad():
            problem = worker.build(_at(case, params).task).problem(
                worker.build(case.method), Context(_at(case, params))
            )
            moments = problem.exact_moments()
        if moments is not None and bool(problem.truth.any()):
            yield mutant.key, float((moments.mean - problem.truth).norm() / problem.truth.norm())


def _at(case: Case, params: dict[str, Any]) -> Case:
    task: Instance = replace(case.task, params=dict(case.task.params) | params)
    return replace(case, task=task)


def main() -> None:
    """Print the best candidates and the points in use."""
    torch.set_num_threads(1)
    for task in CANDIDATES:
        found = sorted(((power(task, params), params) for params in candidates(task)), key=lambda pair: -pair[0])
        for strength, params in [*found[:4], *found[-2:]]:
            print(f"{task:14} {strength:.3f} {params}")  # noqa: T201  # a script
        for params in used(task):
            print(f"{task:14} {power(task, params):.3f} {params} (in use)")  # noqa: T201  # a script


if __name__ == "__main__":
    main()
