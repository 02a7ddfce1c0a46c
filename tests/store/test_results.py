"""results: a run comes back as it was stored, is found by every name it has, and no damage hides."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import zlib
from pathlib import Path

import jsonschema
import pytest
from folders import make_case, ok, stored
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from referencing import Registry, Resource

from kexue_bench.api import Case, Evidence, Given, Instance, Job, Measurement, Outcome, Plan, Series
from kexue_bench.errors import ResultsError, UsageError
from kexue_bench.store import codec, journal
from kexue_bench.store.results import RunWriter, find_run, list_runs, load_run, schema

# -- round trip -------------------------------------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was_stored(root, plan):
    """Plan, environment, command and outcomes are equal, settled ones among them, in the order of the plan."""
    outcomes = [ok(case) for case in plan.cases[:4]]
    path = stored(root, plan, outcomes[::-1], command=("kexue-bench", "compare"))
    run = load_run("latest", root)
    assert (run.path, run.number, run.name) == (path, 1, "gradients")
    assert run.plan == plan
    assert run.environment == {"cpu": "x"}
    assert run.command == ("kexue-bench", "compare")
    assert list(run.outcomes.values()) == [*outcomes, plan.settled[0]]
    assert run.notes == ()
    assert run.missing == ()


floats = st.floats()


@given(values=st.lists(floats | st.none(), max_size=5), text=st.text(max_size=30))
@example(values=[math.nan, math.inf, -math.inf, -0.0, 5e-324, None], text='"$f"\ud800\n')
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_float_and_text_survives_the_disk(tmp_path, values, text):
    """NaN, infinities, denormals, lone surrogates: bit for bit."""
    case = make_case()
    series = Series(kind="dyadic", values=tuple(values))
    outcome = ok(case, 1.0, reason=text, measurements=(Measurement(metric="m", value=math.pi, series=series),))
    path = stored(tmp_path / "r", Plan(jobs=(Job(cases=(case,)),)), [outcome])
    back = load_run(path).outcomes[case.key]
    assert back.reason == text
    assert repr(back.measurements[0].series.values) == repr(tuple(values))


def test_the_highest_attempt_counts_and_the_ledger_keeps_all(root, plan):
    """A case that ran three times has its last outcome; the earlier ones stay in the ledger in the order of writing."""
    case = plan.cases[0]
    tries = [ok(case, i, attempt=i, status=status) for i, status in ((1, "crashed"), (3, "ok"), (2, "timeout"))]
    run = load_run(stored(root, plan, tries))
    assert run.outcomes[case.key] == tries[1]
    assert run.ledger == tuple(tries)


def test_contradicting_records_are_both_kept_and_noted(root, plan):
    """Two different outcomes of one attempt: the first counts, both are in the ledger, and a note says so."""
    case = plan.cases[0]
    run = load_run(stored(root, plan, [ok(case, 1.0), ok(case, 2.0), ok(case, 1.0)]))
    assert run.outcomes[case.key] == ok(case, 1.0)
    assert run.ledger == (ok(case, 1.0), ok(case, 2.0))
    assert any("different outcomes for one attempt" in note for note in run.notes)


def test_the_order_and_repetition_of_lines_change_nothing(root, plan):
    """Shuffled, doubled lines with contradictions give the same outcomes and the same ledger."""
    outcomes = [ok(case, value, attempt=a) for case in plan.cases[:4] for a in (1, 2) for value in (1.0, 2.0)]
    path = stored(root, plan, outcomes)
    file = path / "outcomes.jsonl"
    # Numbers that repeat leave nothing but the text to decide by.
    lines = [reseal(line, seq=1) for line in file.read_bytes().splitlines(keepends=True)]
    seen = []
    for seed in range(5):
        random.Random(seed).shuffle(mixed := lines * 2)
        file.write_bytes(b"".join(mixed))
        run = load_run(path)
        seen.append((dict(run.outcomes), set(map(codec.dumps, run.ledger))))
    assert all(entry == seen[0] for entry in seen)


def reseal(line: bytes, *, seq: int) -> bytes:
    """The same record under another number."""
    body = b'"v":1,"seq":%d,"outcome":%s}' % (
        seq,
        json.dumps(json.loads(line)["outcome"], separators=(",", ":")).encode(),
    )
    return b'{"crc":"%08x",%s\n' % (zlib.crc32(body), body)


def test_what_is_wrong_is_counted_and_the_rest_is_read(root, plan):
    """Damage, a torn tail, a foreign outcome, an outcome of no planned case, a missing one: each has its note."""
    stranger = ok(make_case("unplanned"))
    path = stored(root, plan, [*[ok(case) for case in plan.cases[:3]], stranger])
    file = path / "outcomes.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    body = b'"v":1,"seq":9,"outcome":{"key":"k","status":"fine"}}'
    foreign = b'{"crc":"%08x",%s\n' % (zlib.crc32(body), body)
    file.write_bytes(
        lines[0] + lines[1].replace(b"variance", b"variancE") + foreign + lines[2] + lines[3] + lines[0][:50]
    )
    run = load_run(path)
    assert [run.outcomes[case.key].status for case in (plan.cases[0], plan.cases[2])] == ["ok", "ok"]
    text = "\n".join(run.notes)
    for part in (
        "damaged",
        "unfinished",
        "not an outcome of this version",
        "not belong to a planned case",
        "2 of 5 planned cases",
    ):
        assert part in text
    assert run.missing == (plan.cases[1], plan.cases[3])


def test_a_resumed_run_goes_on_in_its_folder(root, plan):
    """A second writer appends; a torn tail in between costs nothing else."""
    path = stored(root, plan, [ok(plan.cases[0])])
    with (path / "outcomes.jsonl").open("ab") as stream:
        stream.write(b'{"crc":"0')
    with RunWriter.open(path) as writer:
        assert "set aside" in writer.notes[0]
        writer.append([ok(plan.cases[1])])
    run = load_run(path)
    assert [key for key, outcome in run.outcomes.items() if outcome.status == "ok"] == [c.key for c in plan.cases[:2]]


def test_an_outcome_too_large_for_a_line_becomes_a_row_that_says_so(root, plan):
    """One method that records a million numbers costs itself, not the run."""
    case = plan.cases[0]
    series = Series(kind="dyadic", values=(0.123456789012345,) * 300_000)
    huge = ok(case, measurements=(Measurement(metric="m", value=1.0, series=series),), fingerprint="f")
    with RunWriter.create(root, name="x", plan=plan, environment={}) as writer:
        kept = writer.append([ok(plan.cases[1]), huge])
    assert kept[0] == ok(plan.cases[1])
    assert (kept[1].status, kept[1].fingerprint) == ("invalid", "f")
    assert "record summaries" in kept[1].reason
    assert load_run("latest", root).outcomes[case.key] == kept[1]


# -- names and folders ------------------------------------------------------------------------------------------------


def test_a_run_answers_to_all_its_names(root, plan, monkeypatch):
    """Number, latest, latest~1, folder name, path, and the files inside mean the run."""
    first, second = stored(root, plan), stored(root, plan)
    assert first.name.startswith("0001-")
    assert first.name.endswith("Z-gradients")
    for ref in ("1", "0001", "latest~1", first.name, first, str(first), first / "run.json", first / "outcomes.jsonl"):
        assert find_run(ref, root) == first
    assert find_run("latest", root) == second
    monkeypatch.chdir(root.parent)
    assert find_run("latest") == Path("results") / second.name
    assert [info.number for info in list_runs(root)] == [1, 2]


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("7", "0001"),
        ("latest~5", "latest"),
        ("lates", "did you mean latest"),
        ("no/such", "latest is 0001"),
        ("\0", "run"),
    ],
)
def test_an_unknown_run_is_an_error_of_usage_with_the_nearest(root, plan, ref, message):
    """Exit code 2, and the name of a run that exists."""
    stored(root, plan)
    with pytest.raises(UsageError, match=message) as caught:
        find_run(ref, root)
    assert caught.value.exit_code == 2


def test_without_any_run_the_error_says_how_to_make_one(root):
    """A missing results folder holds no run."""
    assert list_runs(root) == ()
    for ref in ("latest", "3", "x"):
        with pytest.raises(UsageError, match="has no runs"):
            find_run(ref, root)


def test_two_runs_with_one_number_must_be_named(root, plan):
    """A copied folder makes a number ambiguous; nothing is chosen silently."""
    path = stored(root, plan)
    path.rename(root / path.name.replace("0001", "0002"))
    stored(root, plan).rename(root / "0002-20200101T000000Z-other")
    with pytest.raises(UsageError, match="two runs"):
        find_run("2", root)


def test_what_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path, plan):
    """A file in place of the folder: exit code 4 with what to do."""
    (tmp_path / "results").write_text("a file")
    with pytest.raises(ResultsError, match="--output") as caught:
        RunWriter.create(tmp_path / "results", name="x", plan=plan, environment={})
    assert caught.value.exit_code == 4
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_list_of_runs_counts_cases_and_outcomes(root, plan):
    """Planned cases and outcomes, settled ones among both; an unreadable run counts as nothing."""
    path = stored(root, plan, [ok(plan.cases[0])])
    (info,) = list_runs(root)
    assert (info.planned, info.outcomes, info.name) == (5, 2, "gradients")
    (path / "run.json").write_text("{")
    (info,) = list_runs(root)
    assert (info.planned, info.outcomes) == (0, 0)


# -- schemas ----------------------------------------------------------------------------------------------------------


def validator(name: str):
    """A validator that finds the schemas beside each other."""
    resources = [Resource.from_contents(schema(other)) for other in ("run", "outcome", "rows")]
    registry = Registry().with_resources((resource.id(), resource) for resource in resources)
    jsonschema.Draft202012Validator.check_schema(schema(name))
    return jsonschema.Draft202012Validator(schema(name), registry=registry)


def test_stored_documents_follow_their_schemas(root, plan):
    """run.json and every line of the journal validate, with evidence, series and non-finite numbers in them."""
    evidence = Evidence(metric="bias", value=math.inf, claim="unbiased", statistic=3.0, p=0.01)
    rounds = Series(kind="rounds", values=(1e-6, None), batch=10, group="g/0")
    timed = Measurement(metric="time", value=math.nan, unit="s", replicate=3, labels={"a": "b"}, series=rounds)
    outcomes = [
        ok(plan.cases[0], measurements=(evidence, timed), cost={"evaluations": 2.0}, seconds=0.5, stop="budget")
    ]
    path = stored(root, plan, [*outcomes, Outcome(key="k", status="crashed", phase="time", trace="x", attempt=2)])
    validator("run").validate(json.loads((path / "run.json").read_text()))
    lines = (path / "outcomes.jsonl").read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        validator("outcome").validate(json.loads(line))


@pytest.mark.parametrize(
    ("name", "part", "cls"),
    [
        ("outcome", "outcome", Outcome),
        ("outcome", "series", Series),
        ("outcome", "measurement", Evidence),
        ("run", "instance", Instance),
        ("run", "given", Given),
        ("run", "case", Case),
        ("run", "plan", Plan),
    ],
)
def test_schemas_name_every_field(name, part, cls):
    """A field that is added to a value is added to its schema, and none stays that was removed."""
    described = set(schema(name)["$defs"][part]["properties"]) - {"$kind"}
    assert described == {field.name for field in dataclasses.fields(cls)}


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("outcome", {"crc": "0" * 8, "v": 1, "seq": 1, "outcome": {"key": "k", "status": "fine"}}),
        ("outcome", {"crc": "0" * 8, "v": 1, "seq": 1, "outcome": {"key": "k", "status": "ok", "attempt": 2**63}}),
        (
            "outcome",
            {
                "crc": "0" * 8,
                "v": 1,
                "seq": 1,
                "outcome": {"key": "k", "status": "ok", "measurements": [{"metric": "m", "value": 1, "n": 2**63}]},
            },
        ),
        ("outcome", {"crc": "0" * 8, "v": 1, "seq": 1, "outcome": {"key": "k", "status": "ok", "surprise": 1}}),
        ("run", {"schema": "kexue-bench/2", "name": "", "command": [], "environment": {}, "plan": {}}),
        ("run", {"schema": "kexue-bench/1", "name": "", "command": [], "environment": {}, "plan": {"jobs": [{}]}}),
    ],
)
def test_schemas_refuse_what_the_codec_refuses(name, document):
    """A foreign status, field or version, and a missing field."""
    assert not validator(name).is_valid(document)


# -- speed ------------------------------------------------------------------------------------------------------------


def test_journal_and_results_agree_on_the_limit():
    """A payload at the limit fits a line with the longest envelope."""
    envelope = '{"crc":"00000000","v":999999999,"seq":999999999999999,"outcome":}'
    assert journal.MAX_PAYLOAD + len(envelope) <= journal.MAX_LINE
