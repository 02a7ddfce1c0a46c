"""Tuning as every family declares it: knobs hold their default, and every trained task gives a trial a score."""

from __future__ import annotations

import json

import installed
import pytest
import torch

from kexue_bench.api import Outcome
from kexue_bench.catalog.fields import fields_of
from kexue_bench.plan.plan import Request, build_plan
from kexue_bench.run.worker import run_job
from kexue_bench.store import codec
from kexue_f1.mulan_files import FOLDER
from kexue_f1.tasks.mulan import SIZES

REGISTRY = installed.registry()
SPECS = [*REGISTRY.methods.values(), *REGISTRY.tasks.values()]
TRAINED = [
    spec
    for spec in REGISTRY.tasks.values()
    if spec.kind == "trained" and all(field.default is not None for field in fields_of(spec))
]
"""Without those that need a file of the user's."""
KNOBS = {spec.family for spec in REGISTRY.methods.values() if spec.knobs}
"""Families with a method that can be tuned."""


@pytest.mark.parametrize("spec", [s for s in SPECS if s.knobs], ids=lambda s: f"{s.family}/{s.name}")
def test_knobs_are_fields_whose_default_lies_on_the_grid(spec):
    """So that the untuned setting is a point like the others; grids are sorted and name nothing twice."""
    declared = {field.name: field.default for field in fields_of(spec)}
    for knob in spec.knobs:
        assert declared[knob.field] in knob.grid
        assert list(knob.grid) == sorted(set(knob.grid))


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """Files of the size of the data sets that a user downloads, filled with random bits."""
    folder, generator = tmp_path_factory.mktemp("mulan"), torch.Generator().manual_seed(0)
    for name, (items, features, labels) in SIZES.items():
        columns = [f"x{i}" for i in range(features)] + [f"label{i}" for i in range(labels)]
        rows = torch.randint(2, (items, len(columns)), generator=generator).tolist()
        head = "".join(f"@attribute {column} numeric\n" for column in columns)
        body = "\n".join(",".join(map(str, row)) for row in rows)
        (folder / f"{name}.arff").write_text(f"@relation {name}\n{head}@data\n{body}\n")
        named = "".join(f'<label name="{column}"/>' for column in columns[features:])
        (folder / f"{name}.xml").write_text(f"<labels>{named}</labels>")
    return folder


@pytest.mark.parametrize("task", TRAINED, ids=lambda t: f"{t.family}/{t.name}")
def test_every_trained_task_can_be_tuned(task, downloads, monkeypatch):
    """Two trials of a few steps, of a method with a knob if one fits: both have a score, and one is chosen.

    A task without a knob in a family without one has no search.
    """
    monkeypatch.setenv(FOLDER, str(downloads))
    request = Request(
        families=(task.family,),
        tasks=(f"{task.name}[steps=2]",),
        methods=tuple(spec.name for spec in installed.methods(task.family)),
        stages=("tune",),
        tune=2,
    )
    plan = build_plan(request, REGISTRY)
    searches = {c.method.name: job for job in plan.jobs for c in job.cases if c.stage == "tune"}
    assert bool(searches) == bool(task.knobs or task.family in KNOBS)
    if not searches:
        return
    own = [name for name in searches if REGISTRY.methods[task.family, name].knobs]
    job = searches[(own or list(searches))[0]]
    text = {"kind": "run", "job": codec.encode(job), "chosen": {}, "attempt": 1, "fingerprints": {}, "details": ""}
    answer = codec.unseal(run_job(json.dumps(text)))
    outcome = codec.decode(Outcome, answer["outcomes"][0])
    assert (outcome.status, outcome.reason) == ("ok", "")
    assert len(outcome.measurements) == 2
    assert all(row.value is not None for row in outcome.measurements)
    assert outcome.chosen
