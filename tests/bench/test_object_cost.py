"""What a training step with each object costs beside an earlier version: `pytest tests/bench/test_object_cost.py`.

The earlier version is a second checkout in its own process (`KEXUE_BEFORE`, a commit of this repository); a second
process of the present one gives the A/A ratio of the same run. Rounds are interleaved, times are those of the
processor, a ratio is the median over the rounds. The targets are 1.03 for the geometric mean of a family and 1.10 for
each object; they are printed, and what is asserted is wide enough for a machine under load.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

import installed
import pytest
from subjects import FAMILIES, OBJECTS, subjects

ROOT = Path(__file__).parents[2]
BEFORE = os.environ.get("KEXUE_BEFORE", "a54f5cc")
ROUNDS, ENOUGH = 15, 0.005  # rounds, and seconds of one measurement
MEAN, WORST = 1.03, 1.10


class Stepper:
    """A process that takes steps on a checkout."""

    def __init__(self, checkout: Path) -> None:
        path = os.pathsep.join(map(str, (checkout, checkout / "plugins")))
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("object_steps.py"))],
            env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, what: dict, calls: int) -> float | None:
        """Processor time of some steps; None if there are none with this object."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**what, "calls": calls}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def steppers(tmp_path_factory):
    """Processes by name: `after`, `again` (the same), and `before`."""
    checkout = tmp_path_factory.mktemp("before") / "checkout"
    git = ["git", "-C", str(ROOT)]
    subprocess.run([*git, "worktree", "add", "-q", "--detach", str(checkout), BEFORE], check=True)
    found = {"after": Stepper(ROOT), "again": Stepper(ROOT), "before": Stepper(checkout)}
    yield found
    for stepper in found.values():
        stepper.close()
    subprocess.run([*git, "worktree", "remove", "--force", str(checkout)], check=True)


def ratios(steppers: dict[str, Stepper], what: dict) -> tuple[float, float] | None:
    """After / before and the A/A ratio; None for an object that was not there before."""
    calls, first = 1, steppers["after"].seconds(what, 1)
    assert first is not None, f"no step with {what['name']} on {what['kind']}"
    if steppers["before"].seconds(what, 1) is None:
        return None
    while (took := steppers["after"].seconds(what, calls)) is not None and took < ENOUGH:
        calls *= 2
    names, logs = list(steppers), []
    for turn in range(ROUNDS):
        order = names[turn % 3 :] + names[: turn % 3]
        times = {name: steppers[name].seconds(what, calls) for name in order}
        logs.append([math.log(times["after"] / times[other]) for other in ("before", "again")])
    change, same = map(statistics.median, zip(*logs, strict=True))
    return math.exp(change), math.exp(same)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_costs_what_it_did_before(family, steppers, capsys):
    """Geometric mean over the objects of a family, and every object that costs more than 10 % more."""
    found = {}
    for name in (name for owner, name in OBJECTS if owner == family):
        spec = next(spec for spec in installed.methods(family) if spec.name == name)
        # A loss and a step of a regularizer are one step here.
        for kind in dict.fromkeys(one.kind if family != "orthogonality" else "" for one in subjects(family, name)):
            what = {"family": family, "name": name, "kind": kind, "target": spec.target}
            pair = ratios(steppers, {**what, "fields": {**spec.fixed, **spec.defaults}})
            if pair is not None:
                found[f"{name} {kind}".strip()] = pair
    mean, same = (math.exp(statistics.fmean(math.log(pair[i]) for pair in found.values())) for i in range(2))
    slow = {name: change for name, (change, _) in found.items() if change > WORST}
    with capsys.disabled():
        sys.stdout.write(
            f"\n  {family}: after / before {mean:.3f} (<= {MEAN}) over {len(found)} objects, A/A {same:.3f}; "
            f"above {WORST}: {', '.join(f'{name} {change:.2f}' for name, change in slow.items()) or 'none'}\n"
        )
    assert mean < 1.5
